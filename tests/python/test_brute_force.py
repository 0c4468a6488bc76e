"""The plain recomputation of the marts, held against published numbers and identities."""

import csv
import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from brute_force import MARTS, marts, net_promoter_score, wilson
from compare import KEYS, differences
from worlds import cases

WORKED_EXAMPLE = {
    "A": ["2025-01-10", "2025-02-05", "2025-03-01"],
    "B": ["2025-01-20"],
    "C": ["2025-01-05", "2025-03-25"],
    "D": ["2025-02-02"],
    "E": ["2025-03-03", "2025-03-20", "2025-04-10"],
    "F": ["2025-01-31", "2025-03-04"],
}
# month, (start, end, retained, lost, new, reactivated, passing), retention rate, churn rate
WORKED_EXAMPLE_MONTHS = [
    (1, (0, 4, 0, 0, 4, 0, 0), None, None),
    (2, (4, 3, 2, 2, 1, 0, 0), 50, 50),
    (3, (3, 3, 1, 2, 1, 1, 0), 100 / 3, 200 / 3),
    (4, (3, 1, 1, 2, 0, 0, 0), 100 / 3, 200 / 3),
]
WORKED_EXAMPLE_ACTIVE_DAYS = {"A": 80, "B": 30, "C": 60, "D": 30, "E": 59, "F": 60, "G": 0}

random_worlds = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck)
)


def customer(id_: str, **columns: str) -> dict:
    """Return a customer's row."""
    return {"customer_id": id_, "signed_up_at": "2024-01-01"} | columns


def order(id_: str, customer_id: str, ordered_at: str, **columns: str) -> dict:
    """Return the row of a completed order of 10 EUR."""
    return {
        "order_id": id_,
        "customer_id": customer_id,
        "ordered_at": ordered_at,
        "status": "completed",
        "currency_code": "EUR",
        "amount": "10.00",
        "refunded_amount": "",
    } | columns


def subscription(id_: str, started_on: str, ended_on: str, amount: str, **columns: str) -> dict:
    """Return the row of a contract of customer 1 in EUR."""
    return {
        "subscription_id": id_,
        "customer_id": "1",
        "started_on": started_on,
        "ended_on": ended_on,
        "monthly_amount": amount,
        "currency_code": "EUR",
    } | columns


def answer(id_: str, kind: str, score: str, scale: str, **columns: str) -> dict:
    """Return the row of an anonymous answer."""
    low, high = scale.split("-")
    return {
        "response_id": id_,
        "customer_id": "",
        "survey_type": kind,
        "responded_at": "2024-01-01",
        "score": score,
        "scale_min": low,
        "scale_max": high,
    } | columns


def whole(rows: list[dict]) -> list[dict]:
    """Return the rows of all customers or answers together."""
    return [row for row in rows if row["dimension"] == "all"]


# --- published numbers -----------------------------------------------------------------------


def worked_example_case() -> tuple[dict[str, list[dict]], dict]:
    """Return the raw inputs and the settings of the worked example."""
    orders = [
        order(f"{who}{number}", who, f"{day} 12:00:00")
        for who, days in WORKED_EXAMPLE.items()
        for number, day in enumerate(days)
    ]
    orders.append(order("G0", "G", "2025-04-01 12:00:00", status="cancelled"))
    raw = {"raw_customers": [customer(one) for one in "ABCDEFG"], "raw_orders": orders}
    chosen = {
        "activity_window_days": 30,
        "as_of_date": "2025-04-30",
        "period_grains": ["month"],
        "segment_dimensions": [],
    }
    return raw, chosen


@pytest.fixture(scope="module")
def worked_example() -> dict[str, list[dict]]:
    """Return the marts of the worked example."""
    return marts(*worked_example_case())


@pytest.mark.parametrize(("month", "counts", "retention_rate", "churn_rate"), WORKED_EXAMPLE_MONTHS)
def test_worked_example(worked_example, month, counts, retention_rate, churn_rate):
    rows = worked_example["retention"]
    assert [row["period_start"] for row in rows] == [date(2025, n, 1) for n in (1, 2, 3, 4)]
    row, churn = rows[month - 1], worked_example["churn"][month - 1]
    columns = ("at_start", "at_end", "retained", "lost", "new", "reactivated", "passing")
    assert tuple(row[f"customers_{column}"] for column in columns) == counts
    if retention_rate is None:
        assert row["retention_rate_pct"] is None
        assert churn["churn_rate_pct"] is None
    else:
        assert row["retention_rate_pct"] == pytest.approx(retention_rate)
        assert churn["churn_rate_pct"] == pytest.approx(churn_rate)
    assert row["is_complete_period"]
    # The first order is of 5 January: a period that starts before 4 February is still filling up.
    assert row["is_burn_in_period"] is (month <= 2)


