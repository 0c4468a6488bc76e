"""Choose the target of a command, and its engine."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from customer_loyalty.engine import Engine, Target
from customer_loyalty.engines.duckdb import DuckDBEngine, DuckDBTarget
from customer_loyalty.errors import Refusal


def engine_for(session: Any) -> Engine:
    """The engine behind what dbt passes to a Python model: dbt-duckdb passes its connection."""
    return session if isinstance(session, Engine) else DuckDBEngine(session)


def choose_target(name: str | None, warehouse: str, published: str) -> Target:
    """A target of the project in the current folder. Raises Refusal if it does not exist.

    warehouse, published: the databases that DuckDB works in and publishes to.
    """
    credentials = read_credentials(name)
    engine = credentials.type if credentials else "duckdb"
    # Each engine needs its own packages, so it is imported only if it is chosen.
    if engine == "postgres":
        from customer_loyalty.engines.postgres import PostgresTarget

        return PostgresTarget(name, credentials)
    if engine == "spark":
        from customer_loyalty.engines.spark import SparkTarget

        return SparkTarget(name, credentials)
    if engine != "duckdb":
        raise Refusal(f"The gate does not run on {engine}. It runs on duckdb, postgres and spark.")
    return DuckDBTarget(name, warehouse, published)


def read_credentials(name: str | None) -> Any:
    """The credentials of a target in profiles.yml, as dbt reads them.

    None if the default target can't be read, because dbt itself reports why. Raises Refusal if a
    named one can't be read.
    """
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context
    from dbt_common.exceptions import DbtBaseException

    here = Path.cwd()
    profiles = os.environ.get("DBT_PROFILES_DIR") or (
        here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"
    )
    set_invocation_context(os.environ)
    set_from_args(Namespace(PROFILES_DIR=str(profiles), PROJECT_DIR=str(here)), None)
    try:
        return load_profile(str(here), {}, None, name).credentials
    except DbtBaseException as error:
        if name is None:
            return None
        message = str(error)
        if "Could not find adapter type" in message:
            message += f"\nmake build TARGET={name} installs it."
        raise Refusal(message) from None
