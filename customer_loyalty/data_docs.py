"""Data Docs: the gate's latest results as one HTML page that loads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from jinja2 import Environment, StrictUndefined

from customer_loyalty.contract import INPUTS
from customer_loyalty.errors import Refusal
from customer_loyalty.gate import LEDGER
from customer_loyalty.rules import ACTIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class NoResults(Refusal):
    """There is nothing to render; the message says why."""


@dataclass(frozen=True)
class Rule:
    """One rule's result. left_…: judged on what the quarantine left; None where it was not."""

    input: str
    run_id: str
    checked_at: datetime
    staged_by: str | None
    column_name: str | None
    rule: str
    expectation: str
    action: str
    success: bool
    element_count: int
    unexpected_count: int
    examples: str | None
    says: str
    remedy: str
    left_success: bool | None
    left_unexpected_count: int | None

    @property
    def broken(self) -> bool:
        return not self.success or self.left_success is False

    @property
    def place(self) -> str:
        """The input's column; the input alone for a rule on the whole of it."""
        whole = self.column_name in (None, "*")
        return self.input if whole else f"{self.input}.{self.column_name}"

    @property
    def some_rows(self) -> list[str]:
        """The examples one by one."""
        return re.split(r"(?<=\)); ", self.examples) if self.examples else []


@dataclass(frozen=True)
class Input:
    """An input's rows; of the quarantine None where there is none."""

    input: str
    rows_in: int
    rows_left_out: int | None = None
    rows_quarantined: int | None = None
    rows_followed: int | None = None
    rows_used: int | None = None
    max_rows_quarantined: int | None = None

    @property
    def over_limit(self) -> bool:
        return (self.rows_quarantined or 0) > (self.max_rows_quarantined or 0)


@dataclass(frozen=True)
class Check:
    """The latest check of the inputs, and what became of it.

    opened: whether ``quality_gate`` let this check's inputs by. staged_since: inputs that were
    staged anew and not checked since. has_quarantine: whether rows can be left out at all.
    """

    rules: list[Rule]
    inputs: list[Input]
    opened: bool
    staged_since: list[str]
    has_quarantine: bool

    @cached_property
    def broken(self) -> list[Rule]:
        """Broken rules, the worst first."""
        return sorted(
            (rule for rule in self.rules if rule.broken),
            key=lambda rule: (not self.closes(rule), ACTIONS.index(rule.action)),
        )

    @cached_property
    def closing(self) -> list[Rule]:
        """Broken rules that keep the gate closed."""
        return [rule for rule in self.broken if self.closes(rule)]

    @cached_property
    def over_limit(self) -> list[Input]:
        """Inputs of which more rows break a rule than may be left out."""
        return [one for one in self.inputs if one.over_limit]

    def closes(self, rule: Rule) -> bool:
        """Whether a rule keeps the gate closed: itself, or as one of too many to be left out."""
        if self.opened or rule.action == "warn":
            return False
        if rule.action == "quarantine" and self.has_quarantine:
            too_many = rule.input in {one.input for one in self.over_limit}
            return rule.left_success is False or (rule.broken and too_many)
        return rule.broken

    @property
    def state(self) -> str:
        """Of the gate: open, warned (open, with broken rules), closed, or pending."""
        if self.opened and not self.staged_since:
            return "warned" if self.broken else "open"
        return "closed" if self.staged_since or self.closing else "pending"

    def effect(self, rule: Rule) -> str:
        """What is done where a rule is broken: an action, or mended by what was left out."""
        if self.closes(rule) or (rule.action == "quarantine" and not self.has_quarantine):
            return "stop"
        return "mended" if rule.broken and rule.action == "stop" else rule.action

    def of(self, name: str, broken: bool) -> list[Rule]:
        """The broken rules of an input, or those that were kept."""
        return [rule for rule in self.rules if rule.input == name and rule.broken == broken]


def render(warehouse: str) -> str:
    """The page on the latest check in the working database. Raises NoResults."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = (files("customer_loyalty") / "data_docs.html.j2").read_text("utf-8")
    return environment.from_string(template).render(check=latest_check(warehouse))


def latest_check(warehouse: str) -> Check:
    """The latest check in a working database. Raises NoResults where there is none to read."""
    if not Path(warehouse).is_file():
        raise NoResults(f"{warehouse}: there is no such database. Run make build first.")
    try:
        with duckdb.connect(warehouse, read_only=True) as con:
            check = read(con)
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise NoResults(
                f"{warehouse}: somebody writes to it, perhaps a build. Try again when it has ended."
            ) from None
        raise NoResults(f"{warehouse}: can't be read: {str(error).splitlines()[0]}") from None
    if check is None:
        raise NoResults(
            f"{warehouse}: the inputs were never checked, or the last run ended before it could."
            " Run make build."
        )
    return check


def read(con: DuckDBPyConnection) -> Check | None:
    """All that is read of the database: the latest check, None where there is none."""
    columns: dict[str, set[str]] = {}
    for table, column in con.execute(
        "select table_name, column_name from information_schema.columns"
        " where table_catalog = current_database() and table_schema = 'quality'"
    ).fetchall():
        columns.setdefault(table, set()).add(column)

    def rows(kind: type, table: str) -> list:
        """A table's rows, inputs in the order of the contract; a column that it lacks is None."""
        names = [field.name for field in fields(kind)]
        names = [name if name in columns[table] else f"null as {name}" for name in names]
        found = con.execute(f"select {', '.join(names)} from quality.{table}").fetchall()
        order = [*INPUTS, *sorted({row[0] for row in found} - set(INPUTS))]
        return sorted((kind(*row) for row in found), key=lambda one: order.index(one.input))

    rules = rows(Rule, "gx_validation_results") if "gx_validation_results" in columns else []
    if not rules:
        return None
    staged = dict.fromkeys((rule.input, rule.staged_by, rule.element_count) for rule in rules)
    staged_by = dict(con.execute(f"select input, staged_by from {LEDGER}").fetchall())
    gate = "select run_id from quality.quality_gate"
    opened_by = con.execute(gate).fetchall() if "quality_gate" in columns else []
    has_quarantine = "input_summary" in columns
    if has_quarantine:
        inputs = rows(Input, "input_summary")
    else:
        inputs = [Input(name, count) for name, _, count in staged]
    return Check(
        rules=rules,
        inputs=inputs,
        opened=(rules[0].run_id,) in opened_by,
        staged_since=[name for name, run, _ in staged if run is None or run != staged_by.get(name)],
        has_quarantine=has_quarantine,
    )
