"""Every cell of every mart, held against its recomputation in plain Python."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

import hypothesis
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from brute_force import DEFAULTS, MARTS, marts
from compare import differences
from test_brute_force import (
    WORKED_EXAMPLE_ACTIVE_DAYS,
    WORKED_EXAMPLE_MONTHS,
    worked_example_case,
)
from warehouse import (
    PROJECT,
    open_marts,
    read_folder,
    run_sql,
    write_csv,
    write_csv_in_parts,
    write_parquet,
)
from worlds import settings, worlds

NUMBER_OF_SETTINGS = 18
WORLDS_EACH = 12
# The time zone of the session must not matter. This one lies off by half an hour.
SESSION_TIME_ZONES = ("UTC", "America/St_Johns")


def examples_of(number: int, seed: str, **options) -> Callable:
    """Return a decorator that makes a test draw so many random examples, always the same."""

    def decorate(test):
        chosen = hypothesis.settings(
            max_examples=number,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **options,
        )
        return hypothesis.seed(seed)(chosen(test))

    return decorate


def drawn(strategy: st.SearchStrategy, number: int, seed: str) -> list:
    """Draw examples, the plainest first."""
    examples = []

    @examples_of(number, seed, phases=[Phase.generate])
    @given(strategy)
    def collect(example):
        examples.append(example)

    collect()
    return examples


def most_varied(examples: list[dict], number: int) -> list[dict]:
    """Choose settings that put as many pairs of values as they can to the test, the first first."""
    times_tried = Counter()

    def pairs(example: dict) -> list[tuple]:
        return list(combinations([f"{name} {value}" for name, value in example.items()], 2))

    def novelty(candidate: list[tuple]) -> float:
        return sum(1 / (1 + 9 * times_tried[pair]) for pair in candidate)

    # In one order of names, so that a pair is always written alike.
    candidates = [pairs(dict(sorted(example.items()))) for example in examples]
    chosen = [0]
    while len(chosen) < number:
        times_tried.update(candidates[chosen[-1]])
        chosen.append(max(range(len(examples)), key=lambda one: novelty(candidates[one])))
    return [examples[one] for one in chosen]


def assert_right(actual: dict, raw: dict, chosen: dict) -> dict:
    """Hold the marts of raw inputs against their recomputation, every cell; return the latter."""
    expected = marts(raw, chosen)
    found = [line for mart in MARTS for line in differences(mart, expected[mart], actual[mart])]
    if found:
        raise AssertionError("\n".join(["the marts are wrong", *found]))
    return expected


# --- the SQL alone ---------------------------------------------------------------------------


def test_worked_example(project):
    raw, chosen = worked_example_case()
    found = run_sql(project.sql(chosen), raw)
    columns = ("at_start", "at_end", "retained", "lost", "new", "reactivated", "passing")
    churn = {row["period_start"]: row["churn_rate_pct"] for row in found["churn"]}
    rows = sorted(found["retention"], key=lambda row: row["period_start"])
    assert [
        (
            row["period_start"].month,
            tuple(row[f"customers_{column}"] for column in columns),
            row["retention_rate_pct"],
            churn[row["period_start"]],
        )
        for row in rows
    ] == [
        (month, counts, retention and pytest.approx(retention), lost and pytest.approx(lost))
        for month, counts, retention, lost in WORKED_EXAMPLE_MONTHS
    ]
    days = {row["customer_id"]: row["active_days"] for row in found["customers"]}
    assert days == WORKED_EXAMPLE_ACTIVE_DAYS
    assert_right(found, raw, chosen)


@pytest.fixture(scope="session")
def drawn_settings(random_seed) -> list[dict]:
    """Return the settings that random worlds are looked at with, the first the defaults."""
    chosen = most_varied(drawn(settings(), 400, random_seed), NUMBER_OF_SETTINGS)
    # Seen from an early day a world has little to show: every other one is seen from its end.
    for one in chosen[1::2]:
        one.pop("as_of_date", None)
    return chosen


def test_random_worlds_try_every_setting(drawn_settings):
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    # Neither where the data comes from nor what the gate lets pass.
    aside = {"sources", "raw_data", "raw_schema", "max_quarantined_share", "quality_policy"}
    aside |= {"max_shrinkage_share", "gate_timeout_seconds", "keep_published"}
    assert {name for one in drawn_settings for name in one} == settings.keys() - aside
    # Of the rest, all but what lets an input be empty change a number: their defaults stand twice.
    assert settings.keys() - aside - {"allow_empty_inputs"} == DEFAULTS.keys() & settings.keys()
    assert all(settings[name] == DEFAULTS[name] for name in DEFAULTS.keys() & settings.keys())


@pytest.mark.parametrize("number", range(NUMBER_OF_SETTINGS))
def test_random_worlds(project, drawn_settings, random_seed, number):
    chosen = drawn_settings[number]
    models = project.sql(chosen)
    time_zone = SESSION_TIME_ZONES[number // 2 % 2]

    @examples_of(WORLDS_EACH, f"{random_seed} {number}")
    @given(worlds(chosen))
    def agrees(raw):
        hypothesis.note(f"settings: {chosen}")
        assert_right(run_sql(models, raw, time_zone=time_zone), raw, chosen)

    agrees()


@pytest.mark.long
def test_new_random_worlds(project, long_run):
    """New settings and worlds until the time is over; a failure names what repeats it."""
    for number in long_run.numbers():
        seed = f"{long_run.seed} {number}"
        chosen = drawn(settings(), 20, seed)[-1]
        models = project.sql(chosen)
        # The SQL of these settings is not needed again.
        project.compiled.clear()
        for raw in drawn(worlds(chosen), WORLDS_EACH, seed):
            try:
                assert_right(run_sql(models, raw), raw, chosen)
            except AssertionError as error:
                error.add_note(f"SEED={long_run.seed}, number {number}, settings: {chosen}")
                raise


@pytest.mark.parametrize("number", range(0, NUMBER_OF_SETTINGS, 3))
def test_identities_hold_in_random_worlds(project, drawn_settings, random_seed, number):
    """What every build tests of its marts is true of any data: nobody's build fails for nothing."""
    chosen = drawn_settings[number]
    models, identities = project.sql(chosen), project.data_tests(chosen)
    assert identities

    @examples_of(3, f"{random_seed} {number}")
    @given(worlds(chosen))
    def hold(raw):
        hypothesis.note(f"settings: {chosen}")
        with open_marts(models, raw) as con:
            broken = {name: con.execute(sql).fetchall() for name, sql in identities.items()}
        assert not any(broken.values()), {name: rows for name, rows in broken.items() if rows}

    hold()


