"""The gate: every rule finds what it is there for and nothing else, and nobody walks around it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from customer_loyalty import gate, rules
from customer_loyalty.contract import INPUTS
from warehouse import PROJECT, stage, write_csv

NOW = datetime(2025, 6, 1, 12)
RUN = gate.Run("test", NOW, ["files"], countries=["NA", "FI"], languages=["fi", "de"])


def clean() -> dict[str, list[dict]]:
    """Inputs that break no rule."""
    return {
        "raw_customers": [
            {
                "customer_id": f"{number:03}",
                "signed_up_at": "2024-01-01T00:00:00+02:00",
                "email": "someone@example.com",
                "full_name": "Some One",
                "country_code": "NA",
                "language_code": "fi",
                "acquisition_channel": "referral",
            }
            for number in range(1, 40)
        ],
        "raw_orders": [
            {
                "order_id": f"o{number}",
                "customer_id": "001",
                "ordered_at": "2025-01-31 08:00:00",
                "status": "completed",
                "currency_code": "USD",
                "amount": "12.5000",
                "refunded_amount": "2.5",
            }
            for number in range(1, 40)
        ],
        "raw_surveys": [
            {
                "response_id": f"r{number}",
                "customer_id": "002",
                "survey_type": "nps",
                "responded_at": "2025-02-01",
                "score": "9.0",
                "scale_min": "0",
                "scale_max": "10",
                "channel": "email",
                "language_code": "de",
                "comment": "Good",
            }
            for number in range(1, 60)
        ]
        + [
            {
                "response_id": f"c{number}",
                "customer_id": "004",
                "survey_type": survey_type,
                "responded_at": "2025-02-02",
                "score": str(number),
                "scale_min": "1",
                "scale_max": "7",
                "channel": "",
                "language_code": "",
                "comment": "",
            }
            for number, survey_type in enumerate(("csat", "ces", "review"), start=4)
        ],
        "raw_exchange_rates": [
            {"currency_code": "USD", "rate_date": f"2025-01-{day:02}", "rate_to_reporting": "0.9"}
            for day in range(1, 30)
        ],
        "raw_subscriptions": [
            {
                "subscription_id": f"s{number}",
                "customer_id": "003",
                "started_on": "2025-02-01",
                "ended_on": "",
                "monthly_amount": "10",
                "currency_code": "USD",
            }
            for number in range(1, 40)
        ],
    }


# What is written into a clean row of its own, and the rule that must find just that row.
CSAT = {"survey_type": "csat", "scale_min": "1", "scale_max": "5", "score": "3"}
FAULTS: list[tuple[str, str, dict[str, str]]] = [
    ("customer_id_not_empty", "raw_customers", {"customer_id": " "}),
    ("signed_up_at_is_timestamp", "raw_customers", {"signed_up_at": "31/12/2024"}),
    ("signed_up_at_not_empty", "raw_customers", {"signed_up_at": ""}),
    ("signed_up_at_not_in_future", "raw_customers", {"signed_up_at": "2025-06-01 12:00:01"}),
    ("country_code_is_iso", "raw_customers", {"country_code": "XX"}),
    ("customer_language_code_is_iso", "raw_customers", {"language_code": "xx"}),
    ("acquisition_channel_not_reserved", "raw_customers", {"acquisition_channel": "unknown"}),
    ("order_id_not_empty", "raw_orders", {"order_id": ""}),
    ("order_customer_is_known", "raw_orders", {"customer_id": "1"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "2025-02-30"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "1735689600000"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "2025-01-31+02:00"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "2025-01-31T10:00:00+02:75"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "infinity"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "0000-01-01"}),
    ("ordered_at_is_timestamp", "raw_orders", {"ordered_at": "2025-01-31T10:00:00+99:00"}),
    ("ordered_at_not_empty", "raw_orders", {"ordered_at": ""}),
    ("ordered_at_not_in_future", "raw_orders", {"ordered_at": "2025-06-01T12:00:01Z"}),
    (
        "order_not_before_sign_up",
        "raw_orders",
        {"ordered_at": "2023-12-31", "currency_code": "EUR"},
    ),
    ("status_not_empty", "raw_orders", {"status": ""}),
    ("status_is_known", "raw_orders", {"status": "Completed"}),
    ("order_currency_code_not_empty", "raw_orders", {"currency_code": ""}),
    ("order_has_rate", "raw_orders", {"currency_code": "usd"}),
    ("order_has_rate", "raw_orders", {"ordered_at": "2024-12-31"}),
    ("amount_is_number", "raw_orders", {"amount": "12,50", "refunded_amount": ""}),
    ("amount_is_number", "raw_orders", {"amount": "1.23456", "refunded_amount": ""}),
    ("amount_is_number", "raw_orders", {"amount": "1e40", "refunded_amount": ""}),
    ("amount_is_number", "raw_orders", {"amount": "123456789012345", "refunded_amount": ""}),
    ("amount_is_number", "raw_orders", {"amount": "nan", "refunded_amount": ""}),
    ("amount_is_number", "raw_orders", {"amount": "1_000", "refunded_amount": ""}),
    ("amount_not_empty", "raw_orders", {"amount": "", "refunded_amount": ""}),
    ("amount_not_negative", "raw_orders", {"amount": "-0.0001", "refunded_amount": ""}),
    ("refunded_amount_is_number", "raw_orders", {"refunded_amount": "none"}),
    ("refunded_amount_not_negative", "raw_orders", {"refunded_amount": "-1"}),
    ("refunded_amount_within_amount", "raw_orders", {"refunded_amount": "12.5001"}),
    ("response_id_not_empty", "raw_surveys", {"response_id": ""}),
    ("answer_customer_is_known", "raw_surveys", {"customer_id": "nobody"}),
    ("survey_type_not_empty", "raw_surveys", {"survey_type": ""}),
    ("survey_type_is_known", "raw_surveys", {"survey_type": "NPS"}),
    ("responded_at_is_timestamp", "raw_surveys", {"responded_at": "yesterday"}),
    ("responded_at_not_empty", "raw_surveys", {"responded_at": ""}),
    ("responded_at_not_in_future", "raw_surveys", {"responded_at": "2099-01-01"}),
    ("answer_not_before_sign_up", "raw_surveys", {"responded_at": "2023-12-31"}),
    ("score_is_number", "raw_surveys", {"score": "nine"}),
    ("score_not_empty", "raw_surveys", {"score": ""}),
    ("nps_score_is_0_to_10", "raw_surveys", {"score": "9.5"}),
    ("nps_score_is_0_to_10", "raw_surveys", {"score": "11"}),
    ("nps_score_is_0_to_10", "raw_surveys", {"score": "-1"}),
    ("score_not_below_scale", "raw_surveys", {**CSAT, "score": "0.9"}),
    ("score_not_above_scale", "raw_surveys", {**CSAT, "score": "5.1"}),
    ("scale_min_is_whole_number", "raw_surveys", {**CSAT, "scale_min": "1.5"}),
    ("scale_min_not_empty", "raw_surveys", {**CSAT, "scale_min": ""}),
    ("scale_max_is_whole_number", "raw_surveys", {**CSAT, "scale_max": "five"}),
    ("scale_max_not_empty", "raw_surveys", {**CSAT, "scale_max": ""}),
    ("scale_ends_above_its_start", "raw_surveys", {**CSAT, "scale_min": "3", "scale_max": "3"}),
    ("nps_scale_starts_at_0", "raw_surveys", {"scale_min": "1"}),
    ("nps_scale_ends_at_10", "raw_surveys", {"scale_max": "100"}),
    ("answer_language_code_is_iso", "raw_surveys", {"language_code": "english"}),
    ("channel_not_reserved", "raw_surveys", {"channel": "anonymous"}),
    ("rate_currency_code_not_empty", "raw_exchange_rates", {"currency_code": ""}),
    ("rate_date_is_date", "raw_exchange_rates", {"rate_date": "2025-01-01 12:00:00"}),
    ("rate_date_not_empty", "raw_exchange_rates", {"rate_date": ""}),
    ("rate_is_number", "raw_exchange_rates", {"rate_to_reporting": "0.12345678901"}),
    ("rate_not_empty", "raw_exchange_rates", {"rate_to_reporting": ""}),
    ("rate_above_0", "raw_exchange_rates", {"rate_to_reporting": "0"}),
    ("subscription_id_not_empty", "raw_subscriptions", {"subscription_id": ""}),
    ("subscription_customer_is_known", "raw_subscriptions", {"customer_id": ""}),
    ("started_on_is_date", "raw_subscriptions", {"started_on": "2025/02/01"}),
    ("started_on_not_empty", "raw_subscriptions", {"started_on": ""}),
    ("ended_on_is_date", "raw_subscriptions", {"ended_on": "open"}),
    ("ended_on_after_started_on", "raw_subscriptions", {"ended_on": "2025-02-01"}),
    ("monthly_amount_is_number", "raw_subscriptions", {"monthly_amount": "10 EUR"}),
    ("monthly_amount_not_empty", "raw_subscriptions", {"monthly_amount": ""}),
    ("monthly_amount_not_negative", "raw_subscriptions", {"monthly_amount": "-1"}),
    ("subscription_currency_code_not_empty", "raw_subscriptions", {"currency_code": ""}),
    ("subscription_has_rate", "raw_subscriptions", {"started_on": "2024-12-31"}),
]
# A row that is there twice is two rows that break the rule; spaces around an id don't count.
TWICE = {
    "customer_id_unique": ("raw_customers", {"customer_id": " 039 "}),
    "order_id_unique": ("raw_orders", {"order_id": "o39 "}),
    "response_id_unique": ("raw_surveys", {"response_id": "c6"}),
    "rate_unique": ("raw_exchange_rates", {"rate_date": "2025-01-29"}),
    "subscription_id_unique": ("raw_subscriptions", {"subscription_id": "s39"}),
}
# Words that break two rules: they are no ISO codes either.
RESERVED = {
    "country_code_not_reserved": ("raw_customers", {"country_code": "all"}),
    "customer_language_code_not_reserved": ("raw_customers", {"language_code": "all"}),
    "answer_language_code_not_reserved": ("raw_surveys", {"language_code": "anonymous"}),
}
EMPTY = {"customers_not_empty", "orders_not_empty"}
# What an input had in the published build is another matter.
SHRUNK = {
    f"{what}_not_shrunk{beside}"
    for what in ("customers", "orders", "answers", "rates", "subscriptions")
    for beside in ("", "_beside_another_build")
}


def check(project, raw, **settings) -> dict[str, gate.Result]:
    """The gate's results on raw inputs, by rule."""
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql(settings), raw)
        results = gate.validate(con, RUN)
    assert [result.rule for result in results] == [
        rule["meta"]["rule"] for name in INPUTS for rule in gate.load_suite(name)["expectations"]
    ]
    return {result.rule: result for result in results}


