"""Known mistakes, each put into the project: the test that claims it must fail for it.

docs/mutations.md shows them; a test compares its table with the list here.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from forks import Request
from warehouse import PROJECT, copy_project, environment, run_dbt

PAGE = PROJECT / "docs" / "mutations.md"


@dataclass(frozen=True)
class Mutation:
    """A mistake: what is changed in which file, and the test that catches it.

    caught_by: a dbt unit test (``model::name``), a dbt data test (its name; the model that the file
    makes, and what reads it, are built first) or a test of pytest (``file.py::name``).
    """

    mistake: str
    file: str
    changes: tuple[tuple[str, str], ...]
    caught_by: str

    @property
    def row(self) -> str:
        """The line of the table in docs/mutations.md."""
        test = self.caught_by.rpartition("/")[2]
        return f"| {self.mistake} | [{Path(self.file).name}](../{self.file}) | `{test}` |"


MUTATIONS = (
    # --- revenue under contract
    Mutation(
        "A monthly amount that falls to 0 counts as contraction",
        "macros/metrics/revenue.sql",
        (
            ("case when {{ at_end }} = 0 then {{ at_start }} else 0 end", "0"),
            ("case when {{ at_end }} > 0 and {{ at_start }}", "case when {{ at_start }}"),
        ),
        "int_revenue_changes::a_fall_to_0_is_lost_revenue_not_contraction",
    ),
    Mutation(
        "A return from 0 counts as expansion",
        "macros/metrics/revenue.sql",
        (("case when {{ at_start }} > 0 and {{ at_end }}", "case when {{ at_end }}"),),
        "int_revenue_changes::a_return_from_0_or_after_a_gap_month_is_not_expansion",
    ),
    Mutation(
        "A month without a contract takes the last contract's amount",
        "models/intermediate/int_revenue_changes.sql",
        (
            (
                "when begins_in < period_number and coalesce(ends_in >= period_number, true)",
                "when begins_in < period_number",
            ),
        ),
        "int_revenue_changes::a_return_from_0_or_after_a_gap_month_is_not_expansion",
    ),
    Mutation(
        "The previous row is taken for the previous month, so gaps are ignored",
        "models/intermediate/int_period_stays.sql",
        (("first_period > last_period_before + 1", "first_period < last_period_before + 1"),),
        "int_period_stays::lapse_and_return_across_a_close_is_two_stays",
    ),
    # --- answers
    Mutation(
        "NPS is the average of the scores",
        "models/marts/nps.sql",
        (
            (
                "{{ nps_group('answers.score') }} as nps_group,",
                "{{ nps_group('answers.score') }} as nps_group,\n        answers.score,",
            ),
            (
                "sum(case when nps_group = 'promoter' then 1 else 0 end) as promoters",
                "cast(sum(score) / 10 as bigint) as promoters",
            ),
            ("sum(case when nps_group = 'detractor' then 1 else 0 end)", "0"),
        ),
        "nps::promoters_from_9_passives_from_7_detractors_up_to_6",
    ),
    Mutation(
        "A response on another scale counts as NPS",
        "models/marts/nps.sql",
        (("where survey_type = 'nps'", "where survey_type in ('nps', 'csat')"),),
        "every_answer_is_counted_once",
    ),
    Mutation(
        "The gate accepts an NPS response on another scale",
        "customer_loyalty/gate/suites/raw_surveys.yml",
        (("value_set: [10]", "value_set: [10, 100]"),),
        "tests/python/test_gate.py::test_every_rule_finds_its_faults_and_no_others",
    ),
    Mutation(
        "A scale that the settings don't name is silently 0",
        "macros/metrics/satisfaction.sql",
        (
            (
                "else {{ reaches_share(score, scale_min, scale_max,"
                " setting('csat_satisfied_share')) }}\n    end",
                "else false\n    end",
            ),
        ),
        "csat::satisfied_from_a_score_that_the_settings_name_for_a_scale",
    ),
    # --- rates
    Mutation(
        "Retention is 100 % if all customers are new",
        "macros/metrics/retention.sql",
        (
            (
                "{{ percentage('(' ~ at_end ~ ' - ' ~ acquired ~ ')', at_start) }}",
                "case when {{ acquired }} = {{ at_end }} then 100 else"
                " {{ percentage('(' ~ at_end ~ ' - ' ~ acquired ~ ')', at_start) }} end",
            ),
        ),
        "retention::retention_rate_is_null_without_customers_at_start",
    ),
    Mutation(
        "A rate is 0 if its denominator is 0",
        "macros/metrics/ratios.sql",
        (
            (
                "100 * {{ ratio(numerator, denominator) }}",
                "coalesce(100 * {{ ratio(numerator, denominator) }}, 0)",
            ),
        ),
        "churn::rates_are_null_without_customers_at_start_or_contracts",
    ),
    Mutation(
        "Returning customers count as retained: retention exceeds 100 %",
        "models/marts/retention.sql",
        (("customers_new + customers_reactivated as", "customers_new as"),),
        "retention_identities_hold",
    ),
    # --- time
    Mutation(
        "Lifetime totals are overwritten with those of the trailing window",
        "models/marts/customers.sql",
        (
            ("lifetimes.orders,", "lifetimes.window_orders as orders,"),
            ("cast(lifetimes.revenue as", "cast(lifetimes.window_revenue as"),
        ),
        "marts_agree_on_customers",
    ),
    Mutation(
        "Metrics depend on today's date",
        "models/intermediate/int_as_of.sql",
        (("(select max(seen.seen_on) from seen)", "current_date"),),
        "int_as_of::the_latest_order_of_any_status_is_the_as_of_date",
    ),
    # --- what guards and publishes
    Mutation(
        "A failed check stops nothing",
        "dbt_project.yml",
        (('+pre-hook: "{{ refuse_unless_gate_open() }}"', "+enabled: true"),),
        "tests/python/test_gate.py::test_inputs_that_were_never_checked_are_refused",
    ),
    Mutation(
        "Marts are published before all of them are built and tested",
        "models/published/published_build.py",
        (('    dbt.ref("customers")\n', ""),),
        "tests/python/test_project.py::test_everything_that_is_tested_comes_before_the_publish",
    ),
    Mutation(
        "The published file is written in place, so a failed build leaves it half written",
        "customer_loyalty/publish/database_file.py",
        (('return target.with_name(f"{target.name}.new")', "return target"),),
        "tests/python/test_publish.py::test_a_fault_on_the_way_leaves_the_old_file",
    ),
    Mutation(
        "The new file is copied over the one that dashboards have open",
        "customer_loyalty/publish/database_file.py",
        (("os.replace(new, target)", "shutil.copyfile(new, target)"),),
        "tests/python/test_publish.py::test_readers_keep_their_rights_and_their_old_set",
    ),
    Mutation(
        "A missing optional input breaks the run",
        "customer_loyalty/contract.py",
        (("for name, one in CONTRACT.items() if one.is_required", "for name in CONTRACT"),),
        "tests/python/test_files.py::test_an_optional_input_may_be_missing",
    ),
)


def named(mutation: Mutation) -> str:
    return re.sub(r"\W+", "_", mutation.mistake.lower())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
def test_a_known_mistake_is_caught(mutation, demo_build, tmp_path):
    text = (PROJECT / mutation.file).read_text("utf-8")
    for old, _ in mutation.changes:
        assert text.count(old) == 1, f"{mutation.file} has not one {old!r}"
    if mutation.caught_by.startswith("tests/python/"):
        failed = failed_in_pytest(mutation, tmp_path / "project")
    else:
        failed = failed_in_dbt(mutation, demo_build, tmp_path / "dbt")
    assert mutation.caught_by in failed, f"not caught; failed: {failed}"


def failed_in_pytest(mutation: Mutation, copy: Path) -> set[str]:
    """Return the test if it failed, run in a copy of the project with the mistake in it."""
    path = copy_project(copy) / mutation.file
    text = path.read_text("utf-8")
    for old, new in mutation.changes:
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    arguments = ["-x", "-q", "-p", "no:cacheprovider", mutation.caught_by]
    code, output = Request("pytest", arguments, str(copy), environment()).run()
    found = re.findall(r"^FAILED ([^\s\[]+)", output, re.MULTILINE)
    assert found or code == 0, output
    return set(found)


def failed_in_dbt(mutation: Mutation, demo_build, home: Path) -> set[str]:
    """Return the dbt tests that failed, with the mistake and a copy of the demo's database."""
    home.mkdir()
    shutil.copy(demo_build.warehouse, home)
    if "::" in mutation.caught_by:
        command = ["test", "--select", mutation.caught_by.partition("::")[2]]
    else:
        model = Path(mutation.file).stem
        command = ["build", "--select", f"{model}+", "--exclude", "published_build"]
    run = run_dbt(home, *command, changes={mutation.file: mutation.changes})
    results = json.loads((home / "target" / "run_results.json").read_text("utf-8"))["results"]
    statuses = {result["unique_id"]: result["status"] for result in results}
    assert "error" not in statuses.values(), run.output
    return set(failures(statuses))


def failures(statuses: dict[str, str]) -> Iterable[str]:
    for unique_id, status in statuses.items():
        kind, _, *name = unique_id.split(".")
        if status == "fail":
            yield "::".join(name) if kind == "unit_test" else name[0]


def test_the_page_lists_what_is_caught():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert rows[2:] == [mutation.row for mutation in MUTATIONS]
