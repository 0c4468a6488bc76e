"""Data Docs: the gate's latest results as one HTML page that loads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from jinja2 import Environment, StrictUndefined

from customer_loyalty.contract import INPUTS
from customer_loyalty.errors import Refusal
from customer_loyalty.gate.results import LEDGER, Result
from customer_loyalty.gate.rules import ACTIONS

if TYPE_CHECKING:
    from customer_loyalty.engine import Engine, Target

RESULTS = "gx_validation_results"


class NoResults(Refusal):
    """There are no results to render; the message says why."""


@dataclass(frozen=True)
class Input:
    """An input's rows: a row of ``quality.input_summary``."""

    input: str
    rows_in: int
    rows_left_out: int
    rows_quarantined: int
    rows_followed: int
    rows_used: int
    max_rows_quarantined: int
    is_over_limit: bool
    staged_by: str


OfInput = TypeVar("OfInput", Result, Input)


@dataclass(frozen=True)
class Check:
    """The latest check of the inputs, and the state of the gate, by the same rules as its hook.

    staged_by: the dbt run that staged each input last.
    """

    results: list[Result]
    inputs: list[Input]
    staged_by: dict[str, str]

    @cached_property
    def broken(self) -> list[Result]:
        """The results of broken rules, the worst first."""
        return sorted(
            (one for one in self.results if not one.success or one.left_success is False),
            key=lambda one: (not one.closes_gate, ACTIONS.index(one.action)),
        )

    @cached_property
    def kept(self) -> list[Result]:
        """The results of rules that were kept."""
        return [one for one in self.results if one not in self.broken]

    @cached_property
    def closing(self) -> list[Result]:
        """The broken ones that keep the gate closed."""
        return [one for one in self.broken if one.closes_gate]

    @cached_property
    def over_limit(self) -> list[Input]:
        """Inputs with more rows that break a rule than may be quarantined."""
        return [one for one in self.inputs if one.is_over_limit]

    @cached_property
    def staged_since(self) -> list[str]:
        """Inputs that were staged again after the check."""
        checked: list[Result | Input] = [*self.results, *self.inputs]
        of_inputs = {(one.input, one.staged_by) for one in checked}
        return sorted({name for name, run in of_inputs if run != self.staged_by.get(name)})

    @property
    def state(self) -> str:
        """Of the gate: open, warned (open, with broken rules) or closed."""
        if self.closing or self.staged_since:
            return "closed"
        return "warned" if self.broken else "open"


def render(check: Check) -> str:
    """The page on a check."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["one_by_one"] = lambda examples: re.split(r"(?<=\)); ", examples)
    template = (files("customer_loyalty.gate") / "page.html.j2").read_text("utf-8")
    return environment.from_string(template).render(check=check)


def latest_check(target: Target) -> Check:
    """The latest check of a target's inputs. Raises Refusal if there is none to read."""
    with target.working() as engine:
        try:
            check = read(engine)
        except engine.Error:
            raise NoResults(
                f"{target.workplace}: built by an older version of this project, or only in part."
                " Run make build."
            ) from None
    if not check.results:
        raise NoResults(
            f"{target.workplace}: the inputs were never checked, or the last run ended before it"
            " checked them. Run make build."
        )
    return check


def read(engine: Engine) -> Check:
    """The latest check; without results if there is none."""
    if not engine.has_table("quality", RESULTS):
        return Check([], [], {})

    def rows(kind: type[OfInput], table: str) -> list[OfInput]:
        """A table's rows, inputs in the order of the contract."""
        names = ", ".join(one.name for one in fields(kind))
        found = engine.rows(f"select {names} from {engine.table('quality', table)}")
        return sorted((kind(*row) for row in found), key=lambda one: list(INPUTS).index(one.input))

    staged_by = engine.rows(f"select input, staged_by from {engine.table('quality', LEDGER)}")
    return Check(rows(Result, RESULTS), rows(Input, "input_summary"), dict(staged_by))