def test_worked_example_by_customer(worked_example):
    days = {row["customer_id"]: row["active_days"] for row in worked_example["customers"]}
    # January 10 to March 30, January 20 to February 18, …, and E up to the as-of date only.
    assert days == WORKED_EXAMPLE_ACTIVE_DAYS
    assert [r["customer_id"] for r in worked_example["customers"] if r["is_active"]] == ["E"]


def test_worked_net_promoter_score():
    row = net_promoter_score(1436, 968, 342)
    assert row["nps"] == pytest.approx(39.84, abs=0.005)
    assert row["nps_standard_error"] == pytest.approx(1.334, abs=0.0005)
    assert row["nps_low"] == pytest.approx(37.18, abs=0.005)
    assert row["nps_high"] == pytest.approx(42.41, abs=0.005)


def test_net_promoter_score_is_clipped():
    assert net_promoter_score(2, 0, 0)["nps_high"] == 100
    assert net_promoter_score(0, 0, 2)["nps_low"] == -100


def test_worked_wilson_interval():
    assert wilson(30, 40) == pytest.approx((59.81, 85.81), abs=0.005)
    assert wilson(0, 0) == (None, None)


@pytest.fixture(scope="module")
def cdnow() -> dict[str, list[dict]]:
    """Return the inputs of the CDNOW sample, where the test data are at hand."""
    folder = Path(os.environ.get("LOYALTY_TEST_DATA", "")) / "cdnow_sample"
    if "LOYALTY_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("no folder cdnow_sample in the one that LOYALTY_TEST_DATA names")
    raw = {}
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            raw[path.stem] = list(csv.DictReader(lines))
    return raw


def test_cdnow_lifetime_value(cdnow):
    (row,) = whole(marts(cdnow, {"reporting_currency": "USD"})["cltv"])
    assert row["average_purchase_value"] == pytest.approx(36.08, abs=0.005)
    assert row["average_purchase_frequency"] == pytest.approx(6.779, abs=0.0005)
    assert row["average_lifespan_years"] == pytest.approx(0.512, abs=0.0005)
    assert row["cltv"] == pytest.approx(125.3, abs=0.05)
    assert row["historic_revenue_per_customer"] == pytest.approx(103.56, abs=0.005)
    assert row["customers"] == 2357


# --- rules that have an example of their own ----------------------------------------------------


def test_a_contract_takes_over_from_orders():
    raw = {
        "raw_customers": [customer("1")],
        "raw_orders": [order("1", "1", "2024-01-10"), order("2", "1", "2024-04-01")],
        "raw_subscriptions": [subscription("s", "2024-01-20", "2024-02-10", "5")],
    }
    (row,) = marts(raw, {"as_of_date": "2024-04-30"})["customers"]
    # 10 days by the first order, 21 by the contract, none by the order after it.
    assert row["active_days"] == 31
    (row,) = marts(raw, {"as_of_date": "2024-01-19"})["customers"]
    assert (row["active_days"], row["is_active"]) == (10, True)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("10", "4", (10, 0, 6, 0, 0.0, 40.0, 40.0)),
        ("10", "15", (10, 0, 0, 5, 0.0, 100.0, 150.0)),
        ("10", "0", (10, 10, 0, 0, 100.0, 0.0, 0.0)),
        ("10", None, (10, 10, 0, 0, 100.0, 0.0, 0.0)),
        ("0", "10", (0, 0, 0, 0, None, None, None)),
    ],
)
def test_revenue_between_two_closes(before, after, expected):
    contracts = [subscription("a", "2024-01-01", "2024-02-15", before)]
    if after is not None:
        contracts.append(subscription("b", "2024-02-15", "", after))
    raw = {"raw_customers": [customer("1")], "raw_subscriptions": contracts}
    chosen = {"as_of_date": "2024-02-29", "period_grains": ["month"], "segment_dimensions": []}
    row = marts(raw, chosen)["churn"][1]
    revenue = [row[f"revenue_{name}"] for name in ("at_start", "lost", "contraction", "expansion")]
    rates = [row["revenue_churn_pct"], row["gross_revenue_retention_pct"]]
    assert (*revenue, *rates, row["net_revenue_retention_pct"]) == expected
    assert row["customers_lost"] == (after is None)