def broken(results: dict[str, gate.Result]) -> set[str]:
    return {rule for rule, result in results.items() if not result.success}


def test_clean_inputs_are_not_accused(project):
    assert broken(check(project, clean())) == set()


def test_every_rule_finds_its_faults_and_no_others(project):
    raw = clean()
    expected: dict[str, list[int]] = {}
    used = dict.fromkeys(INPUTS, 4)
    for rule, name, fault in FAULTS:
        # A row of its own for each fault, after the ids that other rows refer to.
        used[name] += 1
        raw[name][used[name] - 1] |= fault
        expected.setdefault(rule, []).append(used[name] + 1)
    for rule, (name, fault) in TWICE.items():
        raw[name].append(raw[name][-1] | fault)
        expected[rule] = [len(raw[name]), len(raw[name]) + 1]
    for rule, (name, fault) in RESERVED.items():
        used[name] += 1
        raw[name][used[name] - 1] |= fault
        expected[rule] = [used[name] + 1]
        expected[rule.replace("_not_reserved", "_is_iso")].append(used[name] + 1)

    results = check(project, raw)

    assert broken(results) == set(expected)
    assert set(results) - broken(results) == EMPTY | SHRUNK
    for rule, rows in expected.items():
        assert results[rule].unexpected_count == len(rows), rule
        for row in rows[:5]:
            assert f"row {row}" in results[rule].examples, (rule, results[rule].examples)


