"""Publish the marts: what goes into the published file, and whether it is replaced at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine, engine_of
from customer_loyalty.published_file import PublishFault

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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

PUBLISHED_ROW = "published_row"
"""The table of the connection that has the row of ``published_build``, before it is published."""

# Written in a form that older readers open too.
STORAGE_VERSION = "v1.0.0"


@dataclass(frozen=True)
class Publication:
    """What is to be published: where, and how many earlier builds stay.

    row: the row of ``published_build``, type and value by column.
    """

    row: Mapping[str, tuple[str, Any]]
    place: str
    keep: int

    def sources(self, engine: Engine) -> dict[str, str]:
        """The table that each published one is made of; the last tells which build it is."""
        rooms = {"marts": MARTS, "quality": QUALITY}
        tables = {
            f"{room}.{name}": engine.table(room, name)
            for room, names in rooms.items()
            for name in names
        }
        return tables | {"marts.published_build": PUBLISHED_ROW}


def check_that_publish_made(standing: Collection[str]) -> None:
    """Raises PublishFault where a publish would replace what none made.

    standing: the tables and views that are there already of those that are published. The first
    publish makes all of them.
    """
    if standing and "marts.published_build" not in standing:
        raise PublishFault(
            f"Nothing was published, because of what is there and no publish made:"
            f" {', '.join(sorted(standing))}. Move that to another schema, or build in another"
            " database."
        )


def publish(session: Any) -> Any:
    """Publish what this dbt run built, or not, as its hook decided in the table ``this_build``.

    Returns the row of ``published_build``; no row where nothing was published. Raises PublishFault.
    """
    engine = engine_of(session)
    this = engine.records("select * from this_build")[0]
    as_of = f"select max(as_of_date) from {engine.table('intermediate', 'int_as_of')}"
    values = {
        "build_id": this["build_id"],
        "published_at": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        "as_of_date": engine.value(as_of),
        "project_version": version("customer-loyalty"),
        "sources": this["sources"],
        "folder_key": folder_key(this["raw_data"]),
        "reporting_currency": this["reporting_currency"],
    }
    counted = {name: ("staging", name.replace("raw_", "staged_")) for name in INPUTS}
    counted |= {mart: ("marts", mart) for mart in MARTS}
    for name, place in counted.items():
        values[f"rows_{name}"] = engine.value(f"select count(*) from {engine.table(*place)}")
    types = json.loads(this["contract"])
    if types.keys() != values.keys():
        raise PublishFault(
            "Nothing was published, because the contract of published_build"
            " (models/published/_published__models.yml) has other columns than its row:"
            f" {', '.join(sorted(types.keys() ^ values.keys()))}."
        )
    is_published = this["not_published_because"] is None
    rows = [tuple(values[name] for name in types)]
    engine.create_table(PUBLISHED_ROW, types, rows if is_published else ())
    if is_published:
        row = {name: (type_, values[name]) for name, type_ in types.items()}
        engine.publish(Publication(row, this["published_path"], this["keep_published"]))
    return engine.made_of(PUBLISHED_ROW)


def folder_key(raw_data: str | None) -> str | None:
    """What a build keeps of its folder of files, to know it again: a hash, for paths tell names."""
    if raw_data is None:
        return None
    return hashlib.sha256(os.path.realpath(Path(raw_data).expanduser()).encode()).hexdigest()


def write_marts(con: DuckDBPyConnection, row: Mapping[str, tuple[str, Any]], new: Path) -> None:
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
            _create_row(cursor, "publish_new.marts.published_build", row)
            cursor.execute("checkpoint publish_new")
        finally:
            # Should this fail too, on a full disk say, the first error is the one to tell.
            with suppress(duckdb.Error):
                cursor.execute("detach publish_new")


def _create_row(con: Any, table: str, row: Mapping[str, tuple[str, Any]]) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in row.items())
    con.execute(f"create table {table} ({columns})")
    marks = ", ".join("?" * len(row))
    con.execute(f"insert into {table} values ({marks})", [value for _, value in row.values()])
