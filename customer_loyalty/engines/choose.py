"""Which target of profiles.yml a command means."""

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
    """A target of the project in the current folder. Raises Refusal where there is none so called.

    warehouse, published: the databases that DuckDB works in and publishes to.
    """
    credentials = read_credentials(name)
    engine = credentials.type if credentials else "duckdb"
    # Each engine needs packages of its own: imported only where it is chosen.
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
    """What profiles.yml says of a target, as dbt reads it.

    None for a default target that can't be read: dbt itself reports why. Raises Refusal for a named
    one.
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
