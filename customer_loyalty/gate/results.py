"""The gate's results, and how they are stored in tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

from customer_loyalty.engine import Engine

LEDGER = "staged_inputs"
"""The table with the dbt run that last staged each input; a hook of the staged models writes it."""


@dataclass(frozen=True)
class Result:
    """One rule's result in one run: a row of ``quality.gx_validation_results``.

    element_count: rows of the input; for a rule on distributions, the months, days or other items
    that were measured. unexpected_count: how many of them break the rule, 0 for a rule on the whole
    input. left_success, left_unexpected_count: the same for the remaining rows, None if none were
    left out. closes_gate: see the function ``closes_gate``; None before the last step.
    """

    run_id: str
    checked_at: datetime
    input: str
    column_name: str | None
    rule: str
    expectation: str
    action: str
    success: bool
    element_count: int
    unexpected_count: int
    examples: str | None
    says: str
    remedy: str
    staged_by: str | None
    left_success: bool | None = None
    left_unexpected_count: int | None = None
    closes_gate: bool | None = None


_TYPES = {
    "checked_at": "timestamp",
    "success": "boolean",
    "element_count": "bigint",
    "unexpected_count": "bigint",
    "left_success": "boolean",
    "left_unexpected_count": "bigint",
    "closes_gate": "boolean",
}
RESULT_COLUMNS = {one.name: _TYPES.get(one.name, "varchar") for one in fields(Result)}


def closes_gate(result: Result, over_limit: Collection[str]) -> bool:
    """Whether a result keeps the gate closed.

    A broken rule with action stop does, and one with action quarantine if its input is over the
    limit. Either does if remaining rows break it.

    over_limit: the inputs with more rows that break rules than may be quarantined.
    """
    if result.action == "warn":
        return False
    if result.success:
        return result.left_success is False
    return result.action == "stop" or result.left_success is False or result.input in over_limit


def relation(engine: Engine, results: Sequence[Result]) -> Any:
    """Results as the relation that a dbt Python model returns."""
    engine.create_table("checked_rules", RESULT_COLUMNS, map(astuple, results))
    return engine.model_from("checked_rules")


def read_staged_results(engine: Engine) -> list[Result]:
    """The results on the staged rows, from the model ``gx_staged_results``."""
    table = engine.table("quality", "gx_staged_results")
    return [Result(*row) for row in engine.rows(f"select {', '.join(RESULT_COLUMNS)} from {table}")]
