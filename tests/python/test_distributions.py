"""What a careful analyst looks at: found where it is planted, and nowhere else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from customer_loyalty.gate.rules import load_suite
from test_faults import upper_floors
from test_gate import RUN
from warehouse import open_marts, rows_of

FIRST, LAST = date(2024, 1, 1), date(2025, 5, 20)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
RULES = {rule.name: rule for rule in load_suite("input_distributions")}
Raw = dict[str, list[dict]]


def shop(orders_on: Callable[[date], int] = lambda day: 40) -> Raw:
    """A shop of some twenty thousand orders in two currencies, with answers to two surveys."""
    dice = random.Random(7)
    customers = [
        {
            "customer_id": f"c{number}",
            "signed_up_at": str(DAYS[number * len(DAYS) // 2000]),
            "country_code": dice.choice(("DE", "FI", "US", "")),
            "language_code": dice.choice(("de", "fi", "")),
            "acquisition_channel": dice.choice(("ads", "referral", "")),
        }
        for number in range(2000)
    ]
    orders, answers = [], []
    for day in DAYS:
        for _ in range(orders_on(day)):
            orders.append(
                {
                    "order_id": f"o{len(orders)}",
                    "customer_id": f"c{dice.randrange(2000)}",
                    "ordered_at": f"{day} {dice.randrange(1, 24):02}:00",
                    "status": "completed",
                    "currency_code": dice.choice(("EUR", "EUR", "USD")),
                    "amount": f"{dice.uniform(5, 100):.2f}",
                    "refunded_amount": "",
                }
            )
        for kind, low, high in (("nps", 0, 10), ("csat", 1, 5)):
            for _ in range(6):
                answers.append(
                    {
                        "response_id": f"r{len(answers)}",
                        "survey_type": kind,
                        "responded_at": str(day),
                        "score": str(dice.randint(low, high)),
                        "scale_min": str(low),
                        "scale_max": str(high),
                        "channel": dice.choice(("email", "web", "")),
                    }
                )
    rates = [{"currency_code": "USD", "rate_date": "2023-12-01", "rate_to_reporting": "0.9"}]
    return {
        "raw_customers": customers,
        "raw_orders": orders,
        "raw_surveys": answers,
        "raw_exchange_rates": rates,
    }


@pytest.fixture(scope="module")
def warned(project) -> Callable[[Raw], dict[str, str]]:
    """A function that returns which distributions the gate warns of, with its examples."""

    def find(raw: Raw) -> dict[str, str]:
        run = replace(RUN, countries=["DE", "FI", "US"])
        with open_marts(upper_floors(project), raw, run=run) as con:
            found = rows_of(
                con, "from quality.gx_validation_results where not success and action = 'warn'"
            )
            assert all(row["unexpected_count"] <= row["element_count"] for row in found)
        return {row["rule"]: row["examples"] for row in found if row["rule"] in RULES}

    return find


def rows_in(raw: Raw, name: str, column: str, start: str) -> list[dict]:
    return [row for row in raw[name] if row[column].startswith(start)]


def lose(raw: Raw, name: str, column: str, start: str, keep_one_in: int = 0) -> None:
    lost = rows_in(raw, name, column, start)
    kept = lost[::keep_one_in] if keep_one_in else []
    raw[name] = [row for row in raw[name] if not row[column].startswith(start)] + kept


def change(raw: Raw, name: str, column: str, start: str, **values) -> None:
    for row in rows_in(raw, name, column, start):
        row |= {key: value(row) if callable(value) else value for key, value in values.items()}


def in_cents(row: dict) -> str:
    return f"{float(row['amount']) * 100:.2f}"


MARCH = "2025-03"
FAULTS = [
    (
        "orders_per_month_as_before",
        "2025-03 (",
        lambda raw: lose(raw, "raw_orders", "ordered_at", MARCH, keep_one_in=10),
    ),
    (
        "answers_per_month_as_before",
        "2025-03 (",
        lambda raw: lose(raw, "raw_surveys", "responded_at", MARCH, keep_one_in=10),
    ),
    (
        "missing_country_as_before",
        "2025-03 (",
        lambda raw: change(raw, "raw_customers", "signed_up_at", MARCH, country_code=""),
    ),
    (
        "missing_language_as_before",
        "2025-03 (",
        lambda raw: change(raw, "raw_customers", "signed_up_at", MARCH, language_code=""),
    ),
    (
        "missing_acquisition_channel_as_before",
        "2025-03 (",
        lambda raw: change(raw, "raw_customers", "signed_up_at", MARCH, acquisition_channel=""),
    ),
    (
        "missing_survey_channel_as_before",
        "2025-03 (",
        lambda raw: change(raw, "raw_surveys", "responded_at", MARCH, channel=""),
    ),
    (
        "missing_country_rare",
        "all (",
        lambda raw: [row.update(country_code="") for row in raw["raw_customers"][::2]],
    ),
    (
        "missing_language_rare",
        "all (",
        lambda raw: [row.update(language_code="") for row in raw["raw_customers"][::2]],
    ),
    (
        "missing_acquisition_channel_rare",
        "all (",
        lambda raw: [row.update(acquisition_channel="") for row in raw["raw_customers"][::2]],
    ),
    (
        "missing_survey_channel_rare",
        "all (",
        lambda raw: [row.update(channel="") for row in raw["raw_surveys"][::2]],
    ),
    (
        "order_times_as_before",
        "2025-03 (",
        lambda raw: change(
            raw, "raw_orders", "ordered_at", MARCH, ordered_at=lambda row: row["ordered_at"][:10]
        ),
    ),
    (
        "scale_did_not_change",
        "csat 1 to 5, from 2025-04-01 1 to 10 (",
        lambda raw: [
            row.update(scale_max="10")
            for row in raw["raw_surveys"]
            if row["survey_type"] == "csat" and row["responded_at"] >= "2025-04"
        ],
    ),
    (
        "order_value_as_before",
        "EUR 2025-03 (",
        lambda raw: change(raw, "raw_orders", "ordered_at", MARCH, amount=in_cents),
    ),
    (
        "order_value_as_in_other_currencies",
        "EUR (",
        lambda raw: [
            row.update(amount=in_cents(row))
            for row in raw["raw_orders"]
            if row["currency_code"] == "USD"
        ],
    ),
    (
        "currency_is_not_new",
        "GBP 2025-03 (",
        lambda raw: (
            [
                row.update(currency_code="GBP")
                for row in raw["raw_orders"]
                if row["currency_code"] == "USD" and row["ordered_at"] >= MARCH
            ]
            and raw["raw_exchange_rates"].append(
                {"currency_code": "GBP", "rate_date": "2023-12-01", "rate_to_reporting": "1.1"}
            )
        ),
    ),
    (
        "nps_scores_differ",
        "2025-03 (",
        lambda raw: [
            row.update(score="10")
            for row in rows_in(raw, "raw_surveys", "responded_at", MARCH)
            if row["survey_type"] == "nps"
        ],
    ),
    (
        "no_day_without_orders",
        "2025-03-12 (",
        lambda raw: lose(raw, "raw_orders", "ordered_at", "2025-03-12"),
    ),
]


@pytest.mark.parametrize(("rule", "item", "plant"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_each_distribution_is_reported_where_it_is(warned, rule, item, plant):
    raw = shop()
    plant(raw)
    found = warned(raw)
    assert f"files {item}" in found.pop(rule), found
    assert not found


def test_every_rule_is_tried():
    assert [rule for rule, _, _ in FAULTS] and {rule for rule, _, _ in FAULTS} == RULES.keys()
    assert {rule.action for rule in RULES.values()} == {"warn"}


def seasonal(day: date) -> int:
    """December sees five times July, the shop grows by a tenth a month."""
    season = {7: 0.6, 11: 1.6, 12: 3.0}.get(day.month, 1)
    return round(15 * season * 1.1 ** ((day.year - 2024) * 12 + day.month))


@pytest.mark.parametrize(
    "orders_on",
    [
        lambda day: 40,
        lambda day: 0 if day.weekday() >= 5 else 60,
        # Closed for the whole of August: its weekdays around are closed too.
        lambda day: 0 if (day.month, day.day) in {(12, 25), (12, 26), (1, 1)} else 20,
        seasonal,
    ],
    ids=["steady", "weekends closed", "holidays closed", "seasonal and growing"],
)
def test_an_ordinary_shop_gives_no_warning(warned, orders_on):
    assert warned(shop(orders_on)) == {}


def test_a_column_that_is_always_empty_gives_no_warning(warned):
    raw = shop()
    for row in raw["raw_customers"]:
        row["country_code"] = ""
    assert warned(raw) == {}


def test_old_months_give_no_warning(warned):
    raw = shop()
    lose(raw, "raw_orders", "ordered_at", "2024-05-02")
    assert warned(raw) == {}


def test_one_old_order_does_not_make_the_model_slow(warned):
    raw = shop()
    raw["raw_orders"][0]["ordered_at"] = "1950-01-02 12:00:00"
    start = time.process_time()
    assert warned(raw) == {}
    assert time.process_time() - start < 15


def test_a_source_is_compared_with_itself(warned):
    raw = shop()
    other = shop(lambda day: 1)
    for name, rows in other.items():
        raw[name] += [row | {"source_system": "demo"} for row in rows]
    assert warned(raw) == {}
