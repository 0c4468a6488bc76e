"""The gate: judge the staged inputs with Great Expectations, every rule of the input contract.

Three dbt models call it, one after the other. ``judge_staged`` judges what came. For the rules
whose action is quarantine ``find_broken_rows`` tells which rows break them; they are left out.
``judge`` then judges what is left, and brings it all together. What a broken rule does is decided
by who reads the results: the hook that keeps the gate.
"""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine, engine_of
from customer_loyalty.errors import Refusal
from customer_loyalty.judge import Judge
from customer_loyalty.publish import folder_key
from customer_loyalty.rules import KEYS, NO_QUARANTINE, GateError, load_suite, with_parameters

RESERVED_SEGMENTS = ("all", "unknown", "anonymous")
EXAMPLES = 5
PLACE = ("_source_file", "_source_row")
LEDGER = "staged_inputs"
"""By which dbt run each input was staged last; written by a hook of the staged models."""
DISTRIBUTIONS = "input_distributions"
"""What is measured of the inputs, after rows were left out."""
QUARANTINE = tuple(name for name in INPUTS if name not in NO_QUARANTINE)
"""The inputs that rows can be left out of."""


@dataclass(frozen=True)
class Result:
    """One rule's result in one run: a row of ``quality.gx_validation_results``.

    element_count: rows of the input; of a rule on distributions, the months or days or whatever was
    measured. unexpected_count: those of them that break the rule, 0 for a rule on the whole input.
    left_success, left_unexpected_count: the same of what the quarantine left, None where it left
    all.
    """

    run_id: str
    checked_at: datetime
    input: str
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
    staged_by: str | None
    left_success: bool | None = None
    left_unexpected_count: int | None = None


