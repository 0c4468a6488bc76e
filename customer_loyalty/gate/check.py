"""Evaluate the input contract's rules on the staged inputs with Great Expectations.

Three dbt models call this, one after the other. ``judge_staged`` evaluates what was staged.
``find_broken_rows`` finds the rows that break a rule of action quarantine; they are left out.
``judge_left`` evaluates what remains and brings all results together. The hook that keeps the gate
reads the results and decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine, Judge, Rule
from customer_loyalty.errors import GateError, Refusal
from customer_loyalty.gate.examples import observed_text, rows_text, some_rows
from customer_loyalty.gate.results import (
    LEDGER,
    Result,
    closes_gate,
    read_staged_results,
    relation,
)
from customer_loyalty.gate.rules import (
    KEYS,
    NO_QUARANTINE,
    PLACE,
    SUITES,
    check_names,
    load_suite,
)
from customer_loyalty.gate.watchdog import watchdog
from customer_loyalty.inputs.files import folder_key

RESERVED_SEGMENTS = ("all", "unknown", "anonymous")
DISTRIBUTIONS = "input_distributions"
"""The model with the measures of the inputs, without rows left out."""
QUARANTINE = tuple(name for name in INPUTS if name not in NO_QUARANTINE)
"""The inputs with a quarantine."""
BROKEN_COLUMNS = {
    "input": "varchar",
    "source_system": "varchar",
    "id": "varchar",
    "_source_file": "varchar",
    "_source_row": "bigint",
    "rule": "varchar",
    "staged_by": "varchar",
}


@dataclass(frozen=True)
class Run:
    """What the gate needs to know about a run.

    now: the start of the run, UTC without offset. sources: those that must have rows in the
    required inputs. strict: whether rules with action quarantine stop. rows_before: the rows of
    each input in the published build; same_build: whether that build read the same sources and
    folder. seconds: how long the checks of one model may take.
    """

    run_id: str
    now: datetime
    sources: list[str]
    countries: list[str]
    languages: list[str]
    allow_empty_inputs: bool = False
    strict: bool = False
    max_shrinkage_share: Decimal = Decimal("0.5")
    rows_before: Mapping[str, int] = field(default_factory=dict)
    same_build: bool = False
    seconds: float = 3600

    def parameters(self, name: str) -> dict[str, Any]:
        """The values of ``$PARAMETER`` in the suite of one input."""
        share = 1 - self.max_shrinkage_share
        least = math.ceil(share * self.rows_before.get(name, 0))
        return {
            "now": self.now,
            "sources": [] if self.allow_empty_inputs else self.sources,
            "countries": self.countries,
            "languages": self.languages,
            "reserved_segments": list(RESERVED_SEGMENTS),
            "least_rows": least if self.same_build else 0,
            "least_rows_beside_another_build": 0 if self.same_build else least,
        }


class Finding(NamedTuple):
    """Whether a rule is kept, how many rows break it, and a text with some of them."""

    success: bool
    unexpected_count: int
    examples: str | None


class Unchecked(Refusal):
    """The steps of the gate did not run one after the other on the same staged rows."""


# --- what the dbt models call -----------------------------------------------------------------


def judge_staged(engine: Engine, countries: Sequence[str], languages: Sequence[str]) -> Any:
    """The results on the staged rows: the model ``gx_staged_results``.

    countries, languages: the known codes. A hook writes everything else about the run to the table
    ``this_check``. Each result carries the dbt run that staged its input, so that a later staging
    counts as unchecked.
    """
    run = this_run(engine, countries, languages)
    staged_by = engine.pairs(f"select input, staged_by from {engine.table('quality', LEDGER)}")
    with watchdog(engine, run.seconds):
        results = validate(engine, run, staged_by)
    return relation(engine, results)


def find_broken_rows(engine: Engine, countries: Sequence[str], languages: Sequence[str]) -> Any:
    """The rows to leave out: the model ``quarantine_reasons``.

    One row per row of an input and rule of action quarantine that it breaks.
    """
    run = this_run(engine, countries, languages)
    with watchdog(engine, run.seconds):
        return broken_rows(engine, run, read_staged_results(engine))


def judge_left(engine: Engine, countries: Sequence[str], languages: Sequence[str]) -> Any:
    """All results, those on the remaining rows included: the model ``gx_validation_results``."""
    run = this_run(engine, countries, languages)
    with watchdog(engine, run.seconds):
        return relation(engine, validate_left(engine, run, read_staged_results(engine)))


def this_run(engine: Engine, countries: Sequence[str], languages: Sequence[str]) -> Run:
    """The run, from the hook of the model, the reference seeds and the published build."""
    row = engine.records("select * from this_check")[0]
    sources = row["sources"].split(",")
    build = engine.last_build(row["published_path"]) or {}
    same = (build.get("sources"), build.get("folder_key")) == (
        row["sources"],
        folder_key(row["raw_data"]),
    )
    return Run(
        run_id=row["run_id"],
        now=row["checked_at"],
        sources=sources,
        countries=list(countries),
        languages=list(languages),
        allow_empty_inputs=row["allow_empty_inputs"],
        strict=row["quality_policy"] == "strict",
        max_shrinkage_share=Decimal(row["max_shrinkage_share"]),
        rows_before={name: build.get(f"rows_{name}") or 0 for name in INPUTS},
        same_build=same,
        seconds=row["gate_timeout_seconds"],
    )


# --- delivered rows ---------------------------------------------------------------------------


def staged_table(engine: Engine, name: str) -> str:
    """The table of an input's delivered rows."""
    return engine.table("staging", name.replace("raw_", "staged_"))


