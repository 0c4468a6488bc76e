"""dbt's Python models, run in the process of the build where the engine has no place for them."""

from __future__ import annotations

import traceback
from typing import Any

from customer_loyalty.engine import Engine

COMMAND = "LOYALTY_COMMAND"
"""The environment variable that tells the project that Python models can run."""


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
