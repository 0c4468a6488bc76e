"""Publish the marts: a new database file that replaces the published one in one rename.

Readers see the old set of marts or the new one, whole: never a mix, and never a lock. Whatever goes
wrong before the rename leaves the published file as it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.contract import INPUTS
from customer_loyalty.errors import Refusal

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
PUBLISHED = "warehouse/published.duckdb"
"""Where the marts are published, unless LOYALTY_PUBLISHED says otherwise."""

# Written in a form that older readers open too.
STORAGE_VERSION = "v1.0.0"
# DuckDB reads "marts.nps" as database marts, should a file be called so.
SCHEMAS = ("marts", "quality", "main", "temp", "system")


class PublishFault(Refusal):
    """The marts are right but can't be published."""


def publish(con: DuckDBPyConnection) -> DuckDBPyRelation:
    """Publish what this dbt run built, or not, as its hook decided in the table ``this_build``.

    Returns the row of ``published_build``; no row where nothing was published. Raises PublishFault.
    """
    build_id, not_published_because, sources, raw_data, currency, target = con.execute(
        "select build_id, not_published_because, sources, raw_data, reporting_currency,"
        " published_path from this_build"
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
    replace_file(con, Path(os.path.realpath(target)), row)
    return con.query("select * from published_row")


def folder_key(raw_data: str | None) -> str | None:
    """What a build keeps of its folder of files, to know it again: a hash, for paths tell names."""
    if raw_data is None:
        return None
    return hashlib.sha256(os.path.realpath(Path(raw_data).expanduser()).encode()).hexdigest()


def last_build(target: Path) -> dict[str, Any] | None:
    """The row of ``published_build``; None where there is none that could be read."""
    if not target.is_file():
        return None
    try:
        with duckdb.connect(os.path.realpath(target), read_only=True) as con:
            found = con.execute("select * from marts.published_build")
            columns = [column[0] for column in found.description]
            return next((dict(zip(columns, row, strict=True)) for row in found.fetchall()), None)
    except duckdb.Error:
        return None


def replace_file(con: DuckDBPyConnection, target: Path, row: dict[str, tuple[str, Any]]) -> None:
    """Write the marts, the gate's results and ``published_build`` to a new file, and rename it.

    The file keeps the mode and, where that is allowed, the owner of the one that it replaces.
    Another build that publishes to the same file waits. Raises PublishFault.
    """
    _check_target(con, target)
    new = target.with_name(f"{target.name}.new")
    try:
        with _alone(target):
            # Nobody else writes here now: what is left is of a build that died before its rename.
            _remove(new)
            try:
                _write(con, new, row)
                with new.open("rb") as file:
                    os.fsync(file.fileno())
                if target.exists():
                    _take_over(target, new)
                # Once more: somebody may have come while the new file was written.
                _check_target(con, target)
                os.replace(new, target)
                _sync_folder(target.parent)
            finally:
                _remove(new)
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PublishFault(f"{target}: not replaced: {reason}") from None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold a lock beside the target; it is gone with the process that holds it."""
    # Opened for reading, which is enough, so that builds of several users can share it.
    lock = os.open(target.with_name(f".{target.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remove(new: Path) -> None:
    new.unlink(missing_ok=True)
    _wal(new).unlink(missing_ok=True)


def _check_target(con: DuckDBPyConnection, target: Path) -> None:
    warehouse = _value(
        con, "select path from duckdb_databases() where database_name = current_database()"
    )
    if warehouse and target == Path(os.path.realpath(warehouse)):
        raise PublishFault(f"{target}: LOYALTY_PUBLISHED and LOYALTY_WAREHOUSE name the same file.")
    if target.stem.lower() in SCHEMAS:
        raise PublishFault(
            f"{target}: a database called {target.stem} is ambiguous beside a schema of that name."
            " Give LOYALTY_PUBLISHED another file name."
        )
    if target.is_dir():
        raise PublishFault(f"{target}: LOYALTY_PUBLISHED names a folder. Name a file.")
    if _wal(target).exists():
        raise PublishFault(
            f"{_wal(target)}: somebody opened the published database for writing. Close that"
            " connection (readers open it read-only), or remove the .wal file, and build again."
        )
    if target.exists() and _is_written_to(target):
        raise PublishFault(
            f"{target}: somebody has the published database open for writing. Close that connection"
            " (readers open it read-only), and build again."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishFault(f"{target.parent}: can't be made: {error.strerror}.") from None


def _is_written_to(target: Path) -> bool:
    """Whether another process has the file open for writing: DuckDB locks it then."""
    with target.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _write(con: DuckDBPyConnection, new: Path, row: dict[str, tuple[str, Any]]) -> None:
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
    if _wal(new).exists():
        raise PublishFault(f"{new}: the new file is not whole. Build again.")


def _take_over(old: Path, new: Path) -> None:
    """Give the new file the rights of the old one, so that readers keep their access."""
    shutil.copystat(old, new)
    os.utime(new)
    status = old.stat()
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        # Only root may give a file away; a group of one's own is allowed.
        with suppress(PermissionError):
            os.chown(new, -1, status.st_gid)
        with suppress(PermissionError):
            os.chown(new, status.st_uid, -1)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_row(con: Any, table: str, row: dict[str, tuple[str, Any]]) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in row.items())
    con.execute(f"create or replace {table} ({columns})")
    marks = ", ".join("?" * len(row))
    name = table.split()[-1]
    con.execute(f"insert into {name} values ({marks})", [value for _, value in row.values()])


def _value(con: Any, sql: str) -> Any:
    return con.execute(sql).fetchall()[0][0]


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")
