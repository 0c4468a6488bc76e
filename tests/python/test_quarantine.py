"""The quarantine: which rows are left out, how many may be, and the checks of remaining rows."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.duckdb import DuckDBEngine, DuckDBTarget
from customer_loyalty.errors import GateError
from customer_loyalty.gate import check as gate
from customer_loyalty.gate import rules
from customer_loyalty.gate.results import read_staged_results, relation
from customer_loyalty.gate.watchdog import TooLong, watchdog
from customer_loyalty.publish.summary import summarise
from faults import FAULTS, clean, names, together
from faults import write as write_faults
from test_faults import ACTIONS, ROWS, assert_every_row_is_there, upper_floors
from test_gate import RUN, write
from test_marts import assert_right
from warehouse import open_marts, rows_of, run_sql

BAD_STATUS = {"status": "done"}


@pytest.fixture
def passes(project, refusal_sql, monkeypatch):
    """A function that runs the gate on raw inputs: (connection, results by rule, refusal).

    Without rules on distributions, a third of its work, which test_distributions.py tests.
    """
    monkeypatch.setattr(gate, "_judge_distributions", lambda *_: [])

    @contextmanager
    def run(raw, settings=None, **changes):
        of_run = replace(RUN, **changes)
        with open_marts(upper_floors(project, settings), raw, run=of_run) as con:
            results = {
                row["rule"]: row for row in rows_of(con, "from quality.gx_validation_results")
            }
            refusal = [text for (text,) in con.execute(refusal_sql).fetchall()]
            yield con, results, refusal[0] if refusal else None

    return run


def summary(con, name: str) -> dict:
    [row] = rows_of(con, "from quality.input_summary where input = ?", [name])
    return row


# --- those who follow -------------------------------------------------------------------------


def test_what_belongs_to_a_quarantined_customer_goes_too_and_is_not_counted(passes):
    raw = clean(rows=99)
    # 001 has all orders, 002 most answers, 003 all contracts.
    for place in range(3):
        raw["raw_customers"][place]["signed_up_at"] = ""
    raw["raw_orders"][4] |= BAD_STATUS
    raw["raw_orders"][98]["customer_id"] = "009"
    settings = {"max_quarantined_share": 0.04}
    with passes(raw, settings) as (con, results, refusal):
        assert refusal is None
        orders = summary(con, "raw_orders")
        assert (orders["rows_in"], orders["rows_left_out"], orders["rows_used"]) == (99, 98, 1)
        assert (orders["rows_quarantined"], orders["rows_followed"]) == (1, 97)
        assert orders["reasons"] == "customer_was_quarantined 98, status_is_known 1"
        assert summary(con, "raw_surveys")["rows_followed"] == 119
        assert summary(con, "raw_subscriptions")["rows_followed"] == 99
        reasons = dict(
            con.execute("select order_id, reasons from quality.quarantined_raw_orders").fetchall()
        )
        assert reasons["o5"] == "status_is_known, customer_was_quarantined"
        assert reasons["o6"] == "customer_was_quarantined"
        left_out = con.execute("select customer_id from quality.quarantined_raw_customers")
        assert sorted(left_out.fetchall()) == [("001",), ("002",), ("003",)]
        assert results["order_customer_is_known"]["success"]


def test_customers_of_another_source_are_not_followed(passes):
    raw = clean()
    for name, rows in raw.items():
        raw[name] = rows + [row | {"source_system": "demo"} for row in rows]
    raw["raw_customers"][0]["signed_up_at"] = "soon"
    raw["raw_orders"][38]["customer_id"] = "009"
    with passes(raw, sources=["files", "demo"]) as (con, _, refusal):
        assert refusal is None
        found = con.execute(
            "select source_system, count(*) from quality.quarantined_raw_orders group by all"
        ).fetchall()
        assert found == [("files", 38)]


# --- how many may be --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "share", "broken", "open_"),
    [
        (39, 0.01, 1, True),
        (39, 0.01, 2, False),
        (39, 0, 1, True),
        (99, 0.01, 1, True),
        (99, 0.01, 2, False),
        (100, 0.01, 1, True),
        (100, 0.01, 2, False),
        (100, 0.009, 1, False),
        (100, 0, 1, False),
        (100, 0.29, 29, True),
        (100, 0.29, 30, False),
        (39, 1, 39, False),
    ],
)
def test_no_more_rows_are_left_out_than_may_be(passes, rows, share, broken, open_):
    raw = clean(rows=rows)
    for row in raw["raw_orders"][:broken]:
        row |= BAD_STATUS
    with passes(raw, {"max_quarantined_share": share}) as (con, results, refusal):
        assert (refusal is None) == open_
        assert summary(con, "raw_orders")["rows_quarantined"] == broken
        if broken == rows:
            # All orders are left out, within the share: but there must be some.
            assert "orders_not_empty (stop)" in refusal
            assert "broken by what remains of" in refusal
            assert results["orders_not_empty"]["left_success"] is False
        elif not open_:
            assert f"{broken} of {rows} rows of raw_orders break rules" in refusal
            assert f"status_is_known (quarantine)  {broken} of {rows} rows" in refusal


def test_a_row_with_several_faults_counts_once(passes):
    raw = clean()
    raw["raw_orders"][4] |= BAD_STATUS | {"amount": "x", "customer_id": "nobody"}
    with passes(raw) as (con, _, refusal):
        assert refusal is None
        [row] = rows_of(con, "from quality.quarantined_raw_orders")
        assert row["reasons"] == "amount_is_number, order_customer_is_known, status_is_known"
        assert (row["order_id"], row["_source_file"], row["_source_row"]) == (
            "o5",
            "raw_orders.csv",
            6,
        )
        assert row["breaks_a_rule"] and not row["follows_customer"]


def test_a_limit_exceeded_in_one_input_does_not_affect_another(passes):
    raw = clean()
    for row in raw["raw_orders"][4:7]:
        row |= BAD_STATUS
    raw["raw_surveys"][4]["score"] = "11"
    with passes(raw) as (_, _, refusal):
        assert "status_is_known" in refusal
        assert "nps_score" not in refusal


# --- strict, and actions that somebody changed ------------------------------------------------


def only_warns(fault) -> bool:
    return ACTIONS[fault.rules[0]] == "warn"


@pytest.mark.parametrize("faults", together(FAULTS[::12], alike=only_warns), ids=names)
def test_strict_lets_nothing_be_left_out(passes, faults):
    raw = clean(ROWS)
    write_faults(faults, raw)
    with passes(raw, strict=True) as (con, results, refusal):
        for fault in faults:
            action = results[fault.rules[0]]["action"]
            assert action in ("stop", "warn"), fault.name
            assert bool(refusal) == (action == "stop"), fault.name
            assert not refusal or fault.rules[0] in refusal, fault.name
        assert not con.execute("select 1 from quality.quarantine_reasons").fetchall()


@pytest.fixture
def one_word(monkeypatch):
    """A function that changes the action of rules, as somebody would in the suite files."""

    def change(**actions):
        load = rules.load_suite

        def changed(name):
            return [
                replace(rule, action=actions.get(rule.name, rule.action)) for rule in load(name)
            ]

        monkeypatch.setattr(gate, "load_suite", changed)

    return change


# One fault a rule.
OTHERS = {
    fault.rules: fault
    for fault in FAULTS
    if ACTIONS[fault.rules[0]] != "quarantine" and fault.input not in rules.NO_QUARANTINE
}


@pytest.mark.parametrize("faults", together(OTHERS.values()), ids=names)
def test_every_rule_on_rows_can_leave_them_out(passes, one_word, faults):
    """Where somebody changes one word, duplicates and rows without an id too."""
    raw = clean(ROWS)
    broken: dict[str, set[int]] = {}
    for fault, rows in write_faults(faults, raw).items():
        broken.setdefault(fault.input, set()).update(rows)
    rules_of_faults = [rule for fault in faults for rule in fault.rules]
    one_word(**dict.fromkeys(rules_of_faults, "quarantine"))
    with passes(raw, {"max_quarantined_share": 0.1}) as (con, results, refusal):
        assert refusal is None
        assert_every_row_is_there(con, raw, broken)
        assert [rule for rule in rules_of_faults if not results[rule]["left_success"]] == []


@pytest.mark.parametrize("faults", together(FAULTS[::6]), ids=names)
def test_every_rule_can_only_warn(passes, one_word, faults):
    raw = clean(ROWS)
    write_faults(faults, raw)
    one_word(**dict.fromkeys((rule for fault in faults for rule in fault.rules), "warn"))
    with passes(raw) as (con, results, refusal):
        assert refusal is None
        assert [one.name for one in faults if results[one.rules[0]]["success"]] == []
        assert_every_row_is_there(con, raw, {})


def test_rules_that_can_not_leave_rows_out_say_so(passes, one_word, tmp_path, monkeypatch):
    one_word(orders_not_empty="quarantine")
    with (
        pytest.raises(GateError, match="orders_not_empty is on the whole input"),
        passes(clean() | {"raw_orders": []}),
    ):
        pass
    folder = Path(rules.__file__).with_name("suites")
    (tmp_path / "suites").mkdir()
    text = (folder / "raw_exchange_rates.yml").read_text("utf-8")
    changed = text.replace("action: stop", "action: quarantine", 1)
    (tmp_path / "suites" / "raw_exchange_rates.yml").write_text(changed)
    monkeypatch.setattr(rules, "files", lambda _package: tmp_path)
    with pytest.raises(GateError, match="an older one would be used instead"):
        rules.load_suite("raw_exchange_rates")


# --- an input that shrank ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "share", "least"),
    [(78, "0.5", 39), (79, "0.5", 40), (79, "1", 0), (40, "0", 40), (39, "0", 39)],
)
def test_the_least_number_of_rows(before, share, least):
    run = replace(RUN, rows_before={"raw_orders": before}, max_shrinkage_share=Decimal(share))
    same, other = (replace(run, same_build=same).parameters("raw_orders") for same in (True, False))
    assert (same["least_rows"], same["least_rows_beside_another_build"]) == (least, 0)
    assert (other["least_rows"], other["least_rows_beside_another_build"]) == (0, least)


@pytest.mark.parametrize(("before", "stops"), [(78, False), (79, True)])
def test_an_input_that_lost_too_many_rows_stops(passes, before, stops):
    changes = {"rows_before": {"raw_orders": before}}
    with passes(clean(), same_build=True, **changes) as (_, results, refusal):
        assert results["orders_not_shrunk"]["success"] == (not stops)
        assert results["orders_not_shrunk_beside_another_build"]["success"]
        if stops:
            assert "orders_not_shrunk (stop)  39 rows" in refusal
            assert "39 found, at least 40 expected" in refusal
        else:
            assert refusal is None
    with passes(clean(), same_build=False, **changes) as (_, results, refusal):
        assert results["orders_not_shrunk"]["success"]
        assert results["orders_not_shrunk_beside_another_build"]["success"] == (not stops)
        assert refusal is None


def test_rows_left_out_do_not_count_as_shrinkage(passes):
    raw = clean()
    raw["raw_orders"][4] |= BAD_STATUS
    with passes(raw, same_build=True, rows_before={"raw_orders": 78}) as (_, results, refusal):
        assert refusal is None
        assert results["orders_not_shrunk"]["left_success"]


# --- the marts --------------------------------------------------------------------------------


def test_the_marts_are_those_of_the_remaining_rows(project):
    raw, kept = clean(), clean()
    raw["raw_orders"][4] |= {"ordered_at": "2025-03-31", "status": "done"}
    raw["raw_surveys"][4] |= {"score": "0", "scale_max": "5"}
    raw["raw_customers"][2]["signed_up_at"] = "2099-01-01"
    del kept["raw_orders"][4], kept["raw_surveys"][4], kept["raw_customers"][2]
    kept["raw_subscriptions"] = []
    assert_right(run_sql(project.sql({}), raw, run=RUN), kept, {})


# --- the steps of the gate belong together ----------------------------------------------------


def test_rows_of_another_staging_are_not_left_out(project):
    raw = clean()
    raw["raw_orders"][4] |= BAD_STATUS
    with open_marts(upper_floors(project), raw, run=RUN) as con:
        staged = read_staged_results(DuckDBEngine(con))
        gate.validate_left(DuckDBEngine(con), RUN, staged)
        con.execute("update quality.quarantine_reasons set staged_by = 'another'")
        with pytest.raises(gate.Unchecked, match="Run dbt build"):
            gate.validate_left(DuckDBEngine(con), RUN, staged)
        con.execute("delete from quality.quarantine_reasons")
        with pytest.raises(gate.Unchecked):
            gate.validate_left(DuckDBEngine(con), RUN, staged)


def test_remaining_rows_are_checked_again(project, refusal_sql):
    """Should a broken row stay for whatever reason, the gate is closed."""
    raw = clean()
    raw["raw_orders"][4] |= BAD_STATUS
    with open_marts(upper_floors(project), raw, run=RUN) as con:
        con.execute("create or replace view staging.remaining_orders as from staging.staged_orders")
        results = gate.validate_left(DuckDBEngine(con), RUN, read_staged_results(DuckDBEngine(con)))
        con.execute("drop table quality.gx_validation_results")
        relation(DuckDBEngine(con), results).create("quality.gx_validation_results")
        [(refusal,)] = con.execute(refusal_sql).fetchall()
    assert "status_is_known (quarantine)  1 of 39 rows" in refusal


# --- a check that never ends ------------------------------------------------------------------


def test_a_check_that_takes_too_long_is_interrupted():
    with duckdb.connect() as con, pytest.raises(TooLong, match=r"gate_timeout_seconds \(0\.2"):
        started = time.monotonic()
        with watchdog(DuckDBEngine(con), 0.2):
            con.execute("select count(*) from range(10000000000) a, range(10000000000) b")
    assert time.monotonic() - started < 30


def test_an_error_before_the_time_limit_is_raised():
    with (
        duckdb.connect() as con,
        pytest.raises(duckdb.CatalogException),
        watchdog(DuckDBEngine(con), 60),
    ):
        con.execute("from nowhere")


def test_a_check_in_time_leaves_nothing_behind():
    with duckdb.connect() as con:
        with watchdog(DuckDBEngine(con), 0.05):
            con.execute("select 1")
        time.sleep(0.2)
        assert con.execute("select 1").fetchall() == [(1,)]


def test_checks_that_can_not_be_interrupted_end_the_process():
    code = (
        "import duckdb, time\n"
        "from customer_loyalty.engines.duckdb import DuckDBEngine\n"
        "from customer_loyalty.gate.watchdog import watchdog\n"
        "with watchdog(DuckDBEngine(duckdb.connect()), 0.1, grace=0.2): time.sleep(60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert "gate stays closed. The process ends." in done.stderr


# --- whole commands ---------------------------------------------------------------------------


def test_a_build_leaves_rows_out_warns_and_says_so(dbt, tmp_path):
    raw = clean()
    raw["raw_orders"][4] |= BAD_STATUS
    raw["raw_customers"][1]["signed_up_at"] = "Maria"
    raw["raw_customers"][5]["country_code"] = "XX"
    run = dbt("build", vars=write(tmp_path / "in", raw))
    assert run.exit_code == 0, run.output
    assert "WARNING: raw_customers.country_code  country_code_is_iso (warn)  1 of " in run.output
    assert "customer_id 006 (raw_customers.csv row 7)" in run.output
    summary = summarise(DuckDBTarget(None, run.warehouse, run.published))
    assert "1 warn: country_code_is_iso" in summary
    assert "QUARANTINE: 1 of 39 rows of raw_orders left out (status_is_known 1)" in run.output
    assert "QUARANTINE: 59 of 62 rows of raw_surveys" in run.output
    with duckdb.connect(run.published, read_only=True) as con:
        counts = con.execute(
            "select input, rows_in, rows_left_out, rows_used from quality.input_summary order by 1"
        ).fetchall()
        [left_out] = rows_of(con, "from quality.quarantined_raw_orders")
        [build] = rows_of(con, "from marts.published_build")
        exported = con.execute("select count(*), count(says), count(remedy) from quality.rules")
        suites = [rule for name in INPUTS for rule in rules.load_suite(name)]
        assert len(set(exported.fetchall()[0])) == 1
        assert len(suites) <= con.execute("select count(*) from quality.rules").fetchall()[0][0]
    assert counts == [
        ("raw_customers", 39, 1, 38),
        ("raw_exchange_rates", 29, 0, 29),
        ("raw_orders", 39, 1, 38),
        ("raw_subscriptions", 39, 0, 39),
        ("raw_surveys", 62, 59, 3),
    ]
    assert (left_out["order_id"], left_out["_source_row"]) == ("o5", 6)
    assert build["rows_raw_orders"] == 39

    # Mended, without a hand at the quarantine: nothing is left out any more.
    again = dbt("build", vars=write(tmp_path / "in", clean()))
    assert again.exit_code == 0 and "QUARANTINE" not in again.output
    with duckdb.connect(again.published, read_only=True) as con:
        assert not con.execute("from quality.quarantined_raw_orders").fetchall()


def test_a_stopped_build_leaves_the_published_file_unchanged(dbt, tmp_path):
    """Nothing left, shrunk, too long; test_gate.py has a build beyond the limit."""
    good = dbt("build", vars=write(tmp_path / "in", clean()))
    assert good.exit_code == 0, good.output
    published = Path(good.published)
    before = published.read_bytes()
    # A second, the least that can be set, is enough to check these inputs.
    soon = {"macros/gate/gate.sql": [("{{ setting('gate_timeout_seconds') }} as", "1e-1 as")]}
    for settings, orders, changes, message in (
        ({"max_quarantined_share": 1}, [BAD_STATUS] * 39, {}, "broken by what remains of 39 rows"),
        ({}, None, {}, "19 found, at least 20 expected"),
        ({}, [], soon, "longer than gate_timeout_seconds (0.1)"),
    ):
        raw = clean()
        for row, change in zip(raw["raw_orders"], orders or [], strict=False):
            row |= change
        if orders is None:
            raw["raw_orders"] = raw["raw_orders"][:19]
        run = dbt("build", vars=write(tmp_path / "in", raw) | settings, changes=changes)
        assert run.exit_code != 0, message
        assert message in run.output, run.output
        assert "Traceback" not in run.output
        assert "NOT PUBLISHED" in run.output
        assert published.read_bytes() == before
