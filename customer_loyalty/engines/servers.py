"""What PostgreSQL and Spark have in common: schemas on a shared server, and Python models.

Their dbt adapters can't run a Python model. ``run_models_with`` lets dbt run it in its own process,
on the connection of the model's thread; macros/cross_db/python_models.sql creates the table.
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
from customer_loyalty.inputs.source import SOURCE_FILE, SOURCE_ROW

COMMAND = "LOYALTY_COMMAND"
"""The environment variable that tells the project that Python models can run."""
MODEL_VIEW = "made_by_python"
"""The view with a Python model's result, from which its materialization creates the table."""
SPARK_FOLDER = "warehouse/spark"
"""The folder of a Spark cluster on this machine, unless LOYALTY_SPARK names another one."""
SPARK_CLIENT = "client.json"
"""The file in it with the environment by which an application finds the cluster."""


# --- schemas ----------------------------------------------------------------------------------


def landed_columns(name: str) -> dict[str, str]:
    """The columns of an input as read from files, with their types."""
    return dict.fromkeys((*INPUTS[name], SOURCE_FILE), "text") | {SOURCE_ROW: "bigint"}


def check_working_schema(schema: str) -> None:
    """Raise Refusal if SQL would have to quote the profile's schema."""
    if not re.fullmatch("[a-z_][a-z0-9_]{0,40}", schema):
        raise Refusal(
            "schema in profiles.yml must be a name of lower-case letters, digits and underscores,"
            f" such as working; found {schema}"
        )


def check_raw_schema(schema: str, *own: str) -> None:
    """Raise Refusal if raw tables must not be loaded there. own: prefixes of other schemas."""
    if schema in PUBLISHED_SCHEMAS or schema.startswith(own):
        raise Refusal(
            f"raw_schema: {schema} is a schema of the marts, or of models upstream of them. Choose"
            " another one, because raw rows hold personal data."
        )


def check_loaded_tables(schema: str, tables: Mapping[str, bool]) -> None:
    """Raise Refusal if load did not create a table. tables: whether load created it, by name."""
    if foreign := [f"{schema}.{name}" for name, is_ours in tables.items() if not is_ours]:
        raise Refusal(
            f"{', '.join(foreign)}: already exists and was not created by load, which replaces only"
            " its own tables. Choose another schema with raw_schema:"
            f' make load VARS=\'{{"raw_schema": "{schema}_files"}}\'.'
        )


def check_published_tables(existing: Collection[str]) -> None:
    """Raise PublishFault if a publish would replace tables that no publish created.

    existing: the tables and views to be published that already exist. The first publish creates
    all of them.
    """
    if existing and "marts.published_build" not in existing:
        raise PublishFault(
            "Nothing was published, because these tables were not created by publishing:"
            f" {', '.join(sorted(existing))}. Move them to another schema, or build in another"
            " database."
        )


# --- Python models ----------------------------------------------------------------------------


class Table:
    """What ``dbt.ref`` returns in a Python model: the one method that the models use."""

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