@pytest.mark.parametrize("reporting_zone", ["UTC", "Pacific/Auckland", "America/New_York"])
def test_contracts_alone(project, random_seed, reporting_zone):
    """With neither orders nor responses, today's date decides which contracts count."""
    chosen = {"reporting_time_zone": reporting_zone, "allow_empty_inputs": True}
    models = project.sql(chosen)
    # Late in the evening, and early in the morning, it is another day elsewhere.
    clocks = [
        datetime(*day, *time)
        for day in ((2024, 3, 1), (2023, 12, 31), (2026, 1, 1), (2021, 1, 1))
        for time in ((12, 0), (23, 30), (1, 30))
    ]

    @examples_of(WORLDS_EACH, f"{random_seed} {reporting_zone}")
    @given(worlds(chosen), st.sampled_from(clocks))
    def agrees(raw, clock):
        raw |= {"raw_orders": [], "raw_surveys": []}
        today = clock.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(reporting_zone)).date()
        found = run_sql(models, raw, clock, time_zone=SESSION_TIME_ZONES[1])
        assert_right(found, raw, chosen | {"today": today})

    agrees()


# --- whole builds ----------------------------------------------------------------------------


def test_demo_build(demo_build):
    raw, found = read_folder(PROJECT / "seeds"), demo_build.marts()
    recomputed = assert_right(found, raw, {"default_source": "demo"})
    for mart in MARTS:
        # The key is a hash; the ids behind it are compared.
        left_out = found[mart][0].keys() - recomputed[mart][0].keys() - {"customer_key"}
        assert not left_out, f"brute_force.py does not compute {left_out} of {mart}"


def test_build_of_two_sources(dbt):
    """The same files twice, as two source systems: every id is in both, and none may meet."""
    once = read_folder(PROJECT / "seeds")
    raw = {
        name: [row | {"source_system": source} for source in ("demo", "files") for row in rows]
        for name, rows in once.items()
    }
    chosen = {"sources": ["demo", "files"], "period_grains": ["quarter"]}
    built = dbt("build", vars=chosen | {"raw_data": str(PROJECT / "seeds")})
    assert_right(built.marts(), raw, chosen)


@pytest.mark.parametrize(
    ("folder", "write", "chosen"),
    [
        ('it\'s {{ a }} "folder" of files', write_csv, {}),
        (
            "parquet",
            write_parquet,
            {
                "activity_window_days": 30,
                "cltv_window_days": 1000,
                "nps_responses": "latest_per_customer",
                "reporting_currency": "USD",
                "reporting_time_zone": "America/New_York",
            },
        ),
        (
            "in parts",
            write_csv_in_parts,
            {
                "as_of_date": "2024-12-29",
                "csat_satisfied_from": {"-2-2": 1, "1-7": 5.5},
                "fiscal_year_start_month": 4,
                "minimum_responses": 2,
                "period_grains": ["week", "quarter", "year"],
                "segment_dimensions": ["country"],
            },
        ),
    ],
)
def test_folder_build(dbt, tmp_path, random_seed, folder, write, chosen):
    # Of some worlds with one source, the one with the most to see.
    raw = max(
        (raw for raw in drawn(worlds(chosen), 200, random_seed) if is_one_source(raw)),
        key=lambda raw: (len(raw), sum(map(len, raw.values()))),
    )
    write(tmp_path / folder, raw)
    built = dbt("build", vars=chosen | {"raw_data": str(tmp_path / folder)})
    assert_right(built.marts(), raw, chosen)


def is_one_source(raw: dict[str, list[dict]]) -> bool:
    """Whether raw inputs have a single source system."""
    return not any("source_system" in row for rows in raw.values() for row in rows)


def data_folders() -> list:
    """Return the folders of files in the folder that LOYALTY_TEST_DATA names."""
    named = os.environ.get("LOYALTY_TEST_DATA")
    if not named:
        reason = "LOYALTY_TEST_DATA is not set: it names a folder of folders of raw files"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    folders = sorted({path.parent for path in Path(named).absolute().glob("*/raw_customers.csv")})
    assert folders, f"{named}, named by LOYALTY_TEST_DATA, has no folder with raw_customers"
    return [pytest.param(folder, id=folder.name) for folder in folders]


@pytest.mark.parametrize("folder", data_folders())
def test_data_folder_build(dbt, folder):
    raw = read_folder(folder)
    chosen = {}
    if "raw_exchange_rates" not in raw:
        # Without rates there is one currency, the one to report in.
        (chosen["reporting_currency"],) = {
            row["currency_code"].strip() for row in raw["raw_orders"]
        }
    built = dbt("build", vars=chosen | {"raw_data": str(folder)})
    assert_right(built.marts(), raw, chosen)
