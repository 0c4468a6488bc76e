"""Great Expectations on Spark: on DataFrames, in the application that checks tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql.functions import col, expr, lit

from customer_loyalty.engine import Judge, Row, Rule
from customer_loyalty.gate.judge import ExpectationsJudge, new_context

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from customer_loyalty.engines.spark import SparkEngine


@contextmanager
def spark_judges(engine: SparkEngine) -> Iterator[Callable[[str], Judge]]:
    """While it lasts, yields a function that makes the Judge of a table, ``schema.table``."""
    # Start it first: without a session, Great Expectations would start its own.
    _ = engine.checks.session
    context = new_context()
    source = context.data_sources.add_spark("gate", persist=False, force_reuse_spark_context=True)

    def judge_of(relation: str) -> Judge:
        options = {"dataframe": frames.enter_context(engine.frame(relation))}
        asset = source.add_dataframe_asset(relation)
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch(options)
        request = asset.build_batch_request(options)
        return SparkJudge(engine, batch, context.get_validator(batch_request=request))

    with ExitStack() as frames:
        yield judge_of


class SparkJudge(ExpectationsJudge):
    """One DataFrame under test by Great Expectations."""

    def __init__(self, engine: SparkEngine, batch: Any, validator: Any) -> None:
        super().__init__(batch, validator)
        self._engine = engine

    def first_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        columns: Sequence[str],
        order_by: Sequence[str],
        limit: int,
    ) -> list[Row]:
        rows = self._rows_that_break(rule, parameters).orderBy(
            *(expr(column).asc_nulls_last() for column in order_by)
        )
        return [tuple(map(_in_utc, row)) for row in rows.select(*columns).limit(limit).collect()]

    def keep_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        table: str,
        columns: Mapping[str, str],
        constants: Mapping[str, str | None],
    ) -> None:
        rows = self._rows_that_break(rule, parameters).select(
            *(col(column).alias(name) for name, column in columns.items()),
            *(lit(value).cast("string").alias(name) for name, value in constants.items()),
        )
        self._engine.add_rows(table, rows)

    def _rows_that_break(self, rule: Rule, parameters: Mapping[str, Any]) -> DataFrame:
        _, rows, condition = self._broken(rule, parameters)
        # As a column, because a condition may be on other rows, too.
        return rows.withColumn("_is_broken", condition).where(col("_is_broken")).drop("_is_broken")

    def _expectation(self, rule: Rule, parameters: Mapping[str, Any]) -> Any:
        # A time without a zone would be in this machine's zone.
        aware = {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in parameters.items()
        }
        return super()._expectation(rule, aware)


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
