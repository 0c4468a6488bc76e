"""A summary of what a build published, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from customer_loyalty.publish.publication import MARTS

if TYPE_CHECKING:
    from customer_loyalty.engine import Engine, Record, Target

QUERY = (
    "select period_start, customers_at_start, cast(retention_rate_pct as decimal(9, 1)) as"
    " retention_rate_pct from marts.retention where period_grain = '{grain}' and dimension = 'all'"
    " order by period_start desc limit 6"
)


def summarise(target: Target) -> str:
    """The headline numbers of the last complete period, the gate, row counts, and locations."""
    with target.published() as engine:
        build = engine.records("select * from marts.published_build")[0]
        period = _last_complete_period(engine)
        sql = QUERY.format(grain=period[0] if period else "month")
        return "\n".join(
            (
                "",
                f"customer_loyalty {build['project_version']} · sources: {build['sources']}"
                f" · as of {build['as_of_date'] or 'no day, because there is no data'}",
                "",
                *_headlines(engine, build, period),
                "",
                "Rows  " + " · ".join(f"{mart} {build[f'rows_{mart}']:,}" for mart in MARTS),
                _gate(engine),
                *_left_out(engine),
                f"Published  {target.place}",
                f"Try  {target.query_command(sql)}",
            )
        )


def _headlines(engine: Engine, build: Record, period: tuple[str, Any] | None) -> list[str]:
    if period is None:
        return ["There is no complete period yet."]
    grain, start = period
    cell = f"period_grain = '{grain}' and period_start = '{start}' and dimension = 'all'"
    lines = [f"The last complete {grain}, from {start}, with 95 % intervals:"]
    for title, mart, rate, unit, count, of in (
        ("Retention", "retention", "retention_rate", "_pct", "customers_at_start", "customers"),
        ("Churn", "churn", "churn_rate", "_pct", "customers_at_start", "customers"),
        ("NPS", "nps", "nps", "", "responses", "responses"),
        ("CSAT", "csat", "csat", "_pct", "responses", "responses"),
    ):
        name = f"{rate}{unit}"
        found = engine.records(
            f"select {name} as rate, {rate}_low{unit} as low, {rate}_high{unit} as high,"
            f" {count} as counted from marts.{mart} where {cell}"
        )
        if not found or found[0]["rate"] is None:
            lines.append(f"  {title:<10} undefined: no {of}")
            continue
        row = found[0]
        sign = " %" if unit else ""
        lines.append(
            f"  {title:<10} {row['rate']:8.1f}{sign:<2} ({row['low']:.1f} to {row['high']:.1f})"
            f"  of {row['counted']:,} {of}"
        )
    cltv = engine.records("select cltv, customers from marts.cltv where dimension = 'all'")
    if cltv and cltv[0]["cltv"] is not None:
        lines.append(
            f"  {'CLTV':<10} {cltv[0]['cltv']:8.1f} {build['reporting_currency']}"
            f"  of {cltv[0]['customers']:,} customers, as of {build['as_of_date']} (no interval)"
        )
    else:
        lines.append(f"  {'CLTV':<10} undefined: no orders, or nobody lapsed")
    return lines


def _last_complete_period(engine: Engine) -> tuple[str, Any] | None:
    """The last complete month; without months, the last period of the shortest grain."""
    found = engine.rows(
        " union ".join(
            f"select period_grain, max(period_start) as period_start from marts.{mart}"
            " where is_complete_period group by period_grain"
            for mart in ("retention", "nps", "csat")
        )
    )
    for grain in ("month", "week", "quarter", "year"):
        starts = [start for of_grain, start in found if of_grain == grain]
        if starts:
            return grain, max(starts)
    return None


def _gate(engine: Engine) -> str:
    results = engine.rows("select rule, success, action from quality.gx_validation_results")
    warnings = sorted(rule for rule, success, action in results if not success and action == "warn")
    listed = f"{len(warnings)} warn: {', '.join(warnings)}" if warnings else "no warnings"
    return f"Gate  open: {len(results)} rules checked, {listed}"


def _left_out(engine: Engine) -> list[str]:
    """A line for each input with rows left out, and where they are."""
    lines = [
        f"      {left_out:,} of {rows:,} rows of {name} left out: {reasons}"
        for name, rows, left_out, reasons in engine.rows(
            "select input, rows_in, rows_left_out, reasons from quality.input_summary"
            " where rows_left_out > 0 order by input"
        )
    ]
    where = "      They are in quality.quarantined_<input>. For the rules, run make data-docs"
    return [*lines, where] if lines else []
