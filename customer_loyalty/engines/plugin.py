"""A plugin of dbt-duckdb that checks the working database before dbt opens it.

A fault is then one line; DuckDB's own error would come with 150.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from customer_loyalty.engine import SCHEMAS
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.publish.database_file import PUBLISHED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB calls a database by its file's name, and reads marts.nps as database marts should one be
# called so.
TAKEN = (*SCHEMAS, "main", "temp", "system", "publish_new")
# What DuckDB says of a file that another process has open, and who that is.
LOCKED = re.compile(r"Could not set lock on file(?:.*held in (\S+).*\(PID (\d+)\))?", re.DOTALL)


class Plugin(BasePlugin):
    """Named in profiles.yml; raises Refusal, which dbt shows as it is."""

    opened: DuckDBPyConnection | None = None

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        if creds.path != ":memory:":
            # Open until dbt has it open too, so that nobody gets in between.
            self.opened = check_warehouse(creds.path, creds.database, config)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        if self.opened:
            self.opened.close()


def check_warehouse(path: str, name: str, config: dict[str, Any]) -> DuckDBPyConnection:
    """Open the working database, and make its folder; what a dead build left beside it goes.

    path, name: as dbt has them, its name of the database in that file. Raises Refusal.
    """
    # dbt writes the name, trimmed, into SQL and into the code of Python models.
    name = name.strip()
    if name.lower() in TAKEN or set(name) & set("\"'\\"):
        raise Refusal(
            f"LOYALTY_WAREHOUSE: a database can't be called {name}, as a schema is or with a quote"
            " or a backslash in it. Choose another name for the file."
        )
    published = os.environ.get("LOYALTY_PUBLISHED") or PUBLISHED
    if os.path.realpath(path) == os.path.realpath(published):
        raise Refusal(
            f"LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED name the same file, {path}. Dashboards must"
            " not see the working database: choose another name for one of them."
        )
    folder = Path(path).parent
    if not folder.is_dir():
        if not folder.is_absolute():
            raise Refusal(
                f"{folder.absolute()} is not there: the working database {path} is looked for"
                " from the current folder. Change to the project, use make -C, or give"
                " LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED absolute paths."
            )
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise Refusal(f"{folder}: can't be made: {error.strerror}.") from None
    is_new = not os.path.exists(path)
    con = open_when_free(path, config, seconds_to_wait())
    [(called,)] = con.execute("select current_database()").fetchall()
    if called != name:
        con.close()
        # dbt-duckdb reads the path as an address, in which some signs end the path.
        if is_new:
            Path(path).unlink(missing_ok=True)
        raise Refusal(
            f"LOYALTY_WAREHOUSE: dbt would look for a database {name!r} in {path!r}, and find"
            f" {called!r}. Choose a path without semicolons, question marks, hashes, tabs and line"
            " breaks, and a name without blanks around it."
        )
    # What was too large for the memory of a build that was killed: DuckDB would leave it forever.
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)
    return con


def open_when_free(path: str, config: dict[str, Any], wait: float) -> DuckDBPyConnection:
    """Open a database for writing, as soon as no other process has it open.

    wait: for how many seconds at most. Raises InUse after them, Refusal where it can't be
    opened at all.
    """
    until = time.monotonic() + wait
    while True:
        try:
            return duckdb.connect(path, config=config)
        except duckdb.Error as error:
            locked = LOCKED.search(str(error))
            if not locked:
                raise Refusal(
                    f"The working database can't be opened. {error}\n"
                    "Choose another file with LOYALTY_WAREHOUSE."
                ) from None
            if time.monotonic() >= until:
                program, pid = locked.groups()
                who = f"process {pid} ({Path(program).name})" if pid else "another process"
                raise InUse(
                    f"{path} is in use: {who} has it open, another build or somebody who looks into"
                    " it. Try again when it is closed, wait for it with make build WAIT=60"
                    " (LOYALTY_WAIT=60 dbt build), or name another file by LOYALTY_WAREHOUSE."
                ) from None
            time.sleep(0.2)


def seconds_to_wait() -> float:
    """How long LOYALTY_WAIT says to wait for the working database. Raises Refusal."""
    given = os.environ.get("LOYALTY_WAIT") or "0"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise Refusal(f"LOYALTY_WAIT must be a number of seconds from 0; found {given}")
    return seconds
