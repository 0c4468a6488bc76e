"""Faults of the input, each with the rule that must find it and nothing else, and clean inputs.

They occur in real exports. A fault is written into one row of clean inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

PLACE = 4
"""The first of the rows that no other row refers to."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A fault in one row: its name for people, and which rules find it.

    twice: the row is repeated with the change, in which {} is the original value.
    """

    name: str
    input: str
    rules: tuple[str, ...]
    change: Mapping[str, str]
    twice: bool = False

    def write(self, raw: dict[str, list[dict]], place: int) -> set[int]:
        """Write the fault into the row at a place, and return the file's rows that are broken."""
        rows = raw[self.input]
        if not self.twice:
            rows[place] |= self.change
            return {place + 2}
        again = {column: value.format(rows[-1][column]) for column, value in self.change.items()}
        rows.append(rows[-1] | again)
        return {len(rows), len(rows) + 1}


def write(faults: Iterable[Fault], raw: dict[str, list[dict]]) -> dict[Fault, set[int]]:
    """Write each fault into a row of its own, and return the file's rows that it breaks."""
    places = {name: count(PLACE) for name in raw}
    return {fault: fault.write(raw, next(places[fault.input])) for fault in faults}


def together(
    faults: Iterable[Fault], alike: Callable[[Fault], object] = lambda fault: None
) -> list[tuple[Fault, ...]]:
    """Group faults that one run can check: up to five, no two of one rule.

    So a rule that finds one row too many, or another's, is noticed as if each fault were alone.
    alike: what the faults of a run have in common.
    """
    runs: list[list[Fault]] = []
    for fault in faults:
        for run in runs:
            rules = {rule for one in run for rule in one.rules}
            if len(run) < 5 and alike(run[0]) == alike(fault) and rules.isdisjoint(fault.rules):
                run.append(fault)
                break
        else:
            runs.append([fault])
    return [tuple(run) for run in runs]


def names(faults: Iterable[Fault]) -> str:
    """Return the names of faults."""
    return "; ".join(fault.name for fault in faults)


def clean(rows: int = 39) -> dict[str, list[dict]]:
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
            for number in range(1, rows + 1)
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
            for number in range(1, rows + 1)
        ],
        "raw_surveys": [
            {
                "response_id": f"r{number}",
                "customer_id": "002",
                "survey_type": "nps",
                "responded_at": "2025-02-01",
                "score": ("9.0", "10", "6")[number % 3],
                "scale_min": "0",
                "scale_max": "10",
                "channel": "email",
                "language_code": "de",
                "comment": "Good",
            }
            for number in range(1, rows + 21)
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
            for number in range(1, rows + 1)
        ],
    }


