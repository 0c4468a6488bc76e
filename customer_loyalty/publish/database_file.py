"""The published database file, swapped in by one rename, with earlier builds next to it.

Readers see one build or the other, complete: never a mix, and never a lock. A failure before the
rename leaves the file as it was. An earlier build is kept as ``published.<build id>.duckdb``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.engine import PUBLISHED_SCHEMAS, Publication, Record
from customer_loyalty.errors import InUse, PublishFault
from customer_loyalty.lock import locked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PUBLISHED = "warehouse/published.duckdb"
"""Where the marts are published, unless LOYALTY_PUBLISHED names another file."""

# If the file were named marts, DuckDB would read "marts.nps" as a name in that database.
TAKEN = (*PUBLISHED_SCHEMAS, "main", "temp", "system")
# Kept builds are named after their dbt invocation id, so no other file matches.
BUILD_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Seconds. A build holds the lock while it writes its file; if it takes longer, it hangs.
PATIENCE = 600
NONE_KEPT = "The setting keep_published says how many are kept."
# A format that older versions of DuckDB can read.
STORAGE_VERSION = "v1.0.0"


@dataclass(frozen=True, order=True)
class Build:
    """A build that was published, from its ``published_build``, and its file."""

    published_at: datetime
    build_id: str
    path: Path


def last_build(target: Path) -> Record | None:
    """The row of ``published_build``; None if it can't be read."""
    if not target.is_file():
        return None
    try:
        with duckdb.connect(os.path.realpath(target), read_only=True) as con:
            found = con.execute("select * from marts.published_build")
            columns = [column[0] for column in found.description]
            return next((dict(zip(columns, row, strict=True)) for row in found.fetchall()), None)
    except duckdb.Error:
        return None


def kept_builds(target: Path) -> list[Build]:
    """The earlier builds of a published file that can be restored, the latest first."""
    name = re.compile(f"{re.escape(target.stem)}\\.({BUILD_ID}){re.escape(target.suffix)}")
    builds = []
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        found = name.fullmatch(path.name)
        row = last_build(path) if found else None
        if found and row and row["build_id"] == found[1]:
            builds.append(Build(row["published_at"], found[1], path))
    return sorted(builds, reverse=True)


def replace_file(
    target: Path, write: Callable[[Path], None], keep: int, working: Path | None = None
) -> None:
    """Replace the target with a new file, which ``write`` writes; keep the latest ``keep`` builds.

    The new file gets the mode and, if allowed, the owner of the old one. Another build that
    publishes to the same target waits. working: see check_target. Raises PublishFault.
    """
    check_target(target, working)
    with _locked(target), _new_file(target) as new:
        write(new)
        if _wal(new).exists():
            raise PublishFault(f"{new}: the new file is incomplete. Build again.")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        _swap(target, new, keeps=keep > 0, working=working)
        # The publish has succeeded; the next build removes what can't be removed now.
        with suppress(OSError):
            for build in kept_builds(target)[keep:]:
                build.path.unlink()


def write(con: DuckDBPyConnection, publication: Publication, new: Path) -> None:
    """Write the tables of a publication to a new database file."""
    # A cursor of its own: dbt's transaction can write to one database only, the working one.
    with con.cursor() as cursor:
        path = str(new).replace("'", "''")
        cursor.execute(f"attach '{path}' as publish_new (storage_version '{STORAGE_VERSION}')")
        try:
            for schema in PUBLISHED_SCHEMAS:
                cursor.execute(f"create schema publish_new.{schema}")
            for table, source in publication.sources.items():
                if table != "marts.published_build":
                    # Ordered, so that the same data gives the same file.
                    cursor.execute(
                        f"create table publish_new.{table} as select * from {source} order by all"
                    )
            _create_row(cursor, "publish_new.marts.published_build", publication.row)
            cursor.execute("checkpoint publish_new")
        finally:
            # If this fails too, on a full disk for example, the first error matters.
            with suppress(duckdb.Error):
                cursor.execute("detach publish_new")


def _create_row(con: DuckDBPyConnection, table: str, row: Mapping[str, tuple[str, Any]]) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in row.items())
    con.execute(f"create table {table} ({columns})")
    marks = ", ".join("?" * len(row))
    con.execute(f"insert into {table} values ({marks})", [value for _, value in row.values()])


def roll_back(target: Path, build_id: str | None = None) -> tuple[Build, str | None]:
    """Restore an earlier build by one rename, and keep the build that it replaces.

    build_id: by default the latest build that is older than the published one. Returns the restored
    build and the id of the build that it replaced, or None. Raises PublishFault.
    """
    check_target(target)
    with _locked(target), _new_file(target) as new:
        current = last_build(target)
        back = _choose(target, current, build_id)
        _link(back.path, new, target)
        _swap(target, new, keeps=True)
        with suppress(OSError):
            back.path.unlink()
    return back, current["build_id"] if current else None


