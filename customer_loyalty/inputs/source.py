"""What is read of a file: DuckDB's expressions for its rows, and for their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

SOURCE_FILE, SOURCE_ROW = "_source_file", "_source_row"
"""The columns with a row's origin."""


class Column(NamedTuple):
    """A column of a file: DuckDB's expression for it, and its type."""

    expression: str
    type: str


@dataclass(frozen=True)
class Source:
    """A file that was checked.

    file: its path for people. table: what to select from. row: the expression of a row's number.
    columns: those of the input.
    """

    file: str
    table: str
    row: str
    columns: Mapping[str, Column]


def as_text(column: Column) -> str:
    """The expression of a column's values as text that is read as the same values."""
    value, text = column.expression, f"cast({column.expression} as varchar)"
    if column.type not in ("FLOAT", "DOUBLE"):
        return text
    # Without an exponent, unless digits would be lost, and without decimals where it is whole.
    whole = f"try_cast({value} as decimal(38, 0))"
    plain = f"try_cast({text} as decimal(38, 18))"
    return (
        f"case when isnan({value}) then null"
        f" when {whole} = {value} then cast({whole} as varchar)"
        f" when {text} like '%e%' and cast({plain} as {column.type}) = {value}"
        f" then cast({plain} as varchar) else {text} end"
    )