def test_a_change_of_exchange_rate_is_not_expansion():
    rates = [("2024-01-01", "1"), ("2024-02-10", "2"), ("2024-02-20", "4")]
    raw = {
        "raw_customers": [customer("1")],
        "raw_subscriptions": [subscription("a", "2024-01-01", "", "10", currency_code="USD")],
        "raw_exchange_rates": [
            {"currency_code": "USD", "rate_date": day, "rate_to_reporting": rate}
            for day, rate in rates
        ],
    }
    chosen = {"as_of_date": "2024-03-31", "period_grains": ["month"], "segment_dimensions": []}
    amounts = [
        (row["revenue_at_start"], row["revenue_expansion"]) for row in marts(raw, chosen)["churn"]
    ]
    assert amounts == [(0, 0), (10, 0), (40, 0)]


def test_exact_thresholds_of_satisfaction():
    # As floats, (3.1 - 1) / (4 - 1) is less than 0.7.
    raw = {
        "raw_surveys": [
            answer("1", "csat", "3.1", "1-4"),
            answer("2", "csat", "3.0999", "1-4"),
            answer("3", "ces", "4.96", "1-7"),
        ]
    }
    found = marts(raw, {"csat_satisfied_share": 0.7})
    assert whole(found["csat"])[0]["satisfied_responses"] == 1
    assert whole(found["ces"])[0]["easy_responses"] == 1
    found = marts(raw, {"csat_satisfied_share": 0.7, "csat_satisfied_from": {"1-4": 3}})
    assert whole(found["csat"])[0]["satisfied_responses"] == 2


def test_the_latest_answer_of_each_customer():
    half_past_eleven, the_same = "2024-01-31 23:30:00", "2024-02-01T01:30:00+02:00"
    raw = {
        "raw_customers": [customer("1", language_code="de")],
        "raw_surveys": [
            answer("9", "nps", "10", "0-10", customer_id="1", responded_at=half_past_eleven),
            # The same moment: '9' is the higher of the two as text.
            answer("10", "nps", "0", "0-10", customer_id="1", responded_at=the_same),
            answer("11", "nps", "7", "0-10"),
            answer("12", "nps", "7", "0-10"),
        ],
    }
    chosen = {"nps_responses": "latest_per_customer", "period_grains": ["month"]}
    found = marts(raw, chosen)
    by_language = {r["segment"]: r for r in found["nps"] if r["dimension"] == "language"}
    assert by_language["de"]["promoters"] == by_language["de"]["responses"] == 1
    assert by_language["anonymous"]["passives"] == 2
    assert found["customers"][0]["last_nps_score"] == 10


def test_a_calendar_date_is_the_one_in_the_reporting_time_zone():
    raw = {
        "raw_customers": [customer("1")],
        "raw_orders": [order("1", "1", "2024-01-01 04:59:59"), order("2", "1", "2024-01-01 05:00")],
    }
    (row,) = marts(raw, {"reporting_time_zone": "America/New_York"})["customers"]
    assert (row["first_order_on"], row["last_order_on"]) == (date(2023, 12, 31), date(2024, 1, 1))


def test_fiscal_quarters_and_years():
    raw = {"raw_customers": [customer("1")], "raw_orders": [order("1", "1", "2024-02-29")]}
    rows = whole(
        marts(raw, {"fiscal_year_start_month": 6, "period_grains": ["quarter", "year", "week"]})[
            "retention"
        ]
    )
    assert [(row["period_start"], row["period_end"]) for row in rows] == [
        (date(2023, 12, 1), date(2024, 2, 29)),
        (date(2023, 6, 1), date(2024, 5, 31)),
        (date(2024, 2, 26), date(2024, 3, 3)),
    ]
    assert [row["is_complete_period"] for row in rows] == [True, False, False]


