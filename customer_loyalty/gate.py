"""Judge the staged inputs with Great Expectations: every rule of the input contract, as SQL.

The rules stand in ``suites/<input>.yml``, in Great Expectations' own form. ``validate`` runs them
on an open DuckDB connection and returns one result a rule; what a broken rule does (stop,
quarantine, warn) is for the reader of the results to decide.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from customer_loyalty.contract import INPUTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

RESERVED_SEGMENTS = ("all", "unknown", "anonymous")
ACTIONS = ("stop", "quarantine", "warn")
EXAMPLES = 5

KEYS: dict[str, tuple[str, ...]] = {
    "raw_customers": ("customer_id",),
    "raw_orders": ("order_id",),
    "raw_surveys": ("response_id",),
    "raw_exchange_rates": ("currency_code", "rate_date"),
    "raw_subscriptions": ("subscription_id",),
}
"""The columns that name a row of each input to a person."""


@dataclass(frozen=True)
class Result:
    """One rule's result in one run: a row of ``quality.gx_validation_results``.

    element_count: rows of the input. unexpected_count: rows that break the rule.
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


LEDGER = "quality.staged_inputs"
"""By which dbt run each input was staged last; written by a hook of the staged models."""


class GateError(Exception):
    """The gate itself is broken: a suite that can't be read, a rule that gave no result."""


def check(
    con: DuckDBPyConnection,
    *,
    countries: DuckDBPyRelation,
    languages: DuckDBPyRelation,
) -> DuckDBPyRelation:
    """The results of this dbt run, as the relation that ``gx_validation_results`` is made of.

    countries, languages: the reference seeds, codes in their first column. What else is to know of
    the run stands in the table ``this_check``, written by a hook. Results carry by which dbt run
    their input was staged, so that another staging counts as unchecked.
    """
    run_id, now, sources, allow_empty_inputs = con.execute(
        "select run_id, checked_at, sources, allow_empty_inputs from this_check"
    ).fetchall()[0]
    staged_by = dict(con.execute(f"select input, staged_by from {LEDGER}").fetchall())
    results = validate(
        con,
        run_id=run_id,
        now=now,
        sources=sources.split(","),
        countries=[row[0] for row in countries.fetchall()],
        languages=[row[0] for row in languages.fetchall()],
        allow_empty_inputs=allow_empty_inputs,
    )
    con.execute(
        """
        create or replace temp table checked_rules (
            run_id varchar, checked_at timestamp, input varchar, column_name varchar, rule varchar,
            expectation varchar, action varchar, success boolean, element_count bigint,
            unexpected_count bigint, examples varchar, says varchar, remedy varchar,
            staged_by varchar
        )
        """
    )
    con.executemany(
        f"insert into checked_rules values ({', '.join('?' * len(fields(Result)))})",
        [astuple(replace(result, staged_by=staged_by.get(result.input))) for result in results],
    )
    return con.query("select * from checked_rules")


def staged_table(name: str) -> str:
    """The table that the rules of an input are judged on."""
    return f"staging.{name.replace('raw_', 'staged_')}"


def validate(
    con: Any,
    *,
    run_id: str,
    now: datetime,
    sources: list[str],
    countries: list[str],
    languages: list[str],
    allow_empty_inputs: bool = False,
) -> list[Result]:
    """Every rule's result on the staged tables, in the order of the suites.

    now: the clock of the run, UTC without offset. sources: those that must have rows in the
    required inputs. Raises GateError where a rule can't be judged.
    """
    parameters = {
        "now": now,
        "sources": [] if allow_empty_inputs else sources,
        "countries": countries,
        "languages": languages,
        "reserved_segments": list(RESERVED_SEGMENTS),
    }
    results = []
    for name, judge in _judges(con):
        rows = con.execute(f"select count(*) from {staged_table(name)}").fetchall()[0][0]
        suite = load_suite(name)
        passed = judge(suite, parameters)
        failed = [
            rule for rule in suite["expectations"] if not passed[rule["meta"]["rule"]].success
        ]
        # Counts and examples cost several statements a rule: only for rules that failed.
        details = judge({**suite, "expectations": failed}, parameters, summary=True)
        for rule in suite["expectations"]:
            meta = rule["meta"]
            detail = details[meta["rule"]].result if meta["rule"] in details else {}
            rows_broken = _rows_broken(con, name, rule, detail)
            results.append(
                Result(
                    run_id=run_id,
                    checked_at=now,
                    input=name,
                    column_name=meta.get("column", rule["kwargs"].get("column")),
                    rule=meta["rule"],
                    expectation=rule["type"],
                    action=meta["action"],
                    success=passed[meta["rule"]].success,
                    element_count=rows,
                    unexpected_count=detail.get("unexpected_count", 0),
                    examples=_examples(name, rows_broken) or None,
                    says=meta["says"],
                    remedy=meta["remedy"],
                    staged_by=None,
                )
            )
    return results


def load_suite(name: str) -> dict[str, Any]:
    """The suite of an input. Raises GateError where a rule has no name, action or sentence."""
    suite = yaml.safe_load(
        (files("customer_loyalty") / "suites" / f"{name}.yml").read_text("utf-8")
    )
    for rule in suite["expectations"]:
        meta = rule.get("meta", {})
        missing = [word for word in ("rule", "action", "says", "remedy") if not meta.get(word)]
        if missing or meta["action"] not in ACTIONS:
            raise GateError(
                f"suites/{name}.yml: rule {meta.get('rule', rule['type'])} needs"
                f" {', '.join(missing) or 'an action of ' + ', '.join(ACTIONS)}."
            )
    rules = [rule["meta"]["rule"] for rule in suite["expectations"]]
    twice = {rule for rule in rules if rules.count(rule) > 1}
    if twice:
        raise GateError(f"suites/{name}.yml: {', '.join(sorted(twice))} stands there twice.")
    return suite


