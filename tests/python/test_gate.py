"""The gate: every rule finds what it is there for and nothing else, and nobody walks around it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

import faults
from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.errors import GateError
from customer_loyalty.gate import check as gate
from customer_loyalty.gate import examples, rules
from customer_loyalty.gate.results import Result
from faults import FAULTS, clean
from warehouse import PROJECT, stage, write_csv

NOW = datetime(2025, 6, 1, 12)
RUN = gate.Run("test", NOW, ["files"], countries=["NA", "FI"], languages=["fi", "de"])


# Rules that look at a whole input: no fault of a row breaks them.
WHOLE = {"customers_not_empty", "orders_not_empty"} | {
    f"{what}_not_shrunk{beside}"
    for what in ("customers", "orders", "answers", "rates", "subscriptions")
    for beside in ("", "_beside_another_build")
}


def check(project, raw, **settings) -> dict[str, Result]:
    """The gate's results on raw inputs, by rule."""
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql(settings), raw)
        results = gate.validate(DuckDBEngine(con), RUN)
    assert [result.rule for result in results] == [
        rule.name for name in INPUTS for rule in gate.load_suite(name)
    ]
    return {result.rule: result for result in results}


def broken(results: dict[str, Result]) -> set[str]:
    return {rule for rule, result in results.items() if not result.success}


def test_clean_inputs_break_no_rule(project):
    assert broken(check(project, clean())) == set()


def test_every_rule_finds_its_faults_and_no_others(project):
    raw, expected = all_at_once()
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql({}), raw)
        results = gate.validate(DuckDBEngine(con), RUN)
        found = rows_by_rule(con, results)

    assert found == expected
    assert {one.rule for one in results if one.success} == WHOLE
    assert {one.rule: one.unexpected_count for one in results if not one.success} == {
        rule: len(rows) for rule, rows in expected.items()
    }
    for one in results:
        for row in sorted(found.get(one.rule, ()))[: examples.EXAMPLES]:
            assert f".csv row {row}" in one.examples, (one.rule, one.examples)


def all_at_once() -> tuple[dict[str, list[dict]], dict[str, set[int]]]:
    """Inputs with every fault in a row of its own, and the rows that break each rule."""
    raw = clean(rows=80)
    expected: dict[str, set[int]] = {}
    for fault, broken in faults.write(FAULTS, raw).items():
        for rule in fault.rules:
            expected.setdefault(rule, set()).update(broken)
    return raw, expected


def rows_by_rule(con, results: list[Result]) -> dict[str, set[int]]:
    """The rows that break each broken rule, whatever its action."""
    failed = [replace(one, action="quarantine") for one in results if not one.success]
    gate.broken_rows(DuckDBEngine(con), RUN, failed)
    return {
        rule: set(rows)
        for rule, rows in con.execute(
            "select rule, list(_source_row) from broken_rows group by rule"
        ).fetchall()
    }


def test_a_required_input_without_rows_stops(project):
    results = check(project, {"raw_surveys": []})
    assert broken(results) == {"customers_not_empty", "orders_not_empty"}
    assert {results[rule].action for rule in broken(results)} == {"stop"}


def test_each_source_needs_its_required_inputs(project):
    raw = clean()
    raw["raw_orders"] = [row | {"source_system": "demo"} for row in raw["raw_orders"]]
    raw["raw_customers"] += [row | {"source_system": "demo"} for row in raw["raw_customers"]]
    raw["raw_exchange_rates"] += [
        row | {"source_system": "demo"} for row in raw["raw_exchange_rates"]
    ]
    assert broken(check(project, raw)) == {"orders_not_empty"}


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-01-31", "2025-01-31 00:00:00"),
        ("2025-01-31 10:20", "2025-01-31 10:20:00"),
        ("2025-01-31T10:20:30", "2025-01-31 10:20:30"),
        ("2025-01-31T10:20:30.123456", "2025-01-31 10:20:30.123456"),
        ("2025-01-31T10:20:30.120000000", "2025-01-31 10:20:30.12"),
        ("2025-01-31T10:20:30Z", "2025-01-31 10:20:30"),
        ("2025-01-31T10:20Z", "2025-01-31 10:20:00"),
        ("2025-01-31 01:20+02", "2025-01-30 23:20:00"),
        ("2025-01-31 01:20:30.5+0200", "2025-01-30 23:20:30.5"),
        ("2025-01-31T20:20-09:30", "2025-02-01 05:50:00"),
    ],
)
def test_timestamps_are_converted_to_utc(project, text, utc):
    raw = clean()
    raw["raw_orders"] = [raw["raw_orders"][0] | {"ordered_at": text}]
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'Asia/Tokyo'")
        stage(con, project.sql({}), raw)
        [(found,)] = con.execute("select ordered_at from staging.staged_orders").fetchall()
    assert found == datetime.fromisoformat(utc)


def test_a_rule_without_a_result_is_an_error(project, monkeypatch):
    load = gate.load_suite
    first, *rest = load("raw_orders")
    suite = (replace(first, kwargs=first.kwargs | {"column": "no_such_column"}), *rest)
    monkeypatch.setattr(gate, "load_suite", lambda name: suite if "orders" in name else load(name))
    with pytest.raises(GateError, match="orders_not_empty gave no result"):
        check(project, clean())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "expect_no_such_thing"}, "expect_no_such_thing not found"),
        ({"kwargs": {"column": "status", "value_sets": []}}, "value_sets"),
    ],
)
def test_a_rule_that_great_expectations_does_not_know_is_named(project, monkeypatch, change, words):
    load = gate.load_suite
    suite = [
        replace(one, **change) if one.name == "country_code_is_iso" else one
        for one in load("raw_customers")
    ]
    monkeypatch.setattr(
        gate, "load_suite", lambda name: suite if name == "raw_customers" else load(name)
    )
    message = rf"suites/raw_customers.yml: rule country_code_is_iso: (.|\n)*{words}"
    with pytest.raises(GateError, match=message):
        check(project, clean())