def test_no_data():
    raw = {"raw_customers": [customer("1")]}
    assert marts(raw, {}) == {mart: [] for mart in MARTS}
    found = marts(raw, {"as_of_date": "2024-01-01"})
    assert len(found["customers"]) == 1
    for mart in ("retention", "churn", "nps", "csat", "ces", "reviews", "cltv", "cohort_retention"):
        assert found[mart] == []


def test_contracts_alone_date_the_data():
    raw = {
        "raw_customers": [customer("1")],
        "raw_subscriptions": [subscription("s", "2024-01-20", "2024-06-30", "5")],
    }
    (row,) = whole(marts(raw, {"today": date(2024, 3, 1)})["cltv"])
    assert row["as_of_date"] == date(2024, 1, 20)
    (row,) = whole(marts(raw, {"today": date(2024, 6, 30)})["cltv"])
    assert (row["as_of_date"], row["customers_lapsed"]) == (date(2024, 6, 30), 1)


# --- identities on random worlds ---------------------------------------------------------------


@random_worlds
@given(cases())
def test_identities(case):
    found = marts(*case)
    previous = {}
    for row, churn in zip(found["retention"], found["churn"], strict=True):
        n = {name[10:]: row[name] for name in row if name.startswith("customers_")}
        assert n["at_start"] == n["retained"] + n["lost"]
        assert n["at_end"] == n["retained"] + n["new"] + n["reactivated"]
        assert n["acquired"] == n["new"] + n["reactivated"]
        cell = (row["period_grain"], row["dimension"], row["segment"])
        end_before, last_day_before = previous.get(cell, (0, None))
        assert n["at_start"] == end_before
        if last_day_before:
            assert row["period_start"] == last_day_before + timedelta(days=1)
        previous[cell] = (n["at_end"], row["period_end"])
        if n["at_start"]:
            rates = row["retention_rate_pct"] + churn["churn_rate_pct"]
            assert rates == pytest.approx(100, abs=1e-9)
        else:
            assert row["retention_rate_pct"] is None
            assert churn["churn_rate_pct"] is None
        if churn["revenue_at_start"]:
            gross = churn["gross_revenue_retention_pct"]
            assert 0 <= gross <= 100
            assert gross <= churn["net_revenue_retention_pct"]
            assert gross + churn["revenue_churn_pct"] <= 100 + 1e-9


@random_worlds
@given(cases())
def test_segments_add_up(case):
    found = marts(*case)
    columns = {
        "retention": ("customers_at_start", "customers_at_end", "customers_new"),
        "churn": ("customers_lost", "revenue_at_start", "revenue_lost"),
        "nps": ("responses", "promoters", "passives", "detractors"),
        "csat": ("responses", "satisfied_responses"),
        "ces": ("responses", "easy_responses"),
        "reviews": ("responses", "positive_responses"),
        "cltv": ("customers", "orders", "revenue", "historic_revenue", "customers_lapsed"),
    }
    for mart, added in columns.items():
        totals = defaultdict(lambda: defaultdict(list))
        for row in found[mart]:
            period = row.get("period_grain"), row.get("period_start")
            totals[period][row["dimension"]].append([row[column] or 0 for column in added])
        for by_dimension in totals.values():
            sums = {
                dimension: [sum(column, Decimal(0)) for column in zip(*rows, strict=True)]
                for dimension, rows in by_dimension.items()
            }
            assert all(one == sums["all"] for one in sums.values()), mart


@random_worlds
@given(cases())
def test_a_mart_agrees_with_itself_in_any_order_of_rows(case):
    raw, chosen = case
    found = marts(raw, chosen)
    turned = marts({name: rows[::-1] for name, rows in raw.items()}, chosen)
    assert set(found) == set(KEYS)
    for mart, rows in found.items():
        assert differences(mart, rows, turned[mart]) == []


