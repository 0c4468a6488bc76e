"""The published file: replaced in one rename, with its last builds beside it to go back to.

Readers see one build or the other, whole: never a mix, and never a lock. Whatever goes wrong before
the rename leaves the file as it was. An earlier build is kept as ``published.<build id>.duckdb``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from customer_loyalty.errors import Refusal

PUBLISHED = "warehouse/published.duckdb"
"""Where the marts are published, unless LOYALTY_PUBLISHED says otherwise."""

# DuckDB reads "marts.nps" as database marts, should a file be called so.
SCHEMAS = ("marts", "quality", "main", "temp", "system")
# A build is kept under its dbt invocation id: nobody else's file is called so.
BUILD_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Seconds. Others hold the lock while they write their file: longer, and they hang.
PATIENCE = 600


class PublishFault(Refusal):
    """The marts are right but can't be published, or no earlier build can be put back."""


@dataclass(frozen=True, order=True)
class Build:
    """A build that was published: what its ``published_build`` says of it, and its file."""

    published_at: datetime
    build_id: str
    path: Path


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


def kept_builds(target: Path) -> list[Build]:
    """The earlier builds of a published file that can be put back, the latest first."""
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
    """Let ``write`` write a new file, and rename it; the ``keep`` builds before it stay beside it.

    The file keeps the mode and, where that is allowed, the owner of the one that it replaces.
    Another build that publishes to the same file waits. working: see check_target. Raises
    PublishFault.
    """
    check_target(target, working)
    with _alone(target), _new_file(target) as new:
        write(new)
        if _wal(new).exists():
            raise PublishFault(f"{new}: the new file is not whole. Build again.")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        _swap(target, new, keeps=keep > 0, working=working)
        # Published is published: what can't be removed now, the next build removes.
        with suppress(OSError):
            for build in kept_builds(target)[keep:]:
                build.path.unlink()


def roll_back(target: Path, build_id: str | None = None) -> tuple[Build, str | None]:
    """Put an earlier build back, in one rename; the one that it replaces is kept beside it.

    build_id: which one, else the latest that is older than what is published. Returns it, and the
    id of the build that it replaced, None where nothing was there. Raises PublishFault.
    """
    check_target(target)
    with _alone(target), _new_file(target) as new:
        current = last_build(target)
        back = _choose(target, current, build_id)
        _link(back.path, new, target)
        _swap(target, new, keeps=True)
        with suppress(OSError):
            back.path.unlink()
    return back, current and current["build_id"]


def _choose(target: Path, current: dict[str, Any] | None, build_id: str | None) -> Build:
    others = [
        one for one in kept_builds(target) if not current or one.build_id != current["build_id"]
    ]
    for one in others:
        if one.build_id == build_id if build_id else _is_older(one, current):
            return one
    what = f"no build {build_id}" if build_id else "no earlier build"
    listed = "".join(f"\n  {one.build_id}  published at {one.published_at}" for one in others)
    hint = f"There are, for BUILD=…:{listed}" if listed else "keep_published says how many are."
    raise PublishFault(f"{target}: {what} is kept beside it. {hint}")


def _is_older(build: Build, current: dict[str, Any] | None) -> bool:
    return not current or build.published_at < current["published_at"]


def check_target(target: Path, working: Path | None = None) -> None:
    """See whether a file can be published to. Raises PublishFault.

    working: the working database, which must be another one.
    """
    with _told(target):
        fault = _fault(target, working)
    if fault:
        raise PublishFault(fault)


def _fault(target: Path, working: Path | None) -> str | None:
    if working and target == working:
        return f"{target}: LOYALTY_PUBLISHED and LOYALTY_WAREHOUSE name the same file."
    if target.stem.lower() in SCHEMAS:
        return (
            f"{target}: a database called {target.stem} is ambiguous beside a schema of that name."
            " Give LOYALTY_PUBLISHED another file name."
        )
    if target.is_dir():
        return f"{target}: LOYALTY_PUBLISHED names a folder. Name a file."
    if _wal(target).exists():
        return (
            f"{_wal(target)}: somebody opened the published database for writing. Close that"
            " connection (readers open it read-only), or remove the .wal file, and try again."
        )
    if target.exists() and _is_written_to(target):
        return (
            f"{target}: somebody has the published database open for writing. Close that connection"
            " (readers open it read-only), and try again."
        )
    if target.exists() and target.stat().st_size and not last_build(target):
        return (
            f"{target}: is there, and is no published database. Move it away, or give"
            " LOYALTY_PUBLISHED another file name."
        )
    return None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold a lock beside the target; it is gone with the process that holds it."""
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Opened for reading, which is enough, so that builds of several users can share it.
        lock = os.open(target.with_name(f".{target.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            until = time.monotonic() + PATIENCE
            while not _is_locked(lock):
                if time.monotonic() > until:
                    raise PublishFault(
                        f"{target}: another build has been publishing to it for {PATIENCE} seconds."
                        " End that one, and try again."
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Tell what the disk or DuckDB refuses as a PublishFault."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None)
        reason += f": {where}" if where and str(where) != str(target) else ""
        raise PublishFault(f"{target}: not replaced: {reason}") from None


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """The file that is to replace the target, gone if it does not; for who holds the lock."""
    new = _new(target)
    try:
        # Nobody else writes here now: what is left is of a build that died before its rename.
        _remove(new)
        yield new
    finally:
        _remove(new)


def _remove(new: Path) -> None:
    for path in (new, _wal(new), _draft(new)):
        path.unlink(missing_ok=True)


def _swap(target: Path, new: Path, keeps: bool, working: Path | None = None) -> None:
    # Once more: somebody may have come since the first look.
    check_target(target, working)
    if target.exists():
        current = last_build(target)
        if keeps and current:
            _link(target, _kept(target, current["build_id"]), target)
        _take_over(target, new)
    os.replace(new, target)
    # Some disks of a network have no such thing.
    with suppress(OSError):
        _sync_folder(target.parent)


def _kept(target: Path, build_id: str) -> Path:
    return target.with_name(f"{target.stem}.{build_id}{target.suffix}")


def _link(old: Path, name: Path, target: Path) -> None:
    """Give a file another name; where the disk can't, copy it. For who holds the target's lock."""
    if name.exists():
        # Kept already, by a process that died before its rename.
        return
    try:
        os.link(old, name)
    except OSError:
        draft = _draft(_new(target))
        shutil.copy2(old, draft)
        os.replace(draft, name)


def _is_written_to(target: Path) -> bool:
    """Whether another process has the file open for writing: DuckDB locks it then."""
    with target.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


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


def _new(target: Path) -> Path:
    return target.with_name(f"{target.name}.new")


def _draft(new: Path) -> Path:
    return new.with_name(f"{new.name}.draft")


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")
