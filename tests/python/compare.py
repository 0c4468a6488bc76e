"""Say in words where two versions of a mart differ."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from fractions import Fraction

PERIOD_KEYS = ("period_grain", "period_start", "dimension", "segment")
KEYS = {
    "retention": PERIOD_KEYS,
    "churn": PERIOD_KEYS,
    "nps": PERIOD_KEYS,
    "csat": PERIOD_KEYS,
    "ces": PERIOD_KEYS,
    "reviews": PERIOD_KEYS,
    "cltv": ("dimension", "segment"),
    "customers": ("source_system", "customer_id"),
    "cohort_retention": ("cohort_month", "months_since"),
}
FLOAT_TOLERANCE = 1e-9
MONEY_TOLERANCE = Fraction(1, 10**10)
MOST_LINES = 20


def differences(mart: str, expected_rows: list[dict], actual_rows: list[dict]) -> list[str]:
    """List the differences of a mart, one line each; an empty list means that there is none.

    Types count: a sum of money that arrives as a float is a difference, however close it is.
    Columns that are not expected are welcome.
    """
    found = []
    expected = _by_key(mart, expected_rows, "expected", found)
    actual = _by_key(mart, actual_rows, "actual", found)
    for key, row in expected.items():
        where = _where(mart, key)
        if key not in actual:
            found.append(f"{where}: missing row, expected {_shown(row)}")
            continue
        for column, value in row.items():
            if column not in actual[key]:
                found.append(f"{where}: {column} missing column, expected {value!r}")
            elif not agree(value, actual[key][column]):
                found.append(
                    f"{where}: {column} expected {value!r}, actual {actual[key][column]!r}"
                )
    for key, row in actual.items():
        if key not in expected:
            found.append(f"{_where(mart, key)}: extra row, actual {_shown(row)}")
    if len(found) > MOST_LINES:
        found[MOST_LINES:] = [f"… and {len(found) - MOST_LINES} more"]
    return found


def agree(expected: object, actual: object) -> bool:
    """Tell whether two cells hold the same value, of the same type."""
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float):
        return math.isclose(expected, actual, rel_tol=FLOAT_TOLERANCE, abs_tol=FLOAT_TOLERANCE)
    if isinstance(expected, Decimal) and expected.is_finite() and actual.is_finite():
        # As fractions, because subtracting decimals rounds to 28 digits.
        return abs(Fraction(expected) - Fraction(actual)) <= MONEY_TOLERANCE
    return expected == actual


def _by_key(mart: str, rows: list[dict], side: str, found: list[str]) -> dict[tuple, dict]:
    keys = [tuple(row.get(column) for column in KEYS[mart]) for row in rows]
    for key, count in Counter(keys).items():
        if count > 1:
            found.append(f"{_where(mart, key)}: duplicate key, {count} {side} rows")
    return dict(zip(keys, rows, strict=True))


def _where(mart: str, key: tuple) -> str:
    pairs = zip(KEYS[mart], key, strict=True)
    return f"{mart} " + " ".join(f"{column}={value}" for column, value in pairs)


def _shown(row: dict) -> str:
    return ", ".join(f"{column}={value}" for column, value in row.items())
