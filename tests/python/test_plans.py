"""How much the SQL of a build reads and moves: rows in plans, which no busy machine changes.

The figures are rows per order of a generated shop. After a change that is meant, run this file:
python tests/python/test_plans.py prints the new ones.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse import PROJECT, DbtRun, run_dbt

sys.path.append(str(PROJECT / "benchmarks"))
from generate import generate

ORDERS = 20_000
# By model: rows read from files and tables, and rows that all operators of the plan hand on.
FIGURES: dict[str, tuple[float, float]] = {
    "ces": (0.21, 0.76),
    "churn": (0.15, 2.23),
    "clean_customers": (0.1, 0.63),
    "clean_exchange_rates": (0.01, 0.06),
    "clean_orders": (1.02, 10.28),
    "clean_subscriptions": (0.03, 1.32),
    "clean_surveys": (0.2, 1.42),
    "cltv": (0.1, 1.19),
    "cohort_retention": (1.31, 18.5),
    "csat": (0.58, 3.07),
    "customers": (0.28, 1.2),
    "input_distributions": (1.31, 22.48),
    "input_summary": (1.31, 3.72),
    "int_activity_intervals": (1.05, 22.2),
    "int_answers": (0.31, 2.64),
    "int_as_of": (1.25, 21.3),
    "int_calendar": (0.31, 5.01),
    "int_contract_periods": (0.4, 2.92),
    "int_customer_keys": (0.1, 0.63),
    "int_customer_lifetimes": (1.31, 17.72),
    "int_last_answers": (0.2, 3.05),
    "int_orders": (1.02, 11.75),
    "int_period_customers": (0.81, 11.35),
    "int_period_rates": (0.3, 1.32),
    "int_period_stays": (0.46, 7.8),
    "int_revenue_at_start": (0.02, 0.44),
    "int_revenue_changes": (0.02, 0.37),
    "int_subscriptions": (0.03, 1.33),
    "nps": (0.58, 3.55),
    "quality_gate": (0.0, 0.01),
    "quarantined_raw_customers": (0.1, 0.1),
    "quarantined_raw_orders": (1.0, 3.0),
    "quarantined_raw_subscriptions": (0.0, 0.01),
    "quarantined_raw_surveys": (0.2, 0.59),
    "retention": (0.1, 0.39),
    "reviews": (0.21, 0.76),
    "staged_customers": (0.1, 0.89),
    "staged_exchange_rates": (0.01, 0.06),
    "staged_orders": (1.11, 9.53),
    "staged_subscriptions": (0.11, 0.58),
    "staged_surveys": (0.3, 2.27),
}
# How much more is a change that somebody should look at; less is welcome.
MORE = 1.1


def build(home: Path) -> tuple[DbtRun, int]:
    """Build a generated shop; return the run, and how many orders it has."""
    orders = generate(home / "raw", ORDERS)["raw_orders"]
    return run_dbt(home, "build", vars={"raw_data": str(home / "raw")}), orders


def plans(run: DbtRun) -> Iterator[tuple[str, list[dict]]]:
    """Yield each SQL model with the operators of its plan, after it was carried out again."""
    home = Path(run.warehouse).parent
    nodes = json.loads((home / "target" / "manifest.json").read_text())["nodes"].values()
    profile = home / "profile.json"
    with duckdb.connect(run.warehouse, config={"threads": 1}) as con:
        con.execute("set TimeZone = 'UTC'; set enable_profiling = 'json'")
        con.execute(f"set profiling_output = '{profile}'")
        for node in nodes:
            if node["resource_type"] == "model" and node["language"] == "sql":
                con.execute(f"create or replace temp table made as {node['compiled_code']}")
                yield node["name"], list(operators(json.loads(profile.read_text())))


def operators(plan: dict) -> Iterator[dict]:
    """Yield an operator and all below it."""
    yield plan
    for child in plan["children"]:
        yield from operators(child)


def figures(plan: list[dict], orders: int) -> tuple[float, float]:
    """Return the figures of a plan."""
    scanned = sum(one.get("operator_rows_scanned") or 0 for one in plan)
    handed_on = sum(one.get("operator_cardinality") or 0 for one in plan)
    return round(scanned / orders, 2), round(handed_on / orders, 2)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, set[str]]]:
    run, orders = build(tmp_path_factory.mktemp("plans"))
    assert run.exit_code == 0, run.output
    return {
        name: (*figures(plan, orders), {one.get("operator_name", "").strip() for one in plan})
        for name, plan in plans(run)
    }


def test_no_model_reads_or_moves_many_more_rows_than_it_did(measured):
    assert measured.keys() == FIGURES.keys()
    grown = {
        name: (FIGURES[name], now)
        for name, (*now, _) in measured.items()
        if any(a > MORE * b + 0.05 for a, b in zip(now, FIGURES[name], strict=True))
    }
    assert not grown, "rows per order, before and now"


def test_staging_reads_each_row_once_and_neither_sorts_nor_numbers_them(measured):
    for name in ("staged_orders", "staged_surveys"):
        _, _, operators = measured[name]
        assert not {one for one in operators if "WINDOW" in one or "ORDER" in one}, name
    scanned, _, _ = measured["staged_orders"]
    # The customers, and a few rates, are looked up.
    assert scanned < 1.2


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run, orders = build(Path(folder))
        for name, plan in sorted(plans(run)):
            print(f'    "{name}": {figures(plan, orders)},')