def test_a_required_input_without_rows_stops(project):
    results = check(project, {"raw_surveys": []})
    assert broken(results) == EMPTY
    assert {results[rule].action for rule in EMPTY} == {"stop"}


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
def test_timestamps_are_brought_to_utc(project, text, utc):
    raw = clean()
    raw["raw_orders"] = [raw["raw_orders"][0] | {"ordered_at": text}]
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'Asia/Tokyo'")
        stage(con, project.sql({}), raw)
        [(found,)] = con.execute("select ordered_at from staging.staged_orders").fetchall()
    assert found == datetime.fromisoformat(utc)


def test_a_rule_that_could_not_be_judged_is_an_error(project, monkeypatch):
    suite = gate.load_suite("raw_orders")
    suite["expectations"][0]["kwargs"]["column"] = "no_such_column"
    load = gate.load_suite
    monkeypatch.setattr(gate, "load_suite", lambda name: suite if "orders" in name else load(name))
    with pytest.raises(gate.GateError, match="orders_not_empty gave no result"):
        check(project, clean())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "expect_no_such_thing"}, "expect_no_such_thing not found"),
        ({"kwargs": {"column": "status", "value_sets": []}}, "value_sets"),
    ],
)
def test_a_rule_that_great_expectations_does_not_know_is_named(project, monkeypatch, change, told):
    suite = gate.load_suite("raw_customers")
    [rule] = [one for one in suite["expectations"] if one["meta"]["rule"] == "country_code_is_iso"]
    rule |= change
    monkeypatch.setattr(gate, "load_suite", lambda name: suite)
    message = rf"suites/raw_customers.yml: rule country_code_is_iso: (.|\n)*{told}"
    with pytest.raises(gate.GateError, match=message):
        check(project, clean())