def _choose(target: Path, current: Record | None, build_id: str | None) -> Build:
    others = [
        one for one in kept_builds(target) if not current or one.build_id != current["build_id"]
    ]
    for one in others:
        if one.build_id == build_id if build_id else _is_older(one, current):
            return one
    what = f"build {build_id} is not" if build_id else "no earlier build is"
    listed = "".join(f"\n  {one.build_id}  published at {one.published_at}" for one in others)
    hint = f"Builds to choose from with BUILD=…:{listed}" if listed else NONE_KEPT
    raise PublishFault(f"{target}: {what} kept next to it. {hint}")


def _is_older(build: Build, current: Record | None) -> bool:
    return not current or build.published_at < current["published_at"]


def check_target(target: Path, working: Path | None = None) -> None:
    """Raise PublishFault if a file can't be published to.

    working: the working database, which must be another file.
    """
    with _refusing(target):
        fault = _fault(target, working)
    if fault:
        raise PublishFault(fault)


def _fault(target: Path, working: Path | None) -> str | None:
    if working and target == working:
        return f"{target}: LOYALTY_PUBLISHED and LOYALTY_WAREHOUSE are the same file."
    if target.stem.lower() in TAKEN:
        return (
            f"{target}: a database named {target.stem} conflicts with the schema of that name. Set"
            " LOYALTY_PUBLISHED to another file name."
        )
    if target.is_dir():
        return f"{target}: LOYALTY_PUBLISHED is a folder. Set it to a file."
    if _wal(target).exists():
        return (
            f"{_wal(target)}: the published database was opened for writing. Close that connection"
            " (readers open it read-only), or remove the .wal file, and try again."
        )
    if target.exists() and _is_written_to(target):
        return (
            f"{target}: another process has the published database open for writing. Close that"
            " connection (readers open it read-only), and try again."
        )
    if target.exists() and target.stat().st_size and not last_build(target):
        return (
            f"{target}: this file exists and is not a published database. Move it away, or set"
            " LOYALTY_PUBLISHED to another file name."
        )
    return None


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock next to the target."""
    with _refusing(target):
        try:
            with locked(
                target.with_name(f".{target.name}.lock"),
                PATIENCE,
                f"{target}: another build has been publishing to it for {PATIENCE} seconds."
                " Stop it and try again.",
            ):
                yield
        except InUse as error:
            raise PublishFault(str(error)) from None


@contextmanager
def _refusing(target: Path) -> Iterator[None]:
    """Turn an error of the disk or of DuckDB into a PublishFault."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None)
        reason += f": {where}" if where and str(where) != str(target) else ""
        raise PublishFault(f"{target}: not replaced: {reason}") from None


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """The file to replace the target with, removed if it does not. Needs the lock."""
    new = _new(target)
    try:
        # Under the lock no other build writes here: this is left from one that was killed.
        _remove(new)
        yield new
    finally:
        _remove(new)


def _remove(new: Path) -> None:
    for path in (new, _wal(new), _draft(new)):
        path.unlink(missing_ok=True)


def _swap(target: Path, new: Path, keeps: bool, working: Path | None = None) -> None:
    # Check again, because something may have changed since the first check.
    check_target(target, working)
    if target.exists():
        current = last_build(target)
        if keeps and current:
            _link(target, _kept(target, current["build_id"]), target)
        _take_over(target, new)
    os.replace(new, target)
    # Some network file systems can't do this.
    with suppress(OSError):
        _sync_folder(target.parent)


def _kept(target: Path, build_id: str) -> Path:
    return target.with_name(f"{target.stem}.{build_id}{target.suffix}")


def _link(old: Path, name: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the disk does not support links. Needs the lock."""
    if name.exists():
        # Left by a process that was killed before its rename.
        return
    try:
        os.link(old, name)
    except OSError:
        draft = _draft(_new(target))
        shutil.copy2(old, draft)
        os.replace(draft, name)


def _is_written_to(target: Path) -> bool:
    """Whether another process has the file open for writing, in which case DuckDB locks it."""
    with target.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _take_over(old: Path, new: Path) -> None:
    """Copy mode and owner of the old file to the new one, so that readers keep their access."""
    shutil.copystat(old, new)
    os.utime(new)
    status = old.stat()
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        # Only root may change the owner; a group that the user belongs to is allowed.
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


def _new(target: Path) -> Path:
    return target.with_name(f"{target.name}.new")


def _draft(new: Path) -> Path:
    return new.with_name(f"{new.name}.draft")


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")