@random_worlds
@given(cases())
def test_worlds_are_clean(case):
    raw, chosen = case
    reporting = chosen.get("reporting_currency", "EUR")
    zone = ZoneInfo(chosen.get("reporting_time_zone", "UTC"))

    def cell(row, column):
        return (row[column] or "").strip()

    def key(row, column):
        return row.get("source_system"), cell(row, column)

    def local_day(row, column):
        if len(row[column].strip()) == 10:
            return date.fromisoformat(row[column].strip())
        moment = datetime.fromisoformat(row[column])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone).date()

    ids = {
        "raw_customers": "customer_id",
        "raw_orders": "order_id",
        "raw_surveys": "response_id",
        "raw_subscriptions": "subscription_id",
    }
    for name, column in ids.items():
        keys = [key(row, column) for row in raw.get(name, [])]
        assert len(keys) == len(set(keys))
        assert all(id_ for _, id_ in keys)
    known = {key(row, "customer_id") for row in raw["raw_customers"]}
    if not chosen.get("allow_empty_inputs"):
        assert known
        assert {source for source, _ in known} == {
            r.get("source_system") for r in raw["raw_orders"]
        }

    rates = [
        (*key(row, "currency_code"), date.fromisoformat(row["rate_date"]))
        for row in raw.get("raw_exchange_rates", [])
    ]
    assert len(rates) == len(set(rates))

    def has_rate(row, day):
        source, currency = key(row, "currency_code")
        return currency == reporting or any(
            rate[:2] == (source, currency) and rate[2] <= day for rate in rates
        )

    for row in raw["raw_orders"]:
        assert key(row, "customer_id") in known
        assert cell(row, "status") in ("completed", "pending", "cancelled", "returned")
        assert 0 <= Decimal(cell(row, "refunded_amount") or 0) <= Decimal(row["amount"])
        day = local_day(row, "ordered_at")
        assert has_rate(row, day)
        assert day.year in range(2021, 2026)
    for row in raw.get("raw_surveys", []):
        assert not cell(row, "customer_id") or key(row, "customer_id") in known
        low, score, high = (Decimal(row[c]) for c in ("scale_min", "score", "scale_max"))
        assert low <= score <= high
        assert row["survey_type"] != "nps" or (low, score % 1, high) == (0, 0, 10)
        assert local_day(row, "responded_at").year in range(2021, 2026)
    for row in raw.get("raw_subscriptions", []):
        assert key(row, "customer_id") in known
        assert cell(row, "ended_on") == "" or row["started_on"] < row["ended_on"] < "2026-06-01"
        assert has_rate(row, date.fromisoformat(row["started_on"]))
    for row in [*raw["raw_orders"], *raw.get("raw_subscriptions", [])]:
        for name in ("amount", "refunded_amount", "monthly_amount"):
            value = Decimal((row.get(name) or "").strip() or 0)
            assert value == round(value, 4)


# --- the comparison ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "is_same"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1e12, 1e12 + 1.0, True),
        (1.0, 1.00001, False),
        (1.0, Decimal(1), False),
        (1.0, float("nan"), False),
        (Decimal("12345678901234567890.0000000001"), Decimal("12345678901234567890"), True),
        (Decimal("12345678901234567890.0000000002"), Decimal("12345678901234567890"), False),
        (Decimal("1.10"), Decimal("1.1"), True),
        (Decimal(1), 1.0, False),
        (Decimal(1), Decimal("NaN"), False),
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (True, 1, False),
        (None, None, True),
        (None, 0, False),
        (0, None, False),
        ("a", "A", False),
        (date(2024, 1, 1), date(2024, 1, 1), True),
    ],
)
def test_cells_that_agree(expected, actual, is_same):
    row = {"dimension": "all", "segment": "all"}
    found = differences("cltv", [row | {"x": expected}], [row | {"x": actual, "more": 1}])
    assert found == (
        []
        if is_same
        else [f"cltv dimension=all segment=all: x expected {expected!r}, actual {actual!r}"]
    )


def test_rows_that_differ():
    def row(segment, **columns):
        return {"dimension": "all", "segment": segment} | columns

    expected = [row("a"), row("b", x=1), row("c", x=1)]
    actual = [row("b"), row("c", x=1), row("c", x=1), row("d")]
    assert differences("cltv", expected, actual) == [
        "cltv dimension=all segment=c: duplicate key, 2 actual rows",
        "cltv dimension=all segment=a: missing row, expected dimension=all, segment=a",
        "cltv dimension=all segment=b: x missing column, expected 1",
        "cltv dimension=all segment=d: extra row, actual dimension=all, segment=d",
    ]
    many = [row(str(number)) for number in range(25)]
    assert differences("cltv", many, [])[20:] == ["… and 5 more"]
