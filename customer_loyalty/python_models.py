"""dbt's Python models, run in the process of the build where the engine has no place for them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from customer_loyalty.engine import Engine

COMMAND = "LOYALTY_COMMAND"
"""The environment variable that tells the project that Python models can run."""
MADE = "made_by_python"
"""The view of what a Python model returned, of which its materialization makes the table."""


class Table:
    """What ``dbt.ref`` returns in a Python model: of a table, as much as the models ask for."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self.columns = True

    def fetchall(self) -> list[tuple]:
        return self._engine.rows(f"select * from {self._name}")


def run_model(code: str, engine: Engine) -> None:
    """Run what dbt compiled of a Python model. Raises DbtRuntimeError, as dbt-duckdb does."""
    from dbt_common.exceptions import DbtRuntimeError

    module: dict[str, Any] = {"__name__": "dbt_model"}
    try:
        exec(compile(code, "dbt_model", "exec"), module)
        module["model"](module["dbtObj"](lambda name: Table(engine, name)), engine)
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        raise DbtRuntimeError(f"Python model failed:\n{told}") from None


def run_models_of(adapter_class: type, engine_on: Callable[[Any, str], Engine]) -> None:
    """Let an adapter of dbt run Python models in this process, on the connection of their thread.

    engine_on: makes the engine of dbt's connection and of the profile's schema.
    """
    from dbt.adapters.contracts.connection import AdapterResponse

    def submit_python_job(adapter: Any, parsed_model: dict, compiled_code: str) -> Any:
        con = adapter.connections.get_thread_connection().handle
        run_model(compiled_code, engine_on(con, adapter.config.credentials.schema))
        return AdapterResponse(_message="OK")

    adapter_class.submit_python_job = submit_python_job
    os.environ[COMMAND] = "1"