def remaining_view(engine: Engine, name: str) -> str:
    """The view of an input's rows that were not left out; a hook creates it."""
    return engine.table("staging", name.replace("raw_", "remaining_"))


def validate(engine: Engine, run: Run, staged_by: Mapping[str, str] | None = None) -> list[Result]:
    """Every rule's result on the staged tables, in the order of the suites.

    Raises GateError where a rule can't be evaluated.
    """
    results = []
    suites = {name: load_suite(name) for name in SUITES}
    check_names(chain.from_iterable(suites.values()))
    with engine.judges() as judge_of:
        for name in INPUTS:
            table = staged_table(engine, name)
            rows = engine.value(f"select count(*) from {table}")
            suite = suites[name]
            found = _judge(judge_of(table), name, suite, run.parameters(name))
            results += [
                _result(run, rule, found[rule.name], rows, (staged_by or {}).get(name))
                for rule in suite
            ]
    return results


def _result(
    run: Run,
    rule: Rule,
    found: Finding,
    element_count: int,
    staged_by: str | None,
) -> Result:
    return Result(
        run_id=run.run_id,
        checked_at=run.now,
        input=rule.input,
        column_name=rule.column,
        rule=rule.name,
        expectation=rule.type,
        action="stop" if run.strict and rule.action == "quarantine" else rule.action,
        success=found.success,
        element_count=element_count,
        unexpected_count=found.unexpected_count,
        examples=found.examples,
        says=rule.says,
        remedy=rule.remedy,
        staged_by=staged_by,
    )


def _judge(
    judge: Judge, name: str, suite: Sequence[Rule], parameters: Mapping[str, Any]
) -> dict[str, Finding]:
    """For each rule: whether it is kept, how many rows break it, and a text with some of them."""
    passed = judge.passes(suite, parameters)
    failed = [rule for rule in suite if not passed[rule.name]]
    # Counts and examples take several statements per rule: only for rules that failed.
    details = judge.details(failed, parameters)
    found = {rule.name: Finding(True, 0, None) for rule in suite}
    for rule in failed:
        detail = details[rule.name]
        examples = (
            rows_text(name, some_rows(judge, name, rule, parameters))
            if "unexpected_count" in detail
            else observed_text(rule, detail, parameters)
        )
        found[rule.name] = Finding(False, detail.get("unexpected_count", 0), examples)
    return found


# --- rows left out ----------------------------------------------------------------------------


