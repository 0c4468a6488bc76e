"""Texts about rows that break a rule: which rows, and what is wrong, without personal data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Judge, Record, Rule
from customer_loyalty.gate.rules import KEYS, PLACE, with_parameters

EXAMPLES = 5
"""How many rows are shown for each broken rule."""


def some_rows(judge: Judge, name: str, rule: Rule, parameters: Mapping[str, Any]) -> list[Record]:
    """The first rows that break a rule, with the values that identify and explain them."""
    kwargs = rule.kwargs
    checked = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    place = PLACE if name in INPUTS else ()
    columns = list(dict.fromkeys([*KEYS[name], *rule.show, *checked, *place]))
    found = judge.first_rows_that_break(
        rule, parameters, columns, order_by=(*place, *KEYS[name]), limit=EXAMPLES
    )
    return [dict(zip(columns, row, strict=True)) for row in found]


def observed_text(
    rule: Rule, detail: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str | None:
    """What a rule on the whole input found, if that is a number."""
    observed = detail.get("observed_value")
    if isinstance(observed, bool) or not isinstance(observed, int | float):
        return None
    least = with_parameters(rule.kwargs.get("min_value"), dict(parameters))
    return f"{observed:,} found" + (f", at least {least:,} expected" if least is not None else "")


def rows_text(name: str, rows: list[Record]) -> str:
    """A text about rows: their ids, their origin, and the values that may be shown."""
    texts = []
    for row in rows:
        values = ", ".join(
            f"{column.removeprefix('_uncast_')} {shown}"
            for column, value in row.items()
            if column not in (*KEYS[name], *PLACE) and (shown := _shown(column, value))
        )
        if name in INPUTS:
            key = " ".join(f"{column} {_key_text(column, row[column])}" for column in KEYS[name])
            place = row["_source_file"]
            if row["_source_row"] is not None:
                place += f" row {row['_source_row']}"
            texts.append(f"{key} ({place}{': ' + values if values else ''})")
        else:
            # Names of measures come from this project, so they are not personal.
            texts.append(f"{' '.join(row[column] for column in KEYS[name])} ({values})")
    return "; ".join(texts)


def _key_text(column: str, value: Any) -> str:
    """An id, or its shape if it may be an address, or a name that a broken quote moved here."""
    if value is None:
        return "empty"
    text = str(value)
    # Ids usually are visible ASCII without @ and spaces.
    if not re.fullmatch("[A-Z]{3}" if column == "currency_code" else "[!-?A-~]+", text):
        return f"looks like {_shape(text)}"
    return text if len(text) <= 40 else text[:39] + "…"


def _shape(text: str) -> str:
    """The shape of a text: digits become 9, letters a; spaces and ASCII punctuation are kept."""
    return re.sub(r"[^ -~]|[A-Za-z]", "a", re.sub(r"\d", "9", text[:40]))


def _shown(column: str, value: Any) -> str | None:
    """A value that can't be personal: a number, a date, a currency, or the shape of raw text.

    Other text is not shown: a broken quote can move a name into any text column.
    """
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool | int | date | datetime):
        return str(value)
    if value is None:
        return None
    if column.startswith("_uncast_"):
        return f"looks like {_shape(str(value))}"
    if column == "customer_id":
        return _key_text(column, value)
    return str(value) if re.fullmatch("[A-Z]{3}", str(value)) and "currency" in column else None
