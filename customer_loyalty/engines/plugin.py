"""A plugin of dbt-duckdb that checks the working database before dbt opens it.

Errors are then one line, where DuckDB's own would come with 150 lines of traceback.
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

# DuckDB names a database after its file. If it were named marts, marts.nps would be a name in that
# database.
TAKEN = (*SCHEMAS, "main", "temp", "system", "publish_new")
# DuckDB's message on a file that another process has open, with that process.
LOCKED = re.compile(r"Could not set lock on file(?:.*held in (\S+).*\(PID (\d+)\))?", re.DOTALL)


class Plugin(BasePlugin):
    """The plugin in profiles.yml. Raises Refusal, which dbt shows unchanged."""

    opened: DuckDBPyConnection | None = None

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        if creds.path != ":memory:":
            # Kept open until dbt has opened it, too, so that no other process can in between.
            self.opened = check_warehouse(creds.path, creds.database, config)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        if self.opened:
            self.opened.close()


def check_warehouse(path: str, name: str, config: dict[str, Any]) -> DuckDBPyConnection:
    """Open the working database, create its folder, and remove what a killed build left there.

    path, name: dbt's path of the file, and its name for the database. Raises Refusal.
    """
    # dbt writes the name, trimmed, into SQL and into the code of Python models.
    name = name.strip()
    if name.lower() in TAKEN or set(name) & set("\"'\\"):
        raise Refusal(
            f"LOYALTY_WAREHOUSE: a database can't be named {name}: it is the name of a schema, or"
            " contains a quote or a backslash. Choose another file name."
        )
    published = os.environ.get("LOYALTY_PUBLISHED") or PUBLISHED
    if os.path.realpath(path) == os.path.realpath(published):
        raise Refusal(
            f"LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED are the same file, {path}. Dashboards must"
            " not see the working database. Choose another name for one of them."
        )
    folder = Path(path).parent
    if not folder.is_dir():
        if not folder.is_absolute():
            raise Refusal(
                f"{folder.absolute()} does not exist. The path of the working database, {path}, is"
                " relative to the current folder. Change to the project, use make -C, or set"
                " LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED to absolute paths."
            )
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise Refusal(f"{folder}: can't be created: {error.strerror}.") from None
    is_new = not os.path.exists(path)
    con = open_when_free(path, config, seconds_to_wait())
    [(called,)] = con.execute("select current_database()").fetchall()
    if called != name:
        con.close()
        # dbt-duckdb parses the path as a URL, in which some characters end the path.
        if is_new:
            Path(path).unlink(missing_ok=True)
        raise Refusal(
            f"LOYALTY_WAREHOUSE: dbt would look for a database {name!r} in {path!r}, and find"
            f" {called!r}. Choose a path without semicolons, question marks, hashes, tabs and line"
            " breaks, and a name without spaces around it."
        )
    # Data that a killed build had spilled to disk: DuckDB would leave it forever.
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)
    return con


def open_when_free(path: str, config: dict[str, Any], wait: float) -> DuckDBPyConnection:
    """Open a database for writing as soon as no other process has it open.

    wait: seconds to wait at most. Raises InUse after that, and Refusal if it can't be opened at
    all.
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
                    f"{path} is in use: {who} has it open, perhaps another build or a query. Try"
                    " again when it is closed, wait for it with make build WAIT=60"
                    " (LOYALTY_WAIT=60 dbt build), or choose another file with LOYALTY_WAREHOUSE."
                ) from None
            time.sleep(0.2)


def seconds_to_wait() -> float:
    """Seconds to wait for the working database, from LOYALTY_WAIT. Raises Refusal."""
    given = os.environ.get("LOYALTY_WAIT") or "0"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise Refusal(f"LOYALTY_WAIT must be a number of seconds, 0 or more; found {given}")
    return seconds
