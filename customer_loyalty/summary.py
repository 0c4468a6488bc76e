"""What a build published, in a few lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.publish import MARTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUERY = (
    "select period_start, customers_at_start, round(retention_rate_pct, 1) as retention_rate_pct"
    " from marts.retention where period_grain = '{grain}' and dimension = 'all'"
    " order by period_start desc limit 6"
)


def summarise(published: str) -> str:
    """The headline numbers of the last complete month, the gate, the rows, and where all is."""
    with duckdb.connect(published, read_only=True) as con:
        build = _rows(con, "select * from marts.published_build")[0]
        period = _last_complete_period(con)
        sql = QUERY.format(grain=period[0] if period else "month")
        return "\n".join(
            (
                "",
                f"customer_loyalty {build['project_version']} · sources: {build['sources']}"
                f" · as of {build['as_of_date'] or 'no day: there is no data'}",
                "",
                *_headlines(con, build, period),
                "",
                "Rows  " + " · ".join(f"{mart} {build[f'rows_{mart}']:,}" for mart in MARTS),
                _gate(con),
                *_left_out(con),
                f"Published  {published}",
                f'Try  .venv/bin/customer-loyalty query "{sql}"',
            )
        )


def _headlines(
    con: DuckDBPyConnection, build: dict[str, Any], period: tuple[str, Any] | None
) -> list[str]:
    if period is None:
        return ["There is no complete period yet."]
    grain, start = period
    cell = "period_grain = ? and period_start = ? and dimension = 'all'"
    lines = [f"The last complete {grain}, from {start}, with 95 % intervals:"]
    for title, mart, rate, unit, count, of in (
        ("Retention", "retention", "retention_rate", "_pct", "customers_at_start", "customers"),
        ("Churn", "churn", "churn_rate", "_pct", "customers_at_start", "customers"),
        ("NPS", "nps", "nps", "", "responses", "answers"),
        ("CSAT", "csat", "csat", "_pct", "responses", "answers"),
    ):
        name = f"{rate}{unit}"
        found = _rows(
            con,
            f"select {name} as rate, {rate}_low{unit} as low, {rate}_high{unit} as high,"
            f" {count} as count from marts.{mart} where {cell}",
            [grain, start],
        )
        if not found or found[0]["rate"] is None:
            lines.append(f"  {title:<10} undefined: no {of}")
            continue
        row = found[0]
        sign = " %" if unit else ""
        lines.append(
            f"  {title:<10} {row['rate']:8.1f}{sign:<2} ({row['low']:.1f} to {row['high']:.1f})"
            f"  of {row['count']:,} {of}"
        )
    cltv = _rows(con, "select cltv, customers from marts.cltv where dimension = 'all'")
    if cltv and cltv[0]["cltv"] is not None:
        lines.append(
            f"  {'CLTV':<10} {cltv[0]['cltv']:8.1f} {build['reporting_currency']}"
            f"  of {cltv[0]['customers']:,} customers, as of {build['as_of_date']} (no interval)"
        )
    else:
        lines.append(f"  {'CLTV':<10} undefined: no orders, or nobody lapsed")
    return lines


def _last_complete_period(con: DuckDBPyConnection) -> tuple[str, Any] | None:
    """The last complete month; where there are no months, the last period of the shortest grain."""
    return con.execute(
        """
        select period_grain, period_start
        from (
            select period_grain, period_start, is_complete_period from marts.retention
            union
            select period_grain, period_start, is_complete_period from marts.nps
            union
            select period_grain, period_start, is_complete_period from marts.csat
        )
        where is_complete_period
        order by
            array_position(['month', 'week', 'quarter', 'year'], period_grain), period_start desc
        limit 1
        """
    ).fetchone()


def _gate(con: DuckDBPyConnection) -> str:
    rules, warnings, names = con.execute(
        "select count(*), count(*) filter (not success and action = 'warn'),"
        " string_agg(rule, ', ') filter (not success and action = 'warn')"
        " from quality.gx_validation_results"
    ).fetchall()[0]
    told = f"{warnings} of them warn: {names}" if warnings else "no warnings"
    return f"Gate  open: {rules} rules checked, {told}"


def _left_out(con: DuckDBPyConnection) -> list[str]:
    """A line for each input of which rows were left out, and where they are."""
    lines = [
        f"      {left_out:,} of {rows:,} rows of {name} left out: {reasons}"
        for name, rows, left_out, reasons in con.execute(
            "select input, rows_in, rows_left_out, reasons from quality.input_summary"
            " where rows_left_out > 0 order by input"
        ).fetchall()
    ]
    where = "      They are in quality.quarantined_<input>; what the rules say: make data-docs"
    return [*lines, where] if lines else []


def _rows(con: DuckDBPyConnection, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    result = con.execute(sql, parameters or [])
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