_TYPES = {
    "checked_at": "timestamp",
    "success": "boolean",
    "element_count": "bigint",
    "unexpected_count": "bigint",
    "left_success": "boolean",
    "left_unexpected_count": "bigint",
}
RESULT_COLUMNS = {one.name: _TYPES.get(one.name, "varchar") for one in fields(Result)}
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
    """What the gate has to know of a run.

    now: the clock of the run, UTC without offset. sources: those that must have rows in the
    required inputs. strict: what would be left out stops instead. rows_before: how many rows each
    input had in the published build; same_build: whether that build read the same sources and
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
        """What the suites call ``$PARAMETER``, for one input."""
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


class Unchecked(Refusal):
    """The steps of the gate were not run one after the other on the same inputs."""


# --- what the dbt models call -----------------------------------------------------------------


def judge_staged(session: Any, *, countries: Any, languages: Any) -> Any:
    """The results of what came, as the relation that ``gx_staged_results`` is made of.

    session: dbt's. countries, languages: the reference seeds, codes in their first column. What
    else is to know of the run stands in the table ``this_check``, written by a hook. Results carry
    by which dbt run their input was staged, so that another staging counts as unchecked.
    """
    engine = engine_of(session)
    run = _this_run(engine, countries, languages)
    staged_by = dict(engine.rows(f"select input, staged_by from {engine.table('quality', LEDGER)}"))
    with watchdog(engine, run.seconds):
        results = validate(engine, run, staged_by)
    return relation(engine, results)


def find_broken_rows(session: Any, *, countries: Any, languages: Any) -> Any:
    """The rows to leave out, as the relation that ``quarantine_reasons`` is made of.

    One row per row of an input and rule of action quarantine that it breaks.
    """
    engine = engine_of(session)
    run = _this_run(engine, countries, languages)
    with watchdog(engine, run.seconds):
        return broken_rows(engine, run, read_staged_results(engine))


def judge(session: Any, *, countries: Any, languages: Any) -> Any:
    """All results, as the relation that ``gx_validation_results`` is made of."""
    engine = engine_of(session)
    run = _this_run(engine, countries, languages)
    with watchdog(engine, run.seconds):
        return relation(engine, validate_left(engine, run, read_staged_results(engine)))


def _this_run(engine: Engine, countries: Any, languages: Any) -> Run:
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
        countries=[code for code, *_ in countries.fetchall()],
        languages=[code for code, *_ in languages.fetchall()],
        allow_empty_inputs=row["allow_empty_inputs"],
        strict=row["quality_policy"] == "strict",
        max_shrinkage_share=Decimal(row["max_shrinkage_share"]),
        rows_before={name: build.get(f"rows_{name}") or 0 for name in INPUTS},
        same_build=same,
        seconds=row["gate_timeout_seconds"],
    )


def read_staged_results(session: Any) -> list[Result]:
    """The results of what came, as ``gx_staged_results`` has them."""
    engine = engine_of(session)
    table = engine.table("quality", "gx_staged_results")
    return [Result(*row) for row in engine.rows(f"select {', '.join(RESULT_COLUMNS)} from {table}")]


def relation(session: Any, results: list[Result]) -> Any:
    """Results as a relation."""
    engine = engine_of(session)
    engine.create_table("checked_rules", RESULT_COLUMNS, map(astuple, results))
    return engine.made_of("checked_rules")


# --- what came --------------------------------------------------------------------------------


def staged_table(engine: Engine, name: str) -> str:
    """The table of an input as it came."""
    return engine.table("staging", name.replace("raw_", "staged_"))


def passed_table(engine: Engine, name: str) -> str:
    """The view of what the quarantine left of an input."""
    return engine.table("staging", name.replace("raw_", "passed_"))


def validate(session: Any, run: Run, staged_by: Mapping[str, str] | None = None) -> list[Result]:
    """Every rule's result on the staged tables, in the order of the suites.

    Raises GateError where a rule can't be judged.
    """
    engine = engine_of(session)
    results = []
    with engine.judges() as judge_of:
        for name in INPUTS:
            table = staged_table(engine, name)
            rows = engine.value(f"select count(*) from {table}")
            suite = load_suite(name)["expectations"]
            found = _judge(judge_of(table), name, suite, run.parameters(name))
            results += [
                _result(run, rule, name, found[_id(rule)], rows, (staged_by or {}).get(name))
                for rule in suite
            ]
    return results


def _result(
    run: Run,
    rule: Mapping[str, Any],
    name: str,
    found: tuple[bool, int, str | None],
    element_count: int,
    staged_by: str | None,
) -> Result:
    meta, (success, unexpected_count, examples) = rule["meta"], found
    return Result(
        run_id=run.run_id,
        checked_at=run.now,
        input=name,
        column_name=meta.get("column", rule["kwargs"].get("column")),
        rule=meta["rule"],
        expectation=rule["type"],
        action="stop" if run.strict and meta["action"] == "quarantine" else meta["action"],
        success=success,
        element_count=element_count,
        unexpected_count=unexpected_count,
        examples=examples,
        says=meta["says"],
        remedy=meta["remedy"],
        staged_by=staged_by,
    )


def _judge(
    judge: Judge, name: str, suite: list[dict], parameters: Mapping[str, Any]
) -> dict[str, tuple[bool, int, str | None]]:
    """For each rule whether it is kept, how many rows break it, and some of these in words."""
    passed = judge.passes(suite, parameters)
    failed = [rule for rule in suite if not passed[_id(rule)]]
    # Counts and examples cost several statements a rule: only for rules that failed.
    details = judge.details(failed, parameters)
    found: dict[str, tuple[bool, int, str | None]] = dict.fromkeys(map(_id, suite), (True, 0, None))
    for rule in failed:
        detail = details[_id(rule)]
        if "unexpected_count" in detail:
            examples = _examples(name, _some_rows(judge, name, rule, parameters))
        else:
            examples = _observed(rule, detail, parameters)
        found[_id(rule)] = (False, detail.get("unexpected_count", 0), examples)
    return found


def _id(rule: Mapping[str, Any]) -> str:
    return rule["meta"]["rule"]


# --- what is left out -------------------------------------------------------------------------


def broken_rows(session: Any, run: Run, results: list[Result]) -> Any:
    """Every row that breaks a rule of action quarantine, as a relation.

    Columns: BROKEN_COLUMNS. Raises GateError where it is not as many rows as Great Expectations
    counted.
    """
    engine = engine_of(session)
    engine.create_table("broken_rows", BROKEN_COLUMNS)
    failed = {one.rule: one for one in results if not one.success and one.action == "quarantine"}
    if failed:
        with engine.judges() as judge_of:
            for name in dict.fromkeys(result.input for result in failed.values()):
                judge = judge_of(staged_table(engine, name))
                for rule in load_suite(name)["expectations"]:
                    if not (result := failed.get(_id(rule))):
                        continue
                    columns = ("source_system", KEYS[name][0], *PLACE)
                    told = {"input": name, "rule": result.rule, "staged_by": result.staged_by}
                    named = dict(zip(("source_system", "id", *PLACE), columns, strict=True))
                    judge.keep_rows_that_break(
                        rule, run.parameters(name), "broken_rows", columns=named, told=told
                    )
    counted = dict(engine.rows("select rule, count(*) from broken_rows group by rule"))
    expected = {rule: result.unexpected_count for rule, result in failed.items()}
    if counted != expected:
        raise GateError(f"to be left out: {counted}; judged to be broken: {expected}.")
    return engine.made_of("broken_rows")


# --- what is left -----------------------------------------------------------------------------


def validate_left(session: Any, run: Run, results: list[Result]) -> list[Result]:
    """The results of what came, with those of what is left where rows were left out.

    Raises Unchecked where rows were left out by other results than these, GateError where a rule
    can't be judged.
    """
    engine = engine_of(session)
    _check_that_all_is_of_one_staging(engine, results)
    judged: dict[str, tuple[bool, int, str | None]] = {}
    # A number of rows is compared with the last time's before any are left out.
    run = replace(run, rows_before={})
    with engine.judges() as judge_of:
        for name in QUARANTINE:
            left_out = engine.table("quality", f"quarantined_{name}")
            if engine.rows(f"select 1 from {left_out} limit 1"):
                suite = load_suite(name)["expectations"]
                judge = judge_of(passed_table(engine, name))
                judged |= _judge(judge, name, suite, run.parameters(name))
        distributions = _judge_distributions(engine, run, judge_of, results)
    # One check, of this run, though what came may have been judged by another where models are run
    # one by one.
    results = [replace(one, run_id=run.run_id, checked_at=run.now) for one in results]
    return [
        replace(one, left_success=judged[one.rule][0], left_unexpected_count=judged[one.rule][1])
        if one.rule in judged
        else one
        for one in results
    ] + distributions


def _judge_distributions(
    engine: Engine, run: Run, judge_of: Callable[[str], Judge], results: list[Result]
) -> list[Result]:
    """The results on what is measured of the inputs: months, days, currencies, not rows."""
    table = engine.table("quality", DISTRIBUTIONS)
    suite = load_suite("input_distributions")["expectations"]
    parameters = run.parameters("input_distributions")
    found = _judge(judge_of(table), "input_distributions", suite, parameters)
    counted = dict(engine.rows(f"select measure, count(*) from {table} group by measure"))
    staged_by = {one.input: one.staged_by for one in results}
    return [
        _result(
            run,
            rule,
            rule["meta"]["input"],
            found[_id(rule)],
            counted.get(rule["meta"]["measure"], 0),
            staged_by[rule["meta"]["input"]],
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
            "quality.quarantine_reasons is of other results than quality.gx_staged_results. Run dbt"
            " build."
        )


# --- a check that never ends ------------------------------------------------------------------


class TooLong(Refusal):
    """The checks took longer than they may."""


@contextmanager
def watchdog(session: Any, seconds: float, grace: float = 60) -> Iterator[None]:
    """Interrupt the connection after some seconds, and end the process if that does not help.

    Raises TooLong: a check that never ends must not keep the gate open, nor a scheduler waiting.
    """
    engine = engine_of(session)
    done, late = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        late.set()
        # Great Expectations goes on with the next statement: each is interrupted.
        interrupting = None
        for _ in range(int(grace * 10)):
            # In a thread of its own: a server that does not answer must not keep this one.
            if not interrupting or not interrupting.is_alive():
                interrupting = threading.Thread(target=engine.interrupt, daemon=True)
                interrupting.start()
            if done.wait(0.1):
                return
        print(f"{_too_long(seconds)} The process ends.", file=sys.stderr, flush=True)
        os._exit(1)

    watcher = threading.Thread(target=watch, daemon=True, name="watchdog of the gate")
    watcher.start()
    try:
        yield
    except Exception:
        if not late.is_set():
            raise
    finally:
        done.set()
        watcher.join()
    if late.is_set():
        # What the interrupted statement raised is no news.
        raise TooLong(_too_long(seconds)) from None


def _too_long(seconds: float) -> str:
    return (
        f"The checks of the inputs took more than gate_timeout_seconds, {seconds:g}: the gate stays"
        " closed."
    )


# --- rows in words ----------------------------------------------------------------------------


def _some_rows(
    judge: Judge, name: str, rule: Mapping[str, Any], parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The first rows that break a rule, with what tells a person which they are, and why."""
    kwargs = rule["kwargs"]
    judged = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    place = PLACE if name in INPUTS else ()
    columns = list(dict.fromkeys([*KEYS[name], *rule["meta"].get("show", []), *judged, *place]))
    found = judge.first_rows_that_break(
        rule, parameters, columns, order_by=(*place, *KEYS[name]), limit=EXAMPLES
    )
    return [dict(zip(columns, row, strict=True)) for row in found]


