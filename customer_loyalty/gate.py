"""Judge the staged inputs with Great Expectations: every rule of the input contract, as SQL.

The rules stand in ``suites/<input>.yml``, in Great Expectations' own form. ``validate`` runs them on
an open DuckDB connection and returns one result a rule; what a broken rule does (stop, quarantine,
warn) is for the reader of the results to decide.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from customer_loyalty.contract import INPUTS, REQUIRED

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
    """One rule's result in one run: a row of ``quality.gx_validation_results``."""

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


RESULT_TYPES = (
    "varchar, timestamp, varchar, varchar, varchar, varchar, varchar, boolean, bigint, bigint,"
    " varchar, varchar, varchar, varchar"
).split(", ")


LEDGER = "quality.staged_inputs"
"""By which dbt run each input was staged last; written by a hook of the staged models."""


class GateError(Exception):
    """The gate itself is broken: a suite that can't be read, a rule that gave no result."""


def check(
    con: DuckDBPyConnection,
    *,
    countries: DuckDBPyRelation,
    languages: DuckDBPyRelation,
    allow_empty_inputs: bool,
) -> DuckDBPyRelation:
    """The results of this dbt run, as the relation that ``gx_validation_results`` is made of.

    countries, languages: the reference seeds, codes in their first column. Results carry by which
    dbt run their input was staged, so that another staging counts as unchecked.
    """
    from dbt_common.invocation import get_invocation_id

    staged_by = dict(con.execute(f"select input, staged_by from {LEDGER}").fetchall())
    results = validate(
        con,
        run_id=get_invocation_id(),
        now=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        countries=[row[0] for row in countries.fetchall()],
        languages=[row[0] for row in languages.fetchall()],
        allow_empty_inputs=allow_empty_inputs,
    )
    columns = [field.name for field in fields(Result)]
    typed = ", ".join(f"{name} {type_}" for name, type_ in zip(columns, RESULT_TYPES, strict=True))
    con.execute(f"create or replace temp table checked_rules ({typed})")
    con.executemany(
        f"insert into checked_rules values ({', '.join('?' * len(columns))})",
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
    countries: list[str],
    languages: list[str],
    allow_empty_inputs: bool = False,
) -> list[Result]:
    """Every rule's result on the staged tables, in the order of the suites.

    now: the clock of the run, UTC without offset. Raises GateError where a rule could not be judged.
    """
    parameters = {
        "now": now,
        "countries": countries,
        "languages": languages,
        "reserved_segments": list(RESERVED_SEGMENTS),
    }
    results = []
    for name, judge in _judges(con):
        least = 0 if allow_empty_inputs or name not in REQUIRED else 1
        rows = con.execute(f"select count(*) from {staged_table(name)}").fetchall()[0][0]
        suite = load_suite(name)
        passed = judge(suite, {**parameters, "least_rows": least})
        failed = [rule for rule in suite["expectations"] if not passed[rule["meta"]["rule"]].success]
        # Counts and examples cost several statements a rule: only for rules that failed.
        details = judge({**suite, "expectations": failed}, {**parameters, "least_rows": least}, name)
        for rule in suite["expectations"]:
            meta = rule["meta"]
            detail = details[meta["rule"]].result if meta["rule"] in details else {}
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
                    examples=_examples(name, detail, rule) or None,
                    says=meta["says"],
                    remedy=meta["remedy"],
                    staged_by=None,
                )
            )
    return results


def load_suite(name: str) -> dict[str, Any]:
    """The suite of an input. Raises GateError where a rule has no name, action or sentence."""
    suite = yaml.safe_load((files("customer_loyalty") / "suites" / f"{name}.yml").read_text("utf-8"))
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

            def judge(suite, parameters, examples_of=None, batch=batch):
                if not suite["expectations"]:
                    return {}
                outcome = batch.validate(
                    gx.ExpectationSuite(**suite),
                    expectation_parameters=parameters,
                    result_format=_result_format(examples_of),
                )
                results = {
                    result.expectation_config.meta["rule"]: result for result in outcome.results
                }
                for rule in suite["expectations"]:
                    result = results.get(rule["meta"]["rule"])
                    raised = result and (result.exception_info or {}).get("exception_message")
                    if result is None or raised:
                        raise GateError(f"{rule['meta']['rule']} gave no result: {raised}")
                return results

            yield name, judge


def _result_format(examples_of: str | None) -> Any:
    if examples_of is None:
        return "BOOLEAN_ONLY"
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": [
            *KEYS[examples_of],
            *(["currency_code"] if examples_of in ("raw_orders", "raw_subscriptions") else []),
            "_source_file",
            "_source_row",
        ],
    }


def _examples(name: str, detail: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """A few rows that break a rule: their ids, where they come from, the values that may be shown."""
    rows = detail.get("partial_unexpected_index_list") or []
    hidden = {*KEYS[name], "source_system", "_source_file", "_source_row"}
    rows = sorted(rows, key=lambda row: (str(row["_source_file"]), row["_source_row"] or 0))
    texts = []
    for row in rows[:EXAMPLES]:
        key = " ".join(f"{column} {_key_text(row[column])}" for column in KEYS[name])
        place = f"{row['_source_file']} row {row['_source_row']}"
        values = ", ".join(
            f"{column.removeprefix('_uncast_')} {shown}"
            for column, value in row.items()
            if column not in hidden and (shown := _shown(column, value))
        )
        texts.append(f"{key} ({place}{': ' + values if values else ''})")
    return "; ".join(texts)


def _key_text(value: Any) -> str:
    text = "empty" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _shown(column: str, value: Any) -> str | None:
    """A value that can't be personal: a number, a date, a currency; of raw text only its shape.

    A broken quote can shift a name into any text column.
    """
    if isinstance(value, bool | int | float | Decimal | date | datetime):
        return str(value)
    if value is None:
        return None
    if column.startswith("_uncast_"):
        shape = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", str(value)[:40]))
        return f"looks like {shape}"
    return str(value) if re.fullmatch("[A-Z]{3}", str(value)) and "currency" in column else None
