"""Check the columns of a file: it must have all of the contract's, once, with exact names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from customer_loyalty.contract import INPUTS
from customer_loyalty.inputs.faults import fault, first_names
from customer_loyalty.inputs.names import nearest


def check_columns(path: Path, name: str, found: Sequence[str]) -> None:
    """Raise FileFault if the found columns are not those of input ``name``."""
    if not is_header(found, name):
        # Very likely a row of data, which must not be shown.
        raise fault(
            "header_is_first_line",
            path,
            "the first line is not a header: it has none, or only a few, of the columns"
            f" {', '.join(INPUTS[name])}.",
        )
    missing = [column for column in INPUTS[name] if column not in found]
    if missing:
        alike = {column: nearest(column, found) for column in missing}
        known = {*INPUTS[name], *alike.values()}
        shown = [
            column if column in known or re.fullmatch(r"[A-Za-z_][\w ]{0,60}", column) else "…"
            for column in found
        ]
        renames = [f"Rename {old} to {new}." for new, old in alike.items() if old]
        raise fault(
            "header_has_all_columns",
            path,
            " ".join(
                (f"missing columns: {', '.join(missing)}. Found: {first_names(shown)}.", *renames)
            ),
        )
    twice = [column for column in INPUTS[name] if list(found).count(column) > 1]
    if twice:
        raise fault("column_not_twice", path, f"column {', '.join(twice)} appears twice.")


def is_header(found: Sequence[str], name: str) -> bool:
    """Whether at least half of an input's columns are found, by the same or a similar name."""
    known = [column for column in INPUTS[name] if column in found or nearest(column, found)]
    return 2 * len(known) >= len(INPUTS[name])