def _judges(con: Any) -> Iterator[tuple[str, Any]]:
    """For each input its name and a function that runs a suite on it."""
    # Importing Great Expectations takes seconds: here, and nowhere else.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    from customer_loyalty import dialect

    with dialect.open_connection(con) as url:
        context = gx.get_context(
            mode="ephemeral",
            project_config=DataContextConfig(
                store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
                progress_bars=ProgressBarsConfig(globally=False),
                analytics_enabled=False,
            ),
        )
        source = context.data_sources.add_sql("staged", connection_string=url)
        for name in INPUTS:
            schema, table = staged_table(name).split(".")
            asset = source.add_table_asset(name, table_name=table, schema_name=schema)
            batch = asset.add_batch_definition_whole_table("whole").get_batch()

            def judge(suite, parameters, summary=False, batch=batch, name=name):
                results = {}
                # Rules that show the same columns run together, all of them where none is shown.
                for index, rules in _grouped(name, suite["expectations"], summary):
                    outcome = batch.validate(
                        gx.ExpectationSuite(
                            name=name, expectations=[_expectation(name, rule) for rule in rules]
                        ),
                        expectation_parameters=parameters,
                        result_format={
                            "result_format": "SUMMARY" if summary else "BOOLEAN_ONLY",
                            "unexpected_index_column_names": index,
                        },
                    )
                    results |= {
                        result.expectation_config.meta["rule"]: result for result in outcome.results
                    }
                for rule in suite["expectations"]:
                    result = results.get(rule["meta"]["rule"])
                    raised = _raised(result.exception_info) if result else "it is missing"
                    if raised:
                        raise GateError(f"{rule['meta']['rule']} gave no result: {raised}")
                return results

            yield name, judge


def _expectation(name: str, rule: Mapping[str, Any]) -> Any:
    """A rule as Great Expectations' object. Raises GateError where it can't be made."""
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        return get_expectation_impl(rule["type"])(**rule["kwargs"], meta=rule["meta"])
    except (ExpectationNotFoundError, ValueError) as error:
        raise GateError(f"suites/{name}.yml: rule {rule['meta']['rule']}: {error}") from None


def _raised(exception_info: Mapping[str, Any] | None) -> str | None:
    """What Great Expectations met instead of a result: told once, or by metric."""
    info = exception_info or {}
    told = [info, *(value for value in info.values() if isinstance(value, Mapping))]
    raised = [str(one.get("exception_message")) for one in told if one.get("raised_exception")]
    return raised[0] if raised else None


def _grouped(name: str, rules: list[dict], summary: bool) -> list[tuple[list[str], list[dict]]]:
    if not summary:
        return [([], rules)] if rules else []
    groups: dict[tuple[str, ...], list[dict]] = {}
    for rule in rules:
        groups.setdefault(tuple(_index_columns(name, rule)), []).append(rule)
    return [(list(index), group) for index, group in groups.items()]


def _index_columns(name: str, rule: Mapping[str, Any]) -> list[str]:
    """What tells a person which row broke a rule, and why."""
    return [*KEYS[name], *rule["meta"].get("show", []), "_source_file", "_source_row"]


def _rows_broken(
    con: Any, name: str, rule: Mapping[str, Any], detail: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Some rows that break a rule, with their origin."""
    if rule["type"] != "expect_compound_columns_to_be_unique":
        return detail.get("partial_unexpected_index_list") or []
    # Of duplicates Great Expectations tells the keys, but not where they are.
    columns, index = rule["kwargs"]["column_list"], _index_columns(name, rule)
    same = " and ".join(f"{column} = ?" for column in columns)
    rows = []
    for key in {tuple(key.values()) for key in detail.get("partial_unexpected_list") or []}:
        found = con.execute(
            f"select {', '.join(index)} from {staged_table(name)} where {same} limit {EXAMPLES}",
            list(key),
        ).fetchall()
        rows += [dict(zip(index, row, strict=True)) for row in found]
    return rows


def _examples(name: str, rows: list[dict[str, Any]]) -> str:
    """A few rows in words: their ids, where they come from, the values that may be shown."""
    hidden = {*KEYS[name], "_source_file", "_source_row"}
    texts = []
    for row in sorted(rows, key=lambda row: (row["_source_file"], row["_source_row"]))[:EXAMPLES]:
        key = " ".join(f"{column} {_key_text(column, row[column])}" for column in KEYS[name])
        place = f"{row['_source_file']} row {row['_source_row']}"
        values = ", ".join(
            f"{column.removeprefix('_uncast_')} {shown}"
            for column, value in row.items()
            if column not in hidden and (shown := _shown(column, value))
        )
        texts.append(f"{key} ({place}{': ' + values if values else ''})")
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
    if isinstance(value, bool | int | float | date | datetime):
        return str(value)
    if value is None:
        return None
    if column.startswith("_uncast_"):
        return f"looks like {_shape(str(value))}"
    if column == "customer_id":
        return _key_text(column, value)
    return str(value) if re.fullmatch("[A-Z]{3}", str(value)) and "currency" in column else None