CSAT = {"survey_type": "csat", "scale_min": "1", "scale_max": "5", "score": "3"}
FAULTS = (
    Fault(
        "a customer whose id is a space",
        "raw_customers",
        ("customer_id_not_empty",),
        {"customer_id": " "},
    ),
    Fault(
        "a sign-up on 31/12/2024",
        "raw_customers",
        ("signed_up_at_is_timestamp",),
        {"signed_up_at": "31/12/2024"},
    ),
    Fault(
        "a sign-up without a time",
        "raw_customers",
        ("signed_up_at_not_empty",),
        {"signed_up_at": ""},
    ),
    Fault(
        "a sign-up one second after the run",
        "raw_customers",
        ("signed_up_at_not_in_future",),
        {"signed_up_at": "2025-06-01 12:00:01"},
    ),
    Fault(
        "an unknown country, XX",
        "raw_customers",
        ("country_code_is_iso",),
        {"country_code": "XX"},
    ),
    Fault(
        "an unknown language of a customer, xx",
        "raw_customers",
        ("customer_language_code_is_iso",),
        {"language_code": "xx"},
    ),
    Fault(
        "an acquisition channel called unknown",
        "raw_customers",
        ("acquisition_channel_not_reserved",),
        {"acquisition_channel": "unknown"},
    ),
    Fault("an order without an id", "raw_orders", ("order_id_not_empty",), {"order_id": ""}),
    Fault(
        "customer 1 instead of 001",
        "raw_orders",
        ("order_customer_is_known",),
        {"customer_id": "1"},
    ),
    Fault(
        "an order on 2025-02-30",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "2025-02-30"},
    ),
    Fault(
        "an order time in epoch milliseconds",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "1735689600000"},
    ),
    Fault(
        "a date with an offset but no time, 2025-01-31+02:00",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "2025-01-31+02:00"},
    ),
    Fault(
        "an offset of 75 minutes",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "2025-01-31T10:00:00+02:75"},
    ),
    Fault(
        "an order time of infinity",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "infinity"},
    ),
    Fault(
        "an order in the year 0000",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "0000-01-01"},
    ),
    Fault(
        "an offset of 99 hours",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "2025-01-31T10:00:00+99:00"},
    ),
    Fault("an order without a time", "raw_orders", ("ordered_at_not_empty",), {"ordered_at": ""}),
    Fault(
        "an order one second after the run",
        "raw_orders",
        ("ordered_at_not_in_future",),
        {"ordered_at": "2025-06-01T12:00:01Z"},
    ),
    Fault(
        "an order before its customer signed up",
        "raw_orders",
        ("order_not_before_sign_up",),
        {"ordered_at": "2023-12-31", "currency_code": "EUR"},
    ),
    Fault("an order without a status", "raw_orders", ("status_not_empty",), {"status": ""}),
    Fault(
        "a capitalized status, Completed",
        "raw_orders",
        ("status_is_known",),
        {"status": "Completed"},
    ),
    Fault(
        "an order without a currency",
        "raw_orders",
        ("order_currency_code_not_empty",),
        {"currency_code": ""},
    ),
    Fault(
        "a currency in lower case, usd", "raw_orders", ("order_has_rate",), {"currency_code": "usd"}
    ),
    Fault(
        "an order before the first exchange rate",
        "raw_orders",
        ("order_has_rate",),
        {"ordered_at": "2024-12-31"},
    ),
    Fault(
        "a decimal comma, 12,50",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "12,50", "refunded_amount": ""},
    ),
    Fault(
        "five decimals",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "1.23456", "refunded_amount": ""},
    ),
    Fault(
        "an amount of 1e40",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "1e40", "refunded_amount": ""},
    ),
    Fault(
        "an amount with fifteen digits",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "123456789012345", "refunded_amount": ""},
    ),
    Fault(
        "an amount of nan",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "nan", "refunded_amount": ""},
    ),
    Fault(
        "an amount of 1_000",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "1_000", "refunded_amount": ""},
    ),
    Fault(
        "an order without an amount",
        "raw_orders",
        ("amount_not_empty",),
        {"amount": "", "refunded_amount": ""},
    ),
    Fault(
        "an amount just below 0",
        "raw_orders",
        ("amount_not_negative",),
        {"amount": "-0.0001", "refunded_amount": ""},
    ),
    Fault(
        "a refund of none",
        "raw_orders",
        ("refunded_amount_is_number",),
        {"refunded_amount": "none"},
    ),
    Fault(
        "a refund below 0",
        "raw_orders",
        ("refunded_amount_not_negative",),
        {"refunded_amount": "-1"},
    ),
    Fault(
        "a refund above the amount",
        "raw_orders",
        ("refunded_amount_within_amount",),
        {"refunded_amount": "12.5001"},
    ),
    Fault(
        "a response without an id", "raw_surveys", ("response_id_not_empty",), {"response_id": ""}
    ),
    Fault(
        "a response from an unknown customer",
        "raw_surveys",
        ("answer_customer_is_known",),
        {"customer_id": "nobody"},
    ),
    Fault(
        "a response without a survey type",
        "raw_surveys",
        ("survey_type_not_empty",),
        {"survey_type": ""},
    ),
    Fault(
        "a survey type in capitals, NPS",
        "raw_surveys",
        ("survey_type_is_known",),
        {"survey_type": "NPS"},
    ),
    Fault(
        "a response time of yesterday",
        "raw_surveys",
        ("responded_at_is_timestamp",),
        {"responded_at": "yesterday"},
    ),
    Fault(
        "a response without a time",
        "raw_surveys",
        ("responded_at_not_empty",),
        {"responded_at": ""},
    ),
    Fault(
        "a response in 2099",
        "raw_surveys",
        ("responded_at_not_in_future",),
        {"responded_at": "2099-01-01"},
    ),
    Fault(
        "a response before its customer signed up",
        "raw_surveys",
        ("answer_not_before_sign_up",),
        {"responded_at": "2023-12-31"},
    ),
    Fault("a score in words, nine", "raw_surveys", ("score_is_number",), {"score": "nine"}),
    Fault("a response without a score", "raw_surveys", ("score_not_empty",), {"score": ""}),
    Fault("an NPS score of 9.5", "raw_surveys", ("nps_score_is_0_to_10",), {"score": "9.5"}),
    Fault("an NPS score of 11", "raw_surveys", ("nps_score_is_0_to_10",), {"score": "11"}),
    Fault("an NPS score of -1", "raw_surveys", ("nps_score_is_0_to_10",), {"score": "-1"}),
    Fault(
        "a CSAT score below its scale",
        "raw_surveys",
        ("score_not_below_scale",),
        CSAT | {"score": "0.9"},
    ),
    Fault(
        "a CSAT score above its scale",
        "raw_surveys",
        ("score_not_above_scale",),
        CSAT | {"score": "5.1"},
    ),
    Fault(
        "a scale that starts at 1.5",
        "raw_surveys",
        ("scale_min_is_whole_number",),
        CSAT | {"scale_min": "1.5"},
    ),
    Fault(
        "a scale without a start", "raw_surveys", ("scale_min_not_empty",), CSAT | {"scale_min": ""}
    ),
    Fault(
        "a scale that ends at the word five",
        "raw_surveys",
        ("scale_max_is_whole_number",),
        CSAT | {"scale_max": "five"},
    ),
    Fault(
        "a scale without an end", "raw_surveys", ("scale_max_not_empty",), CSAT | {"scale_max": ""}
    ),
    Fault(
        "a scale from 3 to 3",
        "raw_surveys",
        ("scale_ends_above_its_start",),
        CSAT | {"scale_min": "3", "scale_max": "3"},
    ),
    Fault("an NPS scale from 1", "raw_surveys", ("nps_scale_starts_at_0",), {"scale_min": "1"}),
    Fault("an NPS scale up to 100", "raw_surveys", ("nps_scale_ends_at_10",), {"scale_max": "100"}),
    Fault(
        "a response language in words, english",
        "raw_surveys",
        ("answer_language_code_is_iso",),
        {"language_code": "english"},
    ),
    Fault(
        "a survey channel called anonymous",
        "raw_surveys",
        ("channel_not_reserved",),
        {"channel": "anonymous"},
    ),
    Fault(
        "a rate without a currency",
        "raw_exchange_rates",
        ("rate_currency_code_not_empty",),
        {"currency_code": ""},
    ),
    Fault(
        "a rate at noon",
        "raw_exchange_rates",
        ("rate_date_is_date",),
        {"rate_date": "2025-01-01 12:00:00"},
    ),
    Fault(
        "a rate without a date", "raw_exchange_rates", ("rate_date_not_empty",), {"rate_date": ""}
    ),
    Fault(
        "a rate with eleven decimals",
        "raw_exchange_rates",
        ("rate_is_number",),
        {"rate_to_reporting": "0.12345678901"},
    ),
    Fault("an empty rate", "raw_exchange_rates", ("rate_not_empty",), {"rate_to_reporting": ""}),
    Fault("a rate of 0", "raw_exchange_rates", ("rate_above_0",), {"rate_to_reporting": "0"}),
    Fault(
        "a contract without an id",
        "raw_subscriptions",
        ("subscription_id_not_empty",),
        {"subscription_id": ""},
    ),
    Fault(
        "a contract without a customer",
        "raw_subscriptions",
        ("subscription_customer_is_known",),
        {"customer_id": ""},
    ),
    Fault(
        "a first day of 2025/02/01",
        "raw_subscriptions",
        ("started_on_is_date",),
        {"started_on": "2025/02/01"},
    ),
    Fault(
        "a contract without a first day",
        "raw_subscriptions",
        ("started_on_not_empty",),
        {"started_on": ""},
    ),
    Fault(
        "an end of open",
        "raw_subscriptions",
        ("ended_on_is_date",),
        {"ended_on": "open"},
    ),
    Fault(
        "a contract that ends on its first day",
        "raw_subscriptions",
        ("ended_on_after_started_on",),
        {"ended_on": "2025-02-01"},
    ),
    Fault(
        "a monthly amount of 10 EUR",
        "raw_subscriptions",
        ("monthly_amount_is_number",),
        {"monthly_amount": "10 EUR"},
    ),
    Fault(
        "a contract without an amount",
        "raw_subscriptions",
        ("monthly_amount_not_empty",),
        {"monthly_amount": ""},
    ),
    Fault(
        "a monthly amount below 0",
        "raw_subscriptions",
        ("monthly_amount_not_negative",),
        {"monthly_amount": "-1"},
    ),
    Fault(
        "a contract without a currency",
        "raw_subscriptions",
        ("subscription_currency_code_not_empty",),
        {"currency_code": ""},
    ),
    Fault(
        "a contract before the first exchange rate",
        "raw_subscriptions",
        ("subscription_has_rate",),
        {"started_on": "2024-12-31"},
    ),
    Fault(
        "an amount with a thousands separator, 1,234.50",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "1,234.50", "refunded_amount": ""},
    ),
    Fault(
        "an amount with a currency sign, €12",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "€12", "refunded_amount": ""},
    ),
    Fault(
        "an amount in full-width digits",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "１２", "refunded_amount": ""},
    ),
    Fault(
        "an amount of NULL",
        "raw_orders",
        ("amount_is_number",),
        {"amount": "NULL", "refunded_amount": ""},
    ),
    Fault("a status of null", "raw_orders", ("status_is_known",), {"status": "null"}),
    Fault(
        "a name shifted into the status by a broken quote",
        "raw_orders",
        ("status_is_known",),
        {"status": "Maria Virtanen"},
    ),
    Fault(
        "a customer id that differs in case",
        "raw_orders",
        ("order_customer_is_known",),
        {"customer_id": "00A"},
    ),
    Fault(
        "an order without a customer",
        "raw_orders",
        ("order_customer_is_known",),
        {"customer_id": ""},
    ),
    Fault(
        "an order on 31/12/2025",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "31/12/2025"},
    ),
    Fault(
        "an order on 01-02-2025",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "01-02-2025"},
    ),
    Fault(
        "a spreadsheet's date number",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "45688.5"},
    ),
    Fault(
        "an order at 24:30",
        "raw_orders",
        ("ordered_at_is_timestamp",),
        {"ordered_at": "2025-01-31 24:30"},
    ),
    Fault(
        "an order in 2099",
        "raw_orders",
        ("ordered_at_not_in_future",),
        {"ordered_at": "2099-01-31"},
    ),
    Fault(
        "a score with a decimal comma, 3,5", "raw_surveys", ("score_is_number",), {"score": "3,5"}
    ),
    Fault("a score out of ten, 9/10", "raw_surveys", ("score_is_number",), {"score": "9/10"}),
    Fault(
        "a score of a million digits",
        "raw_surveys",
        ("score_is_number",),
        {"score": "9" * 1_000_000},
    ),
    Fault(
        "an unknown survey type, stars",
        "raw_surveys",
        ("survey_type_is_known",),
        {"survey_type": "stars"},
    ),
    Fault(
        "an NPS response on a scale to 5",
        "raw_surveys",
        ("nps_scale_ends_at_10",),
        {"scale_max": "5", "score": "5"},
    ),
    Fault(
        "a contract that ends before it starts",
        "raw_subscriptions",
        ("ended_on_after_started_on",),
        {"ended_on": "2025-01-31"},
    ),
    Fault(
        "a first day of 2025-02-30",
        "raw_subscriptions",
        ("started_on_is_date",),
        {"started_on": "2025-02-30"},
    ),
    Fault(
        "a rate with a decimal comma",
        "raw_exchange_rates",
        ("rate_is_number",),
        {"rate_to_reporting": "0,9"},
    ),
    Fault("a rate below 0", "raw_exchange_rates", ("rate_above_0",), {"rate_to_reporting": "-0.9"}),
    Fault(
        "a country called all",
        "raw_customers",
        ("country_code_not_reserved", "country_code_is_iso"),
        {"country_code": "all"},
    ),
    Fault(
        "a customer's language called all",
        "raw_customers",
        ("customer_language_code_not_reserved", "customer_language_code_is_iso"),
        {"language_code": "all"},
    ),
    Fault(
        "a response language called anonymous",
        "raw_surveys",
        ("answer_language_code_not_reserved", "answer_language_code_is_iso"),
        {"language_code": "anonymous"},
    ),
    Fault(
        "a customer twice, once with spaces around the id",
        "raw_customers",
        ("customer_id_unique",),
        {"customer_id": " {} "},
        twice=True,
    ),
    Fault(
        "an order twice, once with a space after the id",
        "raw_orders",
        ("order_id_unique",),
        {"order_id": "{} "},
        twice=True,
    ),
    Fault(
        "a response twice",
        "raw_surveys",
        ("response_id_unique",),
        {"response_id": "{}"},
        twice=True,
    ),
    Fault(
        "two rates for a currency and date",
        "raw_exchange_rates",
        ("rate_unique",),
        {"rate_date": "{}", "rate_to_reporting": "0.8"},
        twice=True,
    ),
    Fault(
        "a contract twice",
        "raw_subscriptions",
        ("subscription_id_unique",),
        {"subscription_id": "{}"},
        twice=True,
    ),
)
