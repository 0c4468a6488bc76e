"""Publish the marts: what goes into the published file, and whether it is replaced at all."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.contract import INPUTS
from customer_loyalty.published_file import replace_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

MARTS = (
    "retention",
    "churn",
    "nps",
    "csat",
    "ces",
    "reviews",
    "cltv",
    "customers",
    "cohort_retention",
)
QUALITY = (
    "gx_validation_results",
    "input_summary",
    "quarantined_raw_customers",
    "quarantined_raw_orders",
    "quarantined_raw_surveys",
    "quarantined_raw_subscriptions",
    "rules",
)
"""What readers see of the gate: schema ``quality`` of the published database."""

# Written in a form that older readers open too.
STORAGE_VERSION = "v1.0.0"


def publish(con: DuckDBPyConnection) -> DuckDBPyRelation:
    """Publish what this dbt run built, or not, as its hook decided in the table ``this_build``.

    Returns the row of ``published_build``; no row where nothing was published. Raises PublishFault.
    """
    build_id, not_published_because, sources, raw_data, currency, target, keep = con.execute(
        "select build_id, not_published_because, sources, raw_data, reporting_currency,"
        " published_path, keep_published from this_build"
    ).fetchall()[0]
    row = {
        "build_id": ("varchar", build_id),
        "published_at": ("timestamp", datetime.now(UTC).replace(tzinfo=None, microsecond=0)),
        "as_of_date": ("date", _value(con, "select max(as_of_date) from intermediate.int_as_of")),
        "project_version": ("varchar", version("customer-loyalty")),
        "sources": ("varchar", sources),
        "folder_key": ("varchar", folder_key(raw_data)),
        "reporting_currency": ("varchar", currency),
    }
    for name in INPUTS:
        rows = _value(con, f"select count(*) from staging.{name.replace('raw_', 'staged_')}")
        row[f"rows_{name}"] = ("bigint", rows)
    for mart in MARTS:
        row[f"rows_{mart}"] = ("bigint", _value(con, f"select count(*) from marts.{mart}"))

    _create_row(con, "temp table published_row", row)
    if not_published_because is not None:
        return con.query("select * from published_row where false")
    working = _value(
        con, "select path from duckdb_databases() where database_name = current_database()"
    )
    replace_file(
        Path(os.path.realpath(target)),
        partial(write_marts, con, row),
        keep,
        Path(os.path.realpath(working)),
    )
    return con.query("select * from published_row")


def folder_key(raw_data: str | None) -> str | None:
    """What a build keeps of its folder of files, to know it again: a hash, for paths tell names."""
    if raw_data is None:
        return None
    return hashlib.sha256(os.path.realpath(Path(raw_data).expanduser()).encode()).hexdigest()


def write_marts(con: DuckDBPyConnection, row: dict[str, tuple[str, Any]], new: Path) -> None:
    """Write the marts, the gate's results and ``published_build`` to a new database file."""
    # A cursor of its own: dbt's transaction can write to one database only, the working one.
    with con.cursor() as cursor:
        path = str(new).replace("'", "''")
        cursor.execute(f"attach '{path}' as publish_new (storage_version '{STORAGE_VERSION}')")
        try:
            cursor.execute("create schema publish_new.marts; create schema publish_new.quality")
            tables = [f"marts.{name}" for name in MARTS] + [f"quality.{name}" for name in QUALITY]
            for table in tables:
                # In order, so that the same data gives the same rows in the same places.
                cursor.execute(
                    f"create table publish_new.{table} as select * from {table} order by all"
                )
            _create_row(cursor, "table publish_new.marts.published_build", row)
            cursor.execute("checkpoint publish_new")
        finally:
            # Should this fail too, on a full disk say, the first error is the one to tell.
            with suppress(duckdb.Error):
                cursor.execute("detach publish_new")


def _create_row(con: Any, table: str, row: dict[str, tuple[str, Any]]) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in row.items())
    con.execute(f"create or replace {table} ({columns})")
    marks = ", ".join("?" * len(row))
    name = table.split()[-1]
    con.execute(f"insert into {name} values ({marks})", [value for _, value in row.values()])


def _value(con: Any, sql: str) -> Any:
    return con.execute(sql).fetchall()[0][0]
