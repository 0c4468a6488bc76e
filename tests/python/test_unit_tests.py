"""The dbt unit tests: they hold whatever settings somebody builds with, and leave no model out."""

from __future__ import annotations

import re
import shutil

import yaml

from warehouse import PROJECT, DbtRun, Project, run_dbt

# Every setting but where the data comes from.
FAR_FROM_DEFAULT = {
    "raw_schema": "elsewhere",
    "as_of_date": "2023-02-14",
    "reporting_currency": "CHF",
    "reporting_time_zone": "Pacific/Auckland",
    "activity_window_days": 11,
    "period_grains": ["week"],
    "fiscal_year_start_month": 8,
    "segment_dimensions": [],
    "nps_responses": "latest_per_customer",
    "csat_satisfied_share": 0.2,
    "csat_satisfied_from": {"1-4": 2, "1-5": 2, "1-7": 7, "0-10": 1, "1-10": 10, "-2-2": -1},
    "ces_easy_share": 0.95,
    "cltv_window_days": 3,
    "minimum_responses": 1000,
    "max_quarantined_share": 0.5,
    "quality_policy": "strict",
    "max_shrinkage_share": 0.25,
    "gate_timeout_seconds": 900,
    "keep_published": 1,
    "allow_empty_inputs": True,
}


def test_the_other_settings_are_complete():
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    assert FAR_FROM_DEFAULT.keys() == settings.keys() - {"sources", "raw_data"}
    assert all(settings[name] != value for name, value in FAR_FROM_DEFAULT.items())


def assert_all_ran(run: DbtRun) -> None:
    assert run.exit_code == 0, run.output
    found, ran = (
        int(re.search(rf"{words}.*\b(\d+) unit tests", run.output)[1])
        for words in ("Found", "Finished running")
    )
    assert ran == found > 0


def test_unit_tests_are_part_of_a_build(whole_build: DbtRun):
    assert_all_ran(whole_build)


def test_unit_tests_hold_under_any_settings(demo_build: DbtRun, tmp_path):
    """Each pins what its result depends on: a build with other settings runs them as well."""
    warehouse = tmp_path / "loyalty.duckdb"
    shutil.copy(demo_build.warehouse, warehouse)
    only = ("--select", "test_type:unit")
    assert_all_ran(run_dbt(tmp_path, "test", *only, vars=FAR_FROM_DEFAULT, warehouse=warehouse))


def test_every_model_with_a_formula_has_a_unit_test(project: Project):
    tested = {test.model for test in project.manifest.unit_tests.values()}
    models = {
        node.name
        for node in project.manifest.nodes.values()
        if node.resource_type == "model"
        and (node.fqn[1] in ("marts", "intermediate") or node.name.startswith("staged_"))
    }
    # It has two columns of another one.
    models.remove("int_customer_keys")
    assert models | {"clean_orders"} <= tested


def test_every_unit_test_says_its_case_and_expects_the_same_columns_in_every_row(project: Project):
    """The rows that a test expects are put below one another by position, not by name."""
    for test in project.manifest.unit_tests.values():
        assert test.description, test.name
        assert len({tuple(row) for row in test.expect.rows}) <= 1, test.name
