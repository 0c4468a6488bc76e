"""A plugin of dbt-duckdb that looks at the working database before dbt opens it.

What is wrong with it is then one line; DuckDB's own error would come with 150.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from customer_loyalty.publish import PUBLISHED

# DuckDB calls a database by its file's name, and reads marts.nps as database marts should one be
# called so.
TAKEN = (
    *("raw", "reference", "staging", "quality", "inputs", "intermediate", "marts"),
    "snapshots",
    *("main", "temp", "system", "publish_new"),
)


class Plugin(BasePlugin):
    """Named in profiles.yml; raises RuntimeError, which dbt shows as it is."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        if creds.path != ":memory:":
            check_warehouse(Path(creds.path), creds.database, config)


def check_warehouse(path: Path, name: str, config: dict[str, Any]) -> None:
    """Make the folder of the working database, and see whether it can be opened.

    name: what dbt takes the database of that file to be called. Raises RuntimeError.
    """
    # dbt writes the name, trimmed, into SQL and into the code of Python models.
    name = name.strip()
    if name.lower() in TAKEN or set(name) & set("\"'\\"):
        raise RuntimeError(
            f"LOYALTY_WAREHOUSE: a database can't be called {name}, as a schema is or with a quote"
            " or a backslash in it. Choose another name for the file."
        )
    published = os.environ.get("LOYALTY_PUBLISHED") or PUBLISHED
    if os.path.realpath(path) == os.path.realpath(published):
        raise RuntimeError(
            f"LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED name the same file, {path}. Dashboards must"
            " not see the working database: choose another name for one of them."
        )
    if not os.path.isdir(path.parent):
        if not path.is_absolute():
            raise RuntimeError(
                f"{path.parent.absolute()} is not there: the working database {path} is looked for"
                " from the current folder. Change to the project, use make -C, or give"
                " LOYALTY_WAREHOUSE and LOYALTY_PUBLISHED absolute paths."
            )
        try:
            path.parent.mkdir(parents=True)
        except OSError as error:
            raise RuntimeError(f"{path.parent}: can't be made: {error.strerror}.") from None
    is_new = not os.path.exists(path)
    try:
        with duckdb.connect(str(path), config=config) as con:
            [(called,)] = con.execute("select current_database()").fetchall()
    except duckdb.Error as error:
        raise RuntimeError(
            f"The working database can't be opened. {error}\n"
            "Close what else has it open, or choose another file with LOYALTY_WAREHOUSE."
        ) from None
    if called != name:
        # dbt-duckdb reads the path as an address, in which some signs end the path.
        if is_new:
            path.unlink(missing_ok=True)
        raise RuntimeError(
            f"LOYALTY_WAREHOUSE: dbt would look for a database {name!r} in {str(path)!r}, and find"
            f" {called!r}. Choose a path without semicolons, question marks, hashes, tabs and line"
            " breaks, and a name without blanks around it."
        )
