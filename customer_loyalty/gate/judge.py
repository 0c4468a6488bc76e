"""Great Expectations on one table: on any engine, and through SQLAlchemy.

Importing this takes seconds, because it imports Great Expectations.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

# Read when it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import GxDatasourceWarning
from great_expectations.exceptions import ExpectationNotFoundError
from great_expectations.expectations.expectation import get_metric_kwargs
from great_expectations.expectations.registry import get_expectation_impl
from great_expectations.util import get_sqlalchemy_selectable
from great_expectations.validator.metric_configuration import MetricConfiguration

from customer_loyalty.engine import Judge, Row, Rule
from customer_loyalty.errors import GateError
from customer_loyalty.gate.rules import with_parameters


def new_context() -> Any:
    """A context of Great Expectations in memory, which writes and logs nothing."""
    # It also returns the errors that it logs, which become one GateError; its traces would bury it.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )


class ExpectationsJudge(Judge):
    """One table under test by Great Expectations.

    batch, validator: Great Expectations' own, of the whole table.
    """

    def __init__(self, batch: Any, validator: Any) -> None:
        self._batch = batch
        self._validator = validator

    def passes(self, rules: Sequence[Rule], parameters: Mapping[str, Any]) -> dict[str, bool]:
        results = self._validate(rules, parameters, {"result_format": "BOOLEAN_ONLY"})
        return {rule: result.success for rule, result in results.items()}

    def details(
        self, rules: Sequence[Rule], parameters: Mapping[str, Any]
    ) -> dict[str, Mapping[str, Any]]:
        results = self._validate(rules, parameters, {"result_format": "BASIC"})
        return {rule: result.result for rule, result in results.items()}

    def _validate(
        self, rules: Sequence[Rule], parameters: Mapping[str, Any], result_format: dict[str, str]
    ) -> dict[str, Any]:
        if not rules:
            return {}
        suite = gx.ExpectationSuite(
            name="rules", expectations=[self._expectation(rule, parameters) for rule in rules]
        )
        outcome = self._batch.validate(suite, result_format=result_format)
        # They are returned in another order.
        results = {result.expectation_config.meta["rule"]: result for result in outcome.results}
        for rule in rules:
            result = results.get(rule.name)
            raised = _raised(result.exception_info) if result else "it is missing"
            if raised:
                raise GateError(f"{rule.name} gave no result: {raised}")
        return results

    def _broken(self, rule: Rule, parameters: Mapping[str, Any]) -> tuple[str, Any, Any]:
        """The metric of a rule, the rows that the rule applies to, and the condition to break it.

        Great Expectations itself only returns some of the rows. Raises GateError if the rule is on
        the whole input.
        """
        expectation = self._expectation(rule, parameters)
        metric = f"{getattr(expectation, 'map_metric', None)}.condition"
        if not getattr(expectation, "map_metric", None):
            raise GateError(
                f"{rule} is on the whole input, so it can't quarantine rows. Use stop or warn."
            )
        kwargs = get_metric_kwargs(metric, configuration=expectation.configuration)
        condition, domain, accessor = self._validator.get_metric(
            MetricConfiguration(
                metric,
                metric_domain_kwargs=kwargs["metric_domain_kwargs"],
                metric_value_kwargs=kwargs["metric_value_kwargs"],
            )
        )
        engine = self._validator.execution_engine
        return metric, engine.get_domain_records({**domain, **accessor}), condition

    def _expectation(self, rule: Rule, parameters: Mapping[str, Any]) -> Any:
        """A rule as an object of Great Expectations. Raises GateError if it is invalid."""
        try:
            kwargs = with_parameters(rule.kwargs, dict(parameters))
            return get_expectation_impl(rule.type)(**kwargs, meta={"rule": rule.name})
        except KeyError as error:
            raise GateError(f"{rule}: unknown parameter {error}.") from None
        except (ExpectationNotFoundError, ValueError) as error:
            raise GateError(f"{rule}: {error}") from None


@contextmanager
def sql_judges(connection: AbstractContextManager[str]) -> Iterator[Callable[[str], Judge]]:
    """While it lasts, yields a function that makes the Judge of a table, ``schema.table``.

    connection: while it lasts, SQLAlchemy engines for the URL that it yields use dbt's connection.
    """
    context = new_context()
    # Its class for PostgreSQL does not accept an open connection.
    warnings.filterwarnings("ignore", category=GxDatasourceWarning)
    with connection as url:
        source = context.data_sources.add_sql("gate", connection_string=url)

        def judge_of(relation: str) -> Judge:
            schema, table = relation.split(".")
            asset = source.add_table_asset(relation, table_name=table, schema_name=schema)
            batch = asset.add_batch_definition_whole_table("whole").get_batch()
            return SQLJudge(batch, context.get_validator(batch_request=asset.build_batch_request()))

        yield judge_of


class SQLJudge(ExpectationsJudge):
    """A table that Great Expectations reaches through SQLAlchemy."""

    def first_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        columns: Sequence[str],
        order_by: Sequence[str],
        limit: int,
    ) -> list[Row]:
        rows = self._rows_that_break(rule, parameters, [*map(sa.column, columns)])
        found = self._execute(rows.order_by(*map(sa.column, order_by)).limit(limit))
        return [tuple(row) for row in found.fetchall()]

    def keep_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        table: str,
        columns: Mapping[str, str],
        constants: Mapping[str, str | None],
    ) -> None:
        values = [
            *map(sa.column, columns.values()),
            *(sa.literal(value, sa.String) for value in constants.values()),
        ]
        names = [*columns, *constants]
        rows = self._rows_that_break(rule, parameters, values)
        target = sa.table(table, *map(sa.column, names))
        self._execute(sa.insert(target).from_select(names, rows))

    def _rows_that_break(
        self, rule: Rule, parameters: Mapping[str, Any], columns: list[Any]
    ) -> Any:
        """The select of ``columns`` of every row that breaks a rule."""
        metric, domain, condition = self._broken(rule, parameters)
        rows = get_sqlalchemy_selectable(domain)
        if metric == "compound_columns.unique.condition":
            # Its condition refers to a table of its own, which has every column twice.
            key = [sa.column(column) for column in rule.kwargs["column_list"]]
            often = sa.select(*key).select_from(rows).group_by(*key).having(sa.func.count() > 1)
            condition = sa.tuple_(*key).in_(often)
        return sa.select(*columns).select_from(rows).where(condition)

    def _execute(self, statement: Any) -> Any:
        return self._validator.execution_engine.execute_query(statement)


def _raised(exception_info: Mapping[str, Any] | None) -> str | None:
    """The error that Great Expectations had instead of a result, reported once or by metric."""
    info = exception_info or {}
    reported = [info, *(value for value in info.values() if isinstance(value, Mapping))]
    raised = [str(one.get("exception_message")) for one in reported if one.get("raised_exception")]
    return raised[0] if raised else None
