"""What PostgreSQL and Spark have in common: schemas on a shared server, and Python models.

Their dbt adapters can't run a Python model. ``run_models_with`` lets dbt run it in its own process,
on the connection of the model's thread; macros/cross_db/python_models.sql makes the table.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import PUBLISHED_SCHEMAS, Engine, Row
from customer_loyalty.errors import PublishFault, Refusal

COMMAND = "LOYALTY_COMMAND"
"""The environment variable by which the project knows that Python models can run."""
MODEL_VIEW = "made_by_python"
"""The view of what a Python model returned, from which its materialization makes the table."""
SPARK_FOLDER = "warehouse/spark"
"""The folder of a Spark cluster on this machine, unless LOYALTY_SPARK names another one."""
SPARK_CLIENT = "client.json"
"""Its file with the environment in which an application finds the cluster."""


# --- schemas ----------------------------------------------------------------------------------


def landed_columns(name: str) -> dict[str, str]:
    """The columns of an input as read from files, with their types."""
    return dict.fromkeys(INPUTS[name], "text") | {"_source_file": "text", "_source_row": "bigint"}


def check_working_schema(schema: str) -> None:
    """Raises Refusal where SQL would have to quote the profile's schema."""
    if not re.fullmatch("[a-z_][a-z0-9_]{0,40}", schema):
        raise Refusal(
            "schema in profiles.yml must be a name of lower-case letters, digits and underscores,"
            f" such as working; found {schema}"
        )


def check_raw_schema(schema: str, *own: str) -> None:
    """Raises Refusal where raw tables must not be loaded. own: prefixes of other schemas."""
    if schema in PUBLISHED_SCHEMAS or schema.startswith(own):
        raise Refusal(
            f"raw_schema: {schema} is a schema of the marts, or of what they are made from. Name"
            " another one: raw rows hold personal data."
        )


def check_loaded_tables(schema: str, tables: Mapping[str, bool]) -> None:
    """Raises Refusal where load did not make one. tables: whether load made it, by name."""
    if foreign := [f"{schema}.{name}" for name, is_ours in tables.items() if not is_ours]:
        raise Refusal(
            f"{', '.join(foreign)}: already there and not made by load, which replaces only its"
            " own tables. Name another schema with raw_schema:"
            f' make load VARS=\'{{"raw_schema": "{schema}_files"}}\'.'
        )


def check_published_tables(existing: Collection[str]) -> None:
    """Raises PublishFault where a publish would replace tables that no publish made.

    existing: the tables and views to be published that are already there. The first publish makes
    all of them.
    """
    if existing and "marts.published_build" not in existing:
        raise PublishFault(
            "Nothing was published, because of tables that no publish made:"
            f" {', '.join(sorted(existing))}. Move them to another schema, or build in another"
            " database."
        )


# --- Python models ----------------------------------------------------------------------------


class Table:
    """What ``dbt.ref`` returns in a Python model: the little that the models use of a table."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def fetchall(self) -> list[Row]:
        return self._engine.rows(f"select * from {self._name}")


def run_model(code: str, engine: Engine) -> None:
    """Run a compiled Python model. Raises DbtRuntimeError, as dbt-duckdb does."""
    from dbt_common.exceptions import DbtRuntimeError

    module: dict[str, Any] = {"__name__": "dbt_model"}
    try:
        exec(compile(code, "dbt_model", "exec"), module)
        module["model"](module["dbtObj"](lambda name: Table(engine, name)), engine)
    except Exception as error:
        message = "".join(traceback.format_exception(error))
        raise DbtRuntimeError(f"Python model failed:\n{message}") from None


def run_models_with(adapter_class: Any, engine_on: Callable[[Any, str], Engine]) -> None:
    """Let a dbt adapter run Python models in this process, on the connection of their thread.

    engine_on: makes the engine for dbt's connection and the profile's schema.
    """
    from dbt.adapters.contracts.connection import AdapterResponse

    def submit_python_job(adapter: Any, parsed_model: dict[str, Any], compiled_code: str) -> Any:
        con = adapter.connections.get_thread_connection().handle
        run_model(compiled_code, engine_on(con, adapter.config.credentials.schema))
        return AdapterResponse(_message="OK")

    adapter_class.submit_python_job = submit_python_job
    os.environ[COMMAND] = "1"
