"""PostgreSQL and Spark say what DuckDB says: the same marts, the same gate, the same quarantine."""

from __future__ import annotations

import duckdb
import pytest

from customer_loyalty.publish.publication import QUALITY
from faults import FAULTS, clean, write
from servers import Server, on_each_engine, on_spark_if_there_is_time
from test_marts import assert_right, data_folders, drawn, is_one_source
from warehouse import PROJECT, read_folder, rows_of, run_dbt, write_csv
from worlds import worlds

pytestmark = pytest.mark.engines

# What two builds of the same data have not in common.
OF_A_RUN = {"run_id", "checked_at", "staged_by"}
FAR_FROM_PLAIN = {
    "activity_window_days": 30,
    "csat_satisfied_from": {"-2-2": 1, "1-7": 5.5},
    "fiscal_year_start_month": 4,
    "minimum_responses": 2,
    "nps_responses": "latest_per_customer",
    "period_grains": ["week", "month", "quarter", "year"],
    "reporting_currency": "USD",
    "reporting_time_zone": "America/New_York",
}


def without_the_run(rows: list[dict]) -> list[str]:
    return sorted(
        str(sorted((name, value) for name, value in row.items() if name not in OF_A_RUN))
        for row in rows
    )


def assert_same_gate(server: Server, schema: str, database: str) -> None:
    """Hold what the gate found and left out against what it does on DuckDB."""
    with duckdb.connect(database, read_only=True) as con:
        for table in QUALITY:
            expected = without_the_run(rows_of(con, f"select * from quality.{table}"))
            actual = without_the_run(server.rows(f"select * from {schema}.{table}"))
            assert actual == expected, table


@on_each_engine
def test_the_demo_and_the_unit_tests(server, tmp_path, demo_build):
    """On Spark, whose statements take seconds, only unit tests of casts; a long test has all."""
    built = server.build(tmp_path)
    assert built.exit_code == 0, built.output
    assert_right(server.marts(), read_folder(PROJECT / "seeds"), {"default_source": "demo"})
    assert_same_gate(server, "quality", demo_build.published)
    some = "test_type:unit,path:models/staging" if server.target == "spark" else "test_type:unit"
    tested = server.dbt(tmp_path, "test", "--select", some)
    assert tested.exit_code == 0, tested.output


@pytest.mark.long
def test_all_unit_tests_on_spark(catalog, tmp_path):
    """They are of every formula, and so of every macro that differs between engines."""
    assert catalog.build(tmp_path).exit_code == 0
    tested = catalog.dbt(tmp_path, "test", "--select", "test_type:unit")
    assert tested.exit_code == 0, tested.output


@on_each_engine
def test_a_random_world_and_then_rows_left_out(server, tmp_path, random_seed):
    """Time zones, weeks, fiscal years, twins that differ by case or accent, empty values.

    From tables that were loaded; then a second build, of files, takes the first one's place.
    """
    drawn_worlds = drawn(worlds(FAR_FROM_PLAIN), 200, random_seed)
    raw = max(
        filter(is_one_source, drawn_worlds), key=lambda raw: (len(raw), sum(map(len, raw.values())))
    )
    write_csv(tmp_path / "a folder", raw)
    folder = str(tmp_path / "a folder")
    loaded = server.load(tmp_path, "--raw-data", folder)
    assert loaded.exit_code == 0, loaded.output
    built = server.build(tmp_path, vars=FAR_FROM_PLAIN | {"sources": ["tables"]})
    assert built.exit_code == 0, built.output
    assert_right(server.marts(), raw, FAR_FROM_PLAIN | {"default_source": "tables"})

    raw = clean(400)
    raw["raw_customers"][399]["signed_up_at"] = "2999-01-01"
    raw["raw_orders"][7]["customer_id"] = "400"
    raw["raw_orders"][8] |= {"status": "paid", "amount": "-1"}
    raw["raw_surveys"][9]["score"] = "11"
    write_csv(tmp_path / "raw", raw)
    chosen = {"raw_data": str(tmp_path / "raw"), "reporting_currency": "USD"}
    # Fewer rows than in the build before are no news here.
    chosen["max_shrinkage_share"] = 1
    built = server.build(tmp_path, vars=chosen)
    assert built.exit_code == 0, built.output
    assert "QUARANTINE: 2 of 400 rows of raw_orders left out" in built.output
    on_duckdb = run_dbt(tmp_path / "duckdb", "build", vars=chosen)
    assert_same_gate(server, "quality", on_duckdb.published)


@on_spark_if_there_is_time
def test_nothing_at_all(server, tmp_path):
    write_csv(tmp_path / "empty", {name: [] for name in clean()})
    chosen = {"raw_data": str(tmp_path / "empty"), "allow_empty_inputs": True}
    built = server.build(tmp_path, vars=chosen)
    assert built.exit_code == 0, built.output
    assert not any(server.marts().values())


@on_each_engine
def test_a_gate_that_closes(server, tmp_path):
    """All faults of the catalogue at once: the same rows break each rule, with the same text."""
    raw = clean(400)
    write(FAULTS, raw)
    write_csv(tmp_path / "raw", raw)
    chosen = {"raw_data": str(tmp_path / "raw")}
    built = server.build(tmp_path, vars=chosen)
    assert built.exit_code == 1, built.output
    assert (
        "The gate is closed: nothing downstream was built, and nothing was published."
        in built.output
    )
    assert "NOT PUBLISHED: the build failed" in built.output
    on_duckdb = run_dbt(tmp_path / "duckdb", "build", vars=chosen)
    assert on_duckdb.exit_code == 1
    assert_same_gate(server, "working_quality", on_duckdb.warehouse)
    assert not server.has_schema("marts")


@on_each_engine
@pytest.mark.parametrize("folder", data_folders())
def test_a_data_folder(server, tmp_path, folder):
    raw = read_folder(folder)
    chosen = {"raw_data": str(folder)}
    if "raw_exchange_rates" not in raw:
        (chosen["reporting_currency"],) = {
            row["currency_code"].strip() for row in raw["raw_orders"]
        }
    built = server.build(tmp_path, vars=chosen)
    assert built.exit_code == 0, built.output
    assert_right(server.marts(), raw, chosen)


@on_each_engine
def test_dbt_alone_says_which_command_to_use(server, tmp_path):
    ended = server.run(tmp_path, "dbt", "build", "--select", "rules")
    assert ended.exit_code == 1, ended.output
    command = f"make build TARGET={server.target}"
    assert f"dbt alone cannot run the gate on {server.target}: run {command}" in ended.output