def test_examples_contain_no_personal_data(project):
    raw = clean()
    raw["raw_customers"][30] |= {"customer_id": "maria@example.com", "signed_up_at": ""}
    raw["raw_orders"][1] |= {"order_id": "Maria Virtanen", "amount": "मारिया"}
    # A broken quote shifts a name into the columns beside it.
    raw["raw_orders"][0] |= {"status": "Maria Virtanen", "amount": "Maria", "ordered_at": "Maria V"}
    raw["raw_surveys"][0] |= {"survey_type": "Maria Virtanen", "score": "Maria 7"}
    shown = " ".join(result.examples or "" for result in check(project, raw).values())
    assert "order_id o1" in shown and "looks like aaaaa 9" in shown
    assert "customer_id looks like aaaaa@aaaaaaa.aaa" in shown
    assert "aria" not in shown and "म" not in shown


def test_every_rule_says_what_it_means_under_a_name_of_its_own():
    suites = [rule for name in rules.SUITES for rule in rules.load_suite(name)]
    for rule in suites:
        assert rule.says.endswith("."), rule
        assert rule.remedy.endswith("."), rule
    rules.check_names(suites)
    again = replace(suites[-1], name=suites[0].name)
    message = f"{suites[0].name} is in {suites[0].suite} and again in {again.suite}"
    with pytest.raises(GateError, match=message):
        rules.check_names([*suites, again])


def test_a_suite_without_an_action_is_refused(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    text = (PROJECT / "customer_loyalty" / "gate" / "suites" / "raw_orders.yml").read_text("utf-8")
    (tmp_path / "suites" / "raw_orders.yml").write_text(text.replace("action: warn", "action: no"))
    monkeypatch.setattr(rules, "files", lambda _package: tmp_path)
    with pytest.raises(GateError, match="order_not_before_sign_up"):
        rules.load_suite("raw_orders")


# --- whole commands --------------------------------------------------------------------------


def write(folder: Path, raw: dict[str, list[dict]]) -> dict[str, str]:
    write_csv(folder, raw)
    return {"raw_data": str(folder)}


def test_a_closed_gate_stops_everything_below_it(dbt, clean_build, tmp_path):
    published = clean_build.parent / "dashboards.duckdb"
    before = published.read_bytes()
    raw = clean()
    raw["raw_orders"][4]["amount"] = "-3"
    raw["raw_orders"][5]["amount"] = "-4"
    raw["raw_surveys"][7]["response_id"] = ""
    bad = write(tmp_path / "bad", raw)

    run = dbt("build", vars=bad)

    assert run.exit_code != 0
    assert "2 of 39 rows of raw_orders break rules, at most 1 may be quarantined" in run.output
    assert "amount_not_negative (quarantine)  2 of 39 rows" in run.output
    # One row a line.
    assert re.search(
        r"\n +order_id o5 \(raw_orders.csv row 6: amount -3\)\n +order_id o6", run.output
    )
    assert "response_id_not_empty (stop)  1 of 62 rows" in run.output
    assert "response_id empty (raw_surveys.csv row 9)" in run.output
    assert "NOT PUBLISHED" in run.output
    assert "Traceback" not in run.output

    # Nothing else gets by either: not the rest of the build, a part of it, or no rows at all.
    for command in (
        ("retry",),
        ("run",),
        ("run", "--select", "clean_orders"),
        ("build", "--select", "clean_orders+"),
        ("run", "--select", "clean_orders", "--empty"),
    ):
        again = dbt(*command, vars=None if command == ("retry",) else bad)
        assert again.exit_code != 0, command
        assert "The gate is closed" in again.output, command
    with duckdb.connect(run.warehouse, read_only=True) as con:
        # The marts are those of before; clean rows are views of what was staged since.
        orders = con.execute("select sum(orders) from marts.customers").fetchall()
        for table in ("clean.clean_orders", "clean.clean_customers", "intermediate.int_answers"):
            with pytest.raises(duckdb.InvalidInputException, match="The gate is closed"):
                con.execute(f"select * from {table} limit 1").fetchall()
    with duckdb.connect(str(published), read_only=True) as con:
        assert con.execute("select sum(orders) from marts.customers").fetchall() == orders
    assert published.read_bytes() == before


def test_inputs_staged_again_are_unchecked(dbt, clean_build):
    good = {"raw_data": str(clean_build)}
    assert dbt("run", "--select", "staged_orders", vars=good).exit_code == 0
    run = dbt("run", "--select", "clean_orders", vars=good)
    assert run.exit_code != 0
    assert "raw_orders was staged again after the last check" in run.output


def test_a_fault_in_a_file_leaves_no_older_result(dbt, clean_build, tmp_path):
    raw = clean()
    write(tmp_path / "bad", raw)
    (tmp_path / "bad" / "raw_customers.csv").write_bytes(b"")
    run = dbt("build", vars={"raw_data": str(tmp_path / "bad")})
    assert run.exit_code != 0
    assert "raw_customers.csv: the file is empty" in run.output
    assert "Traceback" not in run.output
    with duckdb.connect(run.warehouse, read_only=True) as con:
        results = con.execute("select count(*) from quality.gx_validation_results").fetchall()
    assert results == [(0,)]


def test_inputs_that_were_never_checked_are_refused(dbt, tmp_path):
    good = write(tmp_path / "good", clean())
    folders = [f"path:models/{folder}" for folder in ("raw", "staging", "clean")]
    run = dbt("run", "--select", *folders, vars=good)
    assert run.exit_code != 0
    assert "never checked" in run.output
