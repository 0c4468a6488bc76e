"""The analyses, run as dbt compiles them, held against the marts and against plain Python."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
import shutil
from collections import Counter, defaultdict
from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median

import duckdb
import pytest
from dbt_common.clients.agate_helper import table_from_data_flat

from brute_force import period_of
from test_marts import drawn
from warehouse import PROJECT, open_marts, rows_of
from worlds import worlds

# Stands for any period while an analysis is compiled.
SOME_DAY = "1999-01-01"
CLASSES = ("retained", "lost", "new", "reactivated", "passing")
# The error of the normal distribution's approximation.
P_VALUE_ERROR = 2e-7


@pytest.fixture(scope="module")
def shop(demo_build):
    """Return the demo shop's models in a database that bears the name of the compiled SQL's."""
    assert demo_build.exit_code == 0, demo_build.output
    with duckdb.connect(":memory:") as con:
        # Under the name that its views refer to.
        con.execute(f"attach '{demo_build.warehouse}' as loyalty (read_only)")
        for schema in ("clean", "intermediate", "marts"):
            con.execute(f"create schema {schema}")
            for (table,) in con.execute(
                "select table_name from information_schema.tables"
                " where table_catalog = 'loyalty' and table_schema = ?",
                [schema],
            ).fetchall():
                con.execute(f"create view {schema}.{table} as from loyalty.{schema}.{table}")
        yield con


# --- reconcile_retention ---------------------------------------------------------------------


def assert_reconciled(project, con, chosen: dict, grain: str, dimension: str, most: int) -> int:
    """Hold the customers of a grain's periods against every row of the mart; return the rows."""
    parameters = {"period_grain": grain, "dimension": dimension, "period_start": SOME_DAY}
    sql = project.analysis("reconcile_retention", chosen | parameters)
    mart = defaultdict(dict)
    for row in rows_of(
        con,
        "select * from marts.retention where period_grain = ? and dimension = ?",
        [grain, dimension],
    ):
        mart[row["period_start"]][row["segment"]] = row
    periods = sorted(mart)[:: max(1, len(mart) // most)]
    for period in periods:
        found = rows_of(con, sql.replace(SOME_DAY, str(period)))
        assert len({row["customer_key"] for row in found}) == len(found)
        counts = Counter((row["segment"], row["class"]) for row in found)
        starts = Counter(row["segment"] for row in found if row["is_at_start"])
        ends = Counter(row["segment"] for row in found if row["is_at_end"])
        assert {segment for segment, _ in counts} <= mart[period].keys()
        for segment, row in mart[period].items():
            expected = {name: row[f"customers_{name}"] for name in (*CLASSES, "at_start", "at_end")}
            actual = {name: counts[segment, name] for name in CLASSES}
            actual |= {"at_start": starts[segment], "at_end": ends[segment]}
            assert actual == expected, (period, segment)
    return sum(len(mart[period]) for period in periods)


@pytest.mark.parametrize("dimension", ["all", "country"])
@pytest.mark.parametrize("grain", ["month", "quarter", "year"])
def test_the_customers_add_up_to_retention(project, shop, grain, dimension):
    assert assert_reconciled(project, shop, {}, grain, dimension, most=99) >= 4


# The keys of customers, beside what has their numbers.
NUMBERS = "inner join clean.clean_customers using (customer_number)"


def test_the_interval_decides(project, shop):
    for grain in ("month", "year"):
        found = rows_of(shop, project.analysis("reconcile_retention", {"period_grain": grain}))
        intervals = defaultdict(list)
        for row in rows_of(shop, f"from intermediate.int_activity_intervals {NUMBERS}"):
            intervals[row["customer_key"]].append((row["active_from"], row["active_to"]))
        ordered = defaultdict(list)
        for row in rows_of(shop, f"from intermediate.int_orders {NUMBERS}"):
            ordered[row["customer_key"]].append(row["ordered_on"])
        for row in found:
            mine = intervals[row["customer_key"]]
            decides = row["active_from"], row["active_to"]
            before = row["period_start"] - timedelta(days=1)
            day = {"lost": before, "passing": min(mine)[0]}.get(row["class"], row["close_on"])
            assert [one for one in mine if one[0] <= day <= one[1]] == [decides]
            assert row["first_active_on"] == min(mine)[0]
            assert row["last_order_on"] == max(
                (day for day in ordered[row["customer_key"]] if day <= row["close_on"]),
                default=None,
            )
        # The latest complete period, as the as-of date is 2026-01-15.
        assert {row["period_start"] for row in found} == {period_of(grain, date(2025, 12, 1))[0]}
        assert {row["class"] for row in found} >= {"retained", "lost", "new", "reactivated"}


def test_a_segment_alone(project, shop):
    parameters = {"dimension": "country", "period_grain": "year"}
    whole = rows_of(shop, project.analysis("reconcile_retention", parameters))
    part = rows_of(shop, project.analysis("reconcile_retention", parameters | {"segment": "FI"}))
    assert part == [row for row in whole if row["segment"] == "FI"]
    assert 0 < len(part) < len(whole)


# --- gaps_between_orders ---------------------------------------------------------------------


def seed(name: str) -> list[dict]:
    with (PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def history() -> tuple[dict[str, list[int]], dict[str, int], int]:
    """Return what the seeds say: order days and first contract by customer, and the as-of date."""

    def day(text: str) -> int:
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date().toordinal()

    order_days, contracts = defaultdict(set), defaultdict(list)
    for row in seed("raw_orders"):
        amount, refunded = Decimal(row["amount"]), Decimal(row["refunded_amount"] or 0)
        if row["status"] == "completed" and not (amount > 0 and refunded == amount):
            order_days[row["customer_id"]].add(day(row["ordered_at"]))
    for row in seed("raw_subscriptions"):
        contracts[row["customer_id"]].append(day(row["started_on"]))
    as_of = max(
        *(day(row["ordered_at"]) for row in seed("raw_orders")),
        *(day(row["responded_at"]) for row in seed("raw_surveys")),
    )
    first_contracts = {who: min(days) for who, days in contracts.items()}
    # A contract that starts later is not there yet.
    assert max(first_contracts.values()) <= as_of
    return {who: sorted(days) for who, days in order_days.items()}, first_contracts, as_of


def walked(history, window: int, follow_up: int) -> dict:
    """Count lapses by walking through each customer's days, one after the other."""
    order_days, first_contracts, as_of = history
    lapses = []
    for who, days in order_days.items():
        contract = first_contracts.get(who, math.inf)
        active = {day + offset for day in days if day < contract for offset in range(window)}
        lapsed_on = None
        for day in range(days[0], as_of + 1):
            is_active = day in active or day >= contract
            if is_active and lapsed_on is not None:
                lapses.append((lapsed_on, day))
                lapsed_on = None
            elif not is_active and lapsed_on is None:
                lapsed_on = day
            # From now on no window matters.
            if day >= contract:
                break
        if lapsed_on is not None:
            lapses.append((lapsed_on, None))
    followed = [(left, back) for left, back in lapses if left + follow_up <= as_of]
    returns = [back - left for left, back in followed if back and back - left <= follow_up]
    return {
        "lapses": len(lapses),
        "lapses_returned": sum(back is not None for _, back in lapses),
        "lapses_open": sum(back is None for _, back in lapses),
        "lapses_followed_up": len(followed),
        "lapses_followed_up_returned": len(returns),
        "returned_pct": pytest.approx(100 * len(returns) / len(followed)) if followed else None,
        "days_to_return": median(returns) if returns else None,
        "follow_up_days": follow_up,
    }


def test_gaps_and_lapses_are_those_of_the_seeds(project, shop, history):
    found = {
        follow_up: rows_of(shop, project.analysis("gaps_between_orders", vars))
        for follow_up, vars in (
            (180, {}),
            (
                45,
                {"follow_up_days": 45, "candidate_windows": [30, 200], "activity_window_days": 61},
            ),
        )
    }
    for window, window_is, follow_up in (
        (90, "current setting", 180),
        (30, "candidate", 180),
        (30, "candidate", 45),
        (61, "current setting", 45),
    ):
        [row] = [
            row
            for row in found[follow_up]
            if (row["window_days"], row["window_is"]) == (window, window_is)
        ]
        expected = walked(history, window, follow_up)
        assert {name: row[name] for name in expected} == expected
    assert [row["window_days"] for row in found[45] if row["window_is"] == "candidate"] == [30, 200]

    order_days, first_contracts, _ = history
    gaps = []
    for who, days in order_days.items():
        contract = first_contracts.get(who)
        events = [day for day in days if contract is None or day < contract]
        gaps += [after - before for before, after in pairwise(events + [contract] * bool(contract))]
    for row in found[180]:
        covered = sum(gap <= row["window_days"] for gap in gaps)
        assert (row["gaps"], row["gaps_covered"]) == (len(gaps), covered)
        assert row["gaps_covered_pct"] == pytest.approx(100 * covered / len(gaps))
        if row["window_is"].endswith("of gaps"):
            share = int(row["window_is"].split()[0]) / 100
            shorter = sum(gap < row["window_days"] for gap in gaps)
            assert shorter < share * len(gaps) <= covered


# --- both, in random worlds ------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen",
    [
        {
            "period_grains": ["week", "quarter"],
            "fiscal_year_start_month": 4,
            "activity_window_days": 30,
            "reporting_time_zone": "Asia/Tokyo",
            "segment_dimensions": ["country"],
        },
        {
            "period_grains": ["year", "month"],
            "fiscal_year_start_month": 12,
            "activity_window_days": 1,
            "as_of_date": "2024-03-01",
            "segment_dimensions": [],
        },
    ],
    ids=["weeks", "years"],
)
def test_random_worlds(project, random_seed, chosen):
    """Fiscal years, time zones, contracts before, between and after orders."""
    models = project.sql(chosen)
    gaps = project.analysis("gaps_between_orders", chosen | {"follow_up_days": 20})
    rows, lapses = 0, 0
    for raw in drawn(worlds(chosen), 24, random_seed)[7::4]:
        with open_marts(models, raw) as con:
            for grain in chosen["period_grains"]:
                dimension = [*chosen["segment_dimensions"], "all"][0]
                rows += assert_reconciled(project, con, chosen, grain, dimension, most=12)
            order_days = con.execute(
                "select customer_number,"
                " list(ordered_on - date '0001-01-01' + 1 order by ordered_on)"
                " from intermediate.int_orders group by all"
            ).fetchall()
            contracts = con.execute(
                "select customer_number, min(started_on) - date '0001-01-01' + 1 "
                "from intermediate.int_subscriptions group by all"
            ).fetchall()
            [as_of] = con.execute(
                "select as_of_date - date '0001-01-01' + 1 from intermediate.int_as_of"
            ).fetchall() or [(None,)]
            expected = walked(
                (dict(order_days), dict(contracts), *as_of), chosen["activity_window_days"], 20
            )
            for row in rows_of(con, gaps):
                if row["window_is"] == "current setting":
                    assert {name: row[name] for name in expected} == expected
                    lapses += row["lapses"]
    assert rows and lapses


# --- compare_nps -----------------------------------------------------------------------------


def compared(before: tuple[int, int, int], after: tuple[int, int, int]) -> dict:
    """Compare two periods' (promoters, detractors, responses)."""
    mean, variance = [], []
    for promoters, detractors, responses in (before, after):
        p, d, n = promoters + 0.75, detractors + 0.75, responses + 3
        mean.append(100 * (p - d) / n)
        variance.append(1e4 * ((p + d) / n - ((p - d) / n) ** 2) / n)
    error = math.sqrt(sum(variance))
    z = (mean[1] - mean[0]) / error
    return {
        "standard_error": error,
        "z": z,
        "p_value": math.erfc(abs(z) / math.sqrt(2)),
        "difference_low": max(z * error - 1.959964 * error, -200),
        "difference_high": min(z * error + 1.959964 * error, 200),
    }


def small_nps(con, cells: dict[str, list[tuple[int, int, int] | None]]) -> None:
    """Make a mart of two months: by segment, (promoters, detractors, responses) of each."""
    con.execute("create schema intermediate; create schema marts")
    con.execute(
        """
        create table intermediate.int_calendar as
        select
            'month' as period_grain,
            unnest([date '2025-01-01', date '2025-02-01']) as period_start,
            true as is_complete_period
        """
    )
    rows = [
        (date(2025, month, 1), segment, *counts)
        for segment, months in cells.items()
        for month, counts in enumerate(months, start=1)
        if counts
    ]
    columns = ("period_start", "segment", "promoters", "detractors", "responses")
    con.execute(
        "create table marts.nps as select 'month' as period_grain, 'country' as dimension, "
        + ", ".join(f"unnest(?) as {column}" for column in columns)
        + ", 100 * (promoters - detractors) / responses as nps",
        [list(column) for column in zip(*rows, strict=True)],
    )


def test_scores_are_compared_as_in_python(project, shop):
    parameters = {"period_grain": "quarter", "dimension": "country"}
    found = rows_of(shop, project.analysis("compare_nps", parameters))
    mart = {
        (str(row["period_start"]), row["segment"]): row
        for row in rows_of(
            shop,
            "from marts.nps where period_grain = 'quarter' and dimension = 'country'",
        )
    }
    assert len(found) > 10
    for row in found:
        assert (str(row["before_start"]), str(row["after_start"])) == ("2025-07-01", "2025-10-01")
        before, after = (
            mart[start, row["segment"]]
            for start in (str(row["before_start"]), str(row["after_start"]))
        )
        counts = ("promoters", "detractors", "responses")
        expected = compared(*(tuple(cell[name] for name in counts) for cell in (before, after)))
        for name, value in expected.items():
            error = P_VALUE_ERROR if name == "p_value" else 1e-9
            assert row[name] == pytest.approx(value, abs=error), name
        assert (row["nps_before"], row["nps_after"]) == (before["nps"], after["nps"])
        assert row["nps_difference"] == pytest.approx(after["nps"] - before["nps"])
        assert row["responses_before"] == before["responses"]
        assert row["responses_after"] == after["responses"]
    tested = [row for row in found if "answers" not in row["verdict"]]
    assert {row["significance_level"] for row in found} == {0.05 / len(tested)}


def test_verdicts(project):
    cells = {
        "better": [(10, 80, 100), (80, 10, 100)],
        "worse": [(80, 10, 100), (10, 80, 100)],
        "same": [(50, 20, 100), (51, 20, 100)],
        "none before": [None, (50, 20, 100)],
        "none after": [(50, 20, 100), None],
        "few before": [(4, 0, 4), (0, 100, 100)],
        "few after": [(0, 100, 100), (4, 0, 4)],
        "all alike": [(5, 0, 5), (5, 0, 5)],
        # p_value is below 0.05, but five are tested.
        "only by itself": [(50, 30, 100), (66, 20, 100)],
    }
    with duckdb.connect(":memory:") as con:
        small_nps(con, cells)
        found = rows_of(con, project.analysis("compare_nps", {"dimension": "country"}))
    assert {row["segment"]: row["verdict"] for row in found} == {
        "better": "higher",
        "worse": "lower",
        "same": "no clear difference",
        "none before": "no answers",
        "none after": "no answers",
        "few before": "too few answers",
        "few after": "too few answers",
        "all alike": "no clear difference",
        "only by itself": "no clear difference",
    }
    by_segment = {row["segment"]: row for row in found}
    assert {row["significance_level"] for row in found} == {0.01}
    assert by_segment["only by itself"]["p_value"] < 0.05
    assert by_segment["all alike"]["standard_error"] > 0
    for segment, was, now in (("none before", 0, 100), ("none after", 100, 0)):
        row = by_segment[segment]
        assert (row["responses_before"], row["responses_after"]) == (was, now)
        nothing = ("nps_difference", "p_value", "z", "standard_error", "difference_low")
        assert {row[name] for name in (*nothing, "difference_high")} == {None}


def test_equal_scores_are_rarely_called_different(project):
    """Every outcome of 5 answers against every one of 50, of shops in which nothing changed."""

    def outcomes(n: int) -> list[tuple[int, int, int]]:
        return [(p, d, n) for p in range(n + 1) for d in range(n + 1 - p)]

    def chance(outcome: tuple[int, int, int], p: float, d: float) -> float:
        promoters, detractors, n = outcome
        ways = math.comb(n, promoters) * math.comb(n - promoters, detractors)
        return ways * p**promoters * d**detractors * (1 - p - d) ** (n - promoters - detractors)

    pairs = [[few, many] for few in outcomes(5) for many in outcomes(50)]
    with duckdb.connect(":memory:") as con:
        small_nps(con, {str(number): pair for number, pair in enumerate(pairs)})
        sql = project.analysis("compare_nps", {"dimension": "country"})
        found = con.execute(f"select segment from ({sql}) where p_value < 0.05").fetchall()
    alarms = [pairs[int(segment)] for (segment,) in found]
    for p, d in ((0.6, 0.15), (0.4, 0.3), (0.8, 0.05), (0.9, 0.02)):
        share = sum(chance(few, p, d) * chance(many, p, d) for few, many in alarms)
        assert 0.03 < share < 0.06, (p, d)


def test_the_normal_distribution_is_close_enough(project):
    sql = project.rendered(
        "select x, {{ erfc('x') }} as erfc, {{ two_sided_p_value('-x') }} as p from numbers"
    )
    with duckdb.connect(":memory:") as con:
        con.execute("create table numbers as select unnest(range(8001)) / 1000e0 as x")
        con.execute("insert into numbers values (1e9)")
        for x, erfc, p in con.execute(sql).fetchall():
            assert 0 < erfc <= 1 and erfc == pytest.approx(math.erfc(x), abs=1.5e-7)
            assert p == pytest.approx(math.erfc(x / math.sqrt(2)), abs=P_VALUE_ERROR)


# --- what_moved_retention, what_moved_nps ----------------------------------------------------


def effects(cells: dict[str, tuple]) -> dict[str, tuple[float, float]]:
    """Split the change of a mean: (weight, sum) before and after -> rate and mix effects.

    Not as the SQL does: the effect of a part is the mean over the two orders of changing first
    rates, then shares, and first shares, then rates; mixes count from the whole's mean.
    """
    w0, s0, w1, s1 = (sum(cell[part] for cell in cells.values()) for part in range(4))
    level = (s0 / w0 + s1 / w1) / 2
    found = {}
    for segment, (weight0, sum0, weight1, sum1) in cells.items():
        share0, share1 = weight0 / w0, weight1 / w1
        rate0 = sum0 / weight0 if weight0 else sum1 / weight1
        rate1 = sum1 / weight1 if weight1 else sum0 / weight0
        rate_first = share0 * (rate1 - rate0), (share1 - share0) * (rate1 - level)
        mix_first = share1 * (rate1 - rate0), (share1 - share0) * (rate0 - level)
        found[segment] = tuple((a + b) / 2 for a, b in zip(rate_first, mix_first, strict=True))
    return found


@pytest.mark.parametrize(
    ("mart", "weight", "total", "parameters"),
    [
        ("retention", "customers_at_start", "customers_retained", {}),
        (
            "retention",
            "customers_at_start",
            "customers_retained",
            {
                "period_grain": "quarter",
                "dimension": "acquisition_channel",
                "period_start": "2025-07-01",
                # Three months of customers: a channel has none yet.
                "compared_with": "2023-04-01",
            },
        ),
        (
            "retention",
            "customers_at_start",
            "customers_retained",
            # The second and the fourth month: a country has nobody at the start of either.
            {"period_start": "2023-04-01", "compared_with": "2023-02-01"},
        ),
        ("nps", "responses", "promoters - detractors", {}),
        (
            "nps",
            "responses",
            "promoters - detractors",
            # In the first month hardly any country has an answer.
            {"compared_with": "2023-01-01", "dimension": "country"},
        ),
        ("nps", "responses", "promoters - detractors", {"dimension": "channel"}),
    ],
)
def test_effects_add_up_to_the_change(project, shop, mart, weight, total, parameters):
    found = rows_of(shop, project.analysis(f"what_moved_{mart}", parameters))
    whole, *segments = found
    grain = parameters.get("period_grain", "month")
    dimension = parameters.get("dimension", "country")
    starts = whole["before_start"], whole["after_start"]
    assert str(starts[1]) == parameters.get("period_start", "2025-12-01")
    assert str(starts[0]) == parameters.get("compared_with", "2025-11-01")

    cells = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows_of(
        shop,
        f"select segment, period_start, {weight} as weight, 100 * ({total}) as total "
        f"from marts.{mart} "
        "where period_grain = ? and dimension = ? and period_start in (?, ?)",
        [grain, dimension, *starts],
    ):
        place = 2 * starts.index(row["period_start"])
        cells[row["segment"]][place : place + 2] = row["weight"], row["total"]
    cells = {segment: cell for segment, cell in cells.items() if cell[0] or cell[2]}
    expected = effects(cells)
    assert {row["segment"] for row in segments} == expected.keys()
    for row in segments:
        rate, mix = expected[row["segment"]]
        assert row["rate_effect"] == pytest.approx(rate, abs=1e-9)
        assert row["mix_effect"] == pytest.approx(mix, abs=1e-9)
        before, _, after, _ = cells[row["segment"]]
        assert (row[f"{weight}_before"], row[f"{weight}_after"]) == (before, after)
        assert (row["rate_before"] is None, row["rate_after"] is None) == (not before, not after)
    if "compared_with" in parameters:
        assert any(not cell[0] for cell in cells.values()), "no segment comes: choose other periods"

    change = whole["rate_after"] - whole["rate_before"]
    assert (whole["dimension"], whole["segment"]) == ("all", "all")
    assert change and whole["effect"] == pytest.approx(change, abs=1e-9)
    for name in ("rate_effect", "mix_effect", "effect"):
        assert whole[name] == pytest.approx(sum(row[name] for row in segments), abs=1e-9)
    for share in ("share_before", "share_after"):
        assert whole[share] == 1 == pytest.approx(sum(row[share] for row in segments))
    sizes = [abs(row["effect"]) for row in segments]
    assert sizes == sorted(sizes, reverse=True)


def test_without_customers_the_change_is_null(project, shop):
    """Nobody was there before the first month."""
    sql = project.analysis("what_moved_retention", {"compared_with": "2023-01-01"})
    found = rows_of(shop, sql)
    assert len(found) > 10
    for row in found:
        assert row["customers_at_start_before"] == 0 < row["customers_at_start_after"]
        assert row["rate_before"] is None and row["rate_after"] is not None
        assert {row["rate_effect"], row["mix_effect"], row["effect"]} == {None}


# --- parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analysis", "vars", "message"),
    [
        ("reconcile_retention", {"period_start": "2025-11-31"}, "period_start must be a date"),
        ("reconcile_retention", {"period_start": "x' or ''='"}, "period_start must be a date"),
        (
            "reconcile_retention",
            {"period_grain": "week"},
            "period_grain must be one of ['month', 'quarter'",
        ),
        (
            "reconcile_retention",
            {"dimension": "country'"},
            "dimension must be one of ['all', 'country'",
        ),
        (
            "reconcile_retention",
            {"dimension": "channel"},
            "dimension must be one of ['all', 'country'",
        ),
        # What YAML makes of NO, Norway, without quotes.
        ("reconcile_retention", {"segment": False}, "segment must be a text, in quotes"),
        ("compare_nps", {"compared_with": 2025}, "compared_with must be a date"),
        ("what_moved_nps", {"dimension": ["country"]}, "dimension must be one of ['country'"),
        ("gaps_between_orders", {"follow_up_days": "1); drop"}, "follow_up_days must be a whole"),
        ("gaps_between_orders", {"candidate_windows": 30}, "candidate_windows must be a list"),
        ("gaps_between_orders", {"candidate_windows": [30, 0]}, "candidate_windows must be a list"),
        ("gaps_between_orders", {"candidate_windows": ["30"]}, "candidate_windows must be a list"),
    ],
)
def test_an_invalid_parameter_is_reported(project, analysis, vars, message):
    faults = project.parameter_faults(analysis, vars)
    assert len(set(faults)) == 1 and faults[0].startswith(message), faults


def test_a_quote_in_a_parameter_is_text(project, shop):
    name = "Côte d'Ivoire' or 'x' = 'x"
    parameters = {"dimension": "country", "segment": name, "period_grain": "year"}
    assert rows_of(shop, project.analysis("reconcile_retention", parameters)) == []
    try:
        shop.execute("alter view marts.customers rename to customers_as_built")
        shop.execute(
            "create view marts.customers as select * replace ($name as country) "
            "from marts.customers_as_built".replace("$name", "'" + name.replace("'", "''") + "'")
        )
        found = rows_of(shop, project.analysis("reconcile_retention", parameters))
    finally:
        shop.execute("drop view marts.customers")
        shop.execute("alter view marts.customers_as_built rename to customers")
    assert {row["segment"] for row in found} == {name}


def test_dbt_shows_an_analysis(dbt, demo_build, tmp_path):
    """The command of the docs, with a quote on its way and a misspelt name."""
    warehouse = tmp_path / "copy" / "loyalty.duckdb"
    warehouse.parent.mkdir()
    shutil.copy(demo_build.warehouse, warehouse)
    run = dbt(
        "show",
        *("--select", "reconcile_retention", "--limit", "-1", "--output", "json"),
        vars={
            "period_start": "2025-11-01",
            "dimension": "acquisition_channel",
            "segment": "o'clock",
            "perod_grain": "year",
        },
        warehouse=warehouse,
    )
    assert run.exit_code == 0, run.output
    assert '"show": []' in run.output
    assert (
        "WARNING: perod_grain is not a setting of this project or a parameter of"
        " reconcile_retention, and is ignored." in run.output
    )
    assert "WARNING: segment" not in run.output


# --- what is written about them --------------------------------------------------------------


def analyses_of(project) -> dict:
    return {
        node.name: node
        for node in project.manifest.nodes.values()
        if node.resource_type == "analysis"
    }


def test_analyses_are_described(project, shop):
    docs = (PROJECT / "docs" / "analyses.md").read_text("utf-8")
    files = {path.stem for path in (PROJECT / "analyses").glob("*.sql")}
    assert analyses_of(project).keys() == files
    for name, node in analyses_of(project).items():
        assert node.description.startswith("One row"), name
        assert all(column.description for column in node.columns.values()), name
        shop.execute(f"describe {project.analysis(name)}")
        assert list(node.columns) == [column for column, *_ in shop.fetchall()], name
        assert f"`{name}`" in docs


def shown(con, sql: str, limit: int) -> str:
    """Print rows as dbt show does."""
    rows = rows_of(con, sql if limit < 0 else f"select * from ({sql}) limit {limit}")
    printed = io.StringIO()
    table_from_data_flat(rows, list(rows[0])).print_table(output=printed, max_rows=None)
    return printed.getvalue()


def test_the_docs_show_the_actual_output(project, shop):
    docs = Path(PROJECT / "docs" / "analyses.md").read_text("utf-8")
    blocks = re.findall(r"^```\n\$ (.*?)\n(?=[|┌])(.*?)^```", docs, re.DOTALL | re.MULTILINE)
    assert len(blocks) == docs.count("\n$ ") == 8
    analysis = r"\$\(dbt compile --quiet --select (\w+)(?: --vars '(.*?)')?\)"
    for command, printed in blocks:
        if command.startswith("dbt show"):
            words = shlex.split(command)[2:]
            options = dict(zip(words[::2], words[1::2], strict=True))
            sql = project.analysis(options["--select"], json.loads(options.get("--vars", "{}")))
            assert shown(shop, sql, int(options.get("--limit", 5))) == printed, command
        else:
            query = re.search(r'customer-loyalty query "(.*)"$', command, re.DOTALL)[1]
            query = re.sub(
                analysis, lambda found: project.analysis(found[1], json.loads(found[2])), query
            )
            with redirect_stdout(io.StringIO()) as output:
                shop.sql(query).show(max_width=160)
            assert output.getvalue().strip() == printed.strip(), command