def test_examples_tell_no_personal_data(project):
    raw = clean()
    raw["raw_customers"][30] |= {"customer_id": "maria@example.com", "signed_up_at": ""}
    raw["raw_orders"][1] |= {"order_id": "Maria Virtanen", "amount": "मारिया"}
    # A broken quote shifts a name into the columns beside it.
    raw["raw_orders"][0] |= {"status": "Maria Virtanen", "amount": "Maria", "ordered_at": "Maria V"}
    raw["raw_surveys"][0] |= {"survey_type": "Maria Virtanen", "score": "Maria 7"}
    told = " ".join(result.examples or "" for result in check(project, raw).values())
    assert "order_id o1" in told and "looks like aaaaa 9" in told
    assert "customer_id looks like aaaaa@aaaaaaa.aaa" in told
    assert "aria" not in told and "म" not in told


def test_every_rule_says_what_it_means_under_a_name_of_its_own():
    rules = [rule["meta"] for name in INPUTS for rule in gate.load_suite(name)["expectations"]]
    for rule in rules:
        assert rule["says"].endswith("."), rule
        assert rule["remedy"].endswith("."), rule
    names = [rule["rule"] for rule in rules]
    assert sorted(names) == sorted(set(names))


def test_a_suite_without_an_action_is_refused(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    text = (PROJECT / "customer_loyalty" / "suites" / "raw_orders.yml").read_text("utf-8")
    (tmp_path / "suites" / "raw_orders.yml").write_text(text.replace("action: warn", "action: no"))
    monkeypatch.setattr(rules, "files", lambda _package: tmp_path)
    with pytest.raises(gate.GateError, match="order_not_before_sign_up"):
        rules.load_suite("raw_orders")


# --- whole commands --------------------------------------------------------------------------


def write(folder: Path, raw: dict[str, list[dict]]) -> dict[str, str]:
    write_csv(folder, raw)
    return {"raw_data": str(folder)}


def test_a_closed_gate_stops_everything_below_it(dbt, tmp_path):
    built = dbt("build", vars=write(tmp_path / "good", clean()))
    assert built.exit_code == 0
    published = Path(built.published)
    before = published.read_bytes()
    raw = clean()
    raw["raw_orders"][4]["amount"] = "-3"
    raw["raw_orders"][5]["amount"] = "-4"
    raw["raw_surveys"][7]["response_id"] = ""
    bad = write(tmp_path / "bad", raw)

    run = dbt("build", vars=bad)

    assert run.exit_code != 0
    assert "2 of 39 rows of raw_orders break rules, at most 1 may be left out" in run.output
    assert "amount_not_negative (quarantine)  2 of 39 rows" in run.output
    assert "order_id o5 (raw_orders.csv row 6: amount -3); order_id o6" in run.output
    assert "response_id_not_empty (stop)  1 of 62 rows" in run.output
    assert "response_id empty (raw_surveys.csv row 9)" in run.output
    assert "NOT PUBLISHED" in run.output
    assert "Traceback" not in run.output

    # Nothing else gets by either: not the rest of the build, a part of it, or no rows at all.
    for command in (
        ("retry",),
        ("run",),
        ("run", "--select", "input_orders"),
        ("build", "--select", "input_orders+"),
        ("run", "--select", "input_orders", "--empty"),
    ):
        again = dbt(*command, vars=None if command == ("retry",) else bad)
        assert again.exit_code != 0, command
        assert "The gate is closed" in again.output, command
    with duckdb.connect(run.warehouse, read_only=True) as con:
        amounts = con.execute("select min(amount) from inputs.input_orders").fetchall()
    assert amounts[0][0] > 0
    assert published.read_bytes() == before


def test_what_was_staged_anew_is_unchecked(dbt, tmp_path):
    good = write(tmp_path / "good", clean())
    assert dbt("build", vars=good).exit_code == 0
    assert dbt("run", "--select", "staged_orders", vars=good).exit_code == 0
    run = dbt("run", "--select", "input_orders", vars=good)
    assert run.exit_code != 0
    assert "raw_orders was staged anew and not checked since" in run.output


def test_a_fault_in_a_file_leaves_no_older_result(dbt, tmp_path):
    assert dbt("build", vars=write(tmp_path / "good", clean())).exit_code == 0
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
    run = dbt("run", "--select", "path:models/staging", "path:models/inputs", vars=good)
    assert run.exit_code != 0
    assert "never checked" in run.output
