"""The plugin that profiles.yml names: it checks the working database before dbt-duckdb opens it.

Errors are then one line, where DuckDB's own would come with 150 lines of traceback.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin

from customer_loyalty.engine import SCHEMAS
from customer_loyalty.engines.duckdb import open_when_free
from customer_loyalty.errors import Refusal
from customer_loyalty.lock import seconds_to_wait
from customer_loyalty.publish.database_file import PUBLISHED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB names a database after its file. If it were named marts, marts.nps would be a name in that
# database.
TAKEN = (*SCHEMAS, "main", "temp", "system", "publish_new")


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
