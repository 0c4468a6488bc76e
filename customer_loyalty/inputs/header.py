"""The columns of a file: all of the contract's, each once, under their exact names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from customer_loyalty.contract import INPUTS
from customer_loyalty.inputs.faults import fault, first_names
from customer_loyalty.inputs.names import nearest


def check_columns(path: Path, name: str, found: Sequence[str]) -> None:
    """Raises FileFault where the found columns are not those of input ``name``."""
    if not is_header(found, name):
        # Very likely a row of data: nothing of it may be shown.
        raise fault(
            "header_is_first_line",
            path,
            f"the first line is no header: it has none, or few, of the columns"
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
                (f"column {', '.join(missing)} is missing. Found: {first_names(shown)}.", *renames)
            ),
        )
    twice = [column for column in INPUTS[name] if list(found).count(column) > 1]
    if twice:
        raise fault("column_not_twice", path, f"column {', '.join(twice)} is there twice.")


def is_header(found: Sequence[str], name: str) -> bool:
    """Whether at least half of an input's columns are there, if only nearly so called."""
    known = [column for column in INPUTS[name] if column in found or nearest(column, found)]
    return 2 * len(known) >= len(INPUTS[name])