def broken_rows(engine: Engine, run: Run, results: list[Result]) -> Any:
    """Every row that breaks a rule of action quarantine, as a relation.

    Columns: BROKEN_COLUMNS. Raises GateError if their number is not the one that Great Expectations
    counted.
    """
    engine.create_table("broken_rows", BROKEN_COLUMNS)
    failed = {one.rule: one for one in results if not one.success and one.action == "quarantine"}
    if failed:
        with engine.judges() as judge_of:
            for name in dict.fromkeys(result.input for result in failed.values()):
                judge = judge_of(staged_table(engine, name))
                for rule in load_suite(name):
                    if not (result := failed.get(rule.name)):
                        continue
                    columns = ("source_system", KEYS[name][0], *PLACE)
                    constants = {"input": name, "rule": result.rule, "staged_by": result.staged_by}
                    named = dict(zip(("source_system", "id", *PLACE), columns, strict=True))
                    judge.keep_rows_that_break(
                        rule,
                        run.parameters(name),
                        "broken_rows",
                        columns=named,
                        constants=constants,
                    )
    counted = engine.pairs("select rule, count(*) from broken_rows group by rule")
    expected = {rule: result.unexpected_count for rule, result in failed.items()}
    if counted != expected:
        raise GateError(
            f"Rows to leave out by rule: {counted}; rows found to be broken: {expected}."
        )
    return engine.model_from("broken_rows")


# --- remaining rows ---------------------------------------------------------------------------


def validate_left(engine: Engine, run: Run, results: list[Result]) -> list[Result]:
    """The results on delivered rows, with those on the remaining rows where some were left out.

    Raises Unchecked if rows were left out by other results than these, GateError if a rule can't be
    evaluated.
    """
    _check_that_all_is_of_one_staging(engine, results)
    judged: dict[str, Finding] = {}
    # Numbers of rows are compared with the published build's before any are left out.
    run = replace(run, rows_before={})
    with engine.judges() as judge_of:
        for name in QUARANTINE:
            left_out = engine.table("quality", f"quarantined_{name}")
            if engine.rows(f"select 1 from {left_out} limit 1"):
                suite = load_suite(name)
                judge = judge_of(remaining_view(engine, name))
                judged |= _judge(judge, name, suite, run.parameters(name))
        distributions = _judge_distributions(engine, run, judge_of, results)
    # All results count as of this run, though delivered rows may have been checked in an earlier
    # one if models are run one by one.
    results = [replace(one, run_id=run.run_id, checked_at=run.now) for one in results]
    all_of_rows = [
        replace(one, left_success=left.success, left_unexpected_count=left.unexpected_count)
        if (left := judged.get(one.rule))
        else one
        for one in results
    ]
    summary = engine.table("quality", "input_summary")
    over_limit = {
        name for (name,) in engine.rows(f"select input from {summary} where is_over_limit")
    }
    results = all_of_rows + distributions
    return [replace(one, closes_gate=closes_gate(one, over_limit)) for one in results]


def _judge_distributions(
    engine: Engine, run: Run, judge_of: Callable[[str], Judge], results: list[Result]
) -> list[Result]:
    """The results on the measures of the inputs: months, days and currencies, not rows."""
    table = engine.table("quality", DISTRIBUTIONS)
    suite = load_suite(DISTRIBUTIONS)
    parameters = run.parameters(DISTRIBUTIONS)
    found = _judge(judge_of(table), DISTRIBUTIONS, suite, parameters)
    counted = engine.pairs(f"select measure, count(*) from {table} group by measure")
    staged_by = {one.input: one.staged_by for one in results}
    return [
        _result(
            run,
            rule,
            found[rule.name],
            counted.get(rule.measure, 0),
            staged_by[rule.input],
        )
        for rule in suite
    ]


def _check_that_all_is_of_one_staging(engine: Engine, results: list[Result]) -> None:
    expected = {
        (one.input, one.rule, one.staged_by): one.unexpected_count
        for one in results
        if not one.success and one.action == "quarantine"
    }
    table = engine.table("quality", "quarantine_reasons")
    left_out = engine.rows(
        f"select input, rule, staged_by, count(*) from {table} group by input, rule, staged_by"
    )
    if {tuple(key): count for *key, count in left_out} != expected:
        raise Unchecked(
            "quality.quarantine_reasons and quality.gx_staged_results are from different checks."
            " Run dbt build."
        )
