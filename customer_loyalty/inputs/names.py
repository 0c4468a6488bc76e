"""Find similar names: Customer ID and custmer_id are similar to customer_id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches


def nearest(name: str, found: Sequence[str], cutoff: float = 0.85) -> str | None:
    """The name in ``found`` that is most similar to ``name``; None if none is similar enough.

    Case, blanks and punctuation don't count. cutoff: how alike, from 0 to 1.
    """
    plain = {_plain(other): other for other in found if len(other) < 64}
    close = get_close_matches(_plain(name), plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