def _observed(
    rule: Mapping[str, Any], detail: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str | None:
    """What a rule on the whole input found, where that is a number."""
    observed = detail.get("observed_value")
    if isinstance(observed, bool) or not isinstance(observed, int | float):
        return None
    least = with_parameters(rule["kwargs"].get("min_value"), dict(parameters))
    return f"{observed:,} found" + (f", at least {least:,} expected" if least is not None else "")


def _examples(name: str, rows: list[dict[str, Any]]) -> str:
    """A few rows in words: their ids, where they come from, the values that may be shown."""
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
            # What was measured has names of our own making.
            texts.append(f"{' '.join(row[column] for column in KEYS[name])} ({values})")
    return "; ".join(texts)


def _key_text(column: str, value: Any) -> str:
    """An id as it is, unless it may be an address, or a name that a broken quote shifted here."""
    if value is None:
        return "empty"
    text = str(value)
    # No blank, no @, nothing that a terminal obeys, no letter of which ids are hardly made.
    if not re.fullmatch("[A-Z]{3}" if column == "currency_code" else "[!-?A-~]+", text):
        return f"looks like {_shape(text)}"
    return text if len(text) <= 40 else text[:39] + "…"


def _shape(text: str) -> str:
    """Text without what it says: digits are 9, blanks and ASCII punctuation stay, all else is a."""
    return re.sub(r"[^ -~]|[A-Za-z]", "a", re.sub(r"\d", "9", text[:40]))


def _shown(column: str, value: Any) -> str | None:
    """A value that can't be personal: a number, a date, a currency; of raw text only its shape.

    A broken quote can shift a name into any text column.
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
