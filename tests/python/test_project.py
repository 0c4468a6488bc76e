"""What holds for the project as a whole: its graph, its settings, its commands, its files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import Mock

import click
import duckdb
import jinja2
import pytest
import yaml
from click.testing import CliRunner

from compare import KEYS
from customer_loyalty.cli import main, read_vars
from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.duckdb import DuckDBTarget
from customer_loyalty.publish.publication import MARTS
from customer_loyalty.publish.summary import summarise
from faults import clean
from test_gate import write
from warehouse import PROJECT, copy_project, run_dbt


def ancestors(manifest, name: str) -> set[str]:
    found, todo = set(), [name]
    while todo:
        for parent in manifest.parent_map.get(todo.pop(), []):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def test_everything_that_is_tested_comes_before_the_publish(project):
    manifest = project.manifest
    manifest.build_parent_and_child_maps()
    last = "model.customer_loyalty.published_build"
    before = ancestors(manifest, last) | {last}
    built = {
        name
        for name, node in manifest.nodes.items()
        if node.resource_type in ("model", "seed", "snapshot")
    }
    assert built <= before
    for node in manifest.nodes.values():
        if node.resource_type == "test":
            assert set(node.depends_on.nodes) <= before - {last}, node.name


def test_every_mart_is_published_and_recomputed(project):
    assert project.marts.keys() == set(MARTS)
    assert {node.name for node in project.marts.values()} == set(KEYS)


def test_marts_are_public_with_enforced_contracts_and_descriptions(project):
    for node in project.marts.values():
        assert node.access == "public"
        assert node.contract.enforced
        assert node.description.startswith("One row per")
        assert all(column.description for column in node.columns.values())


def test_models_behind_the_marts_are_private(project):
    for node in project.manifest.nodes.values():
        if node.resource_type == "model" and node.fqn[1] == "intermediate":
            assert node.access == "private", node.name


def test_hooks_and_lint_are_the_same_checks():
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    [targets] = re.findall(r"^lint: (.*?) ##", makefile, re.MULTILINE)
    [local] = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == [f"make {one}" for one in targets.split()]


def test_ci_runs_targets_that_people_run():
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    workflow = (PROJECT / ".github/workflows/ci.yml").read_text("utf-8")
    matrix = yaml.safe_load(workflow)["jobs"]["make"]["strategy"]["matrix"]
    targets = {*matrix["target"], *(one["target"] for one in matrix["include"])}
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    # A tag can be moved to other code, a commit can not.
    actions = re.findall(r"uses: (.*)", workflow)
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", action) for action in actions)


def test_every_model_says_its_grain(project):
    for node in project.manifest.nodes.values():
        if node.resource_type in ("model", "seed"):
            assert node.description.startswith("One row"), node.name


def test_no_folder_is_skipped(project):
    """Data flows one way: a floor reads itself, or the one above."""
    reads = {
        "raw": set(),
        "staging": {"raw"},
        "gate": {"staging", "reference"},
        "clean": {"staging", "gate"},
        "intermediate": {"clean"},
        "marts": {"intermediate"},
    }
    for node in project.manifest.nodes.values():
        floor = node.fqn[1]
        if node.resource_type != "model" or floor not in reads:
            continue
        for parent in map(project.manifest.nodes.get, node.depends_on.nodes):
            # A source is raw; a seed is of the schema that it is in.
            above = parent.schema if parent and parent.resource_type == "seed" else "raw"
            if parent and parent.resource_type != "seed":
                above = parent.fqn[1]
            assert above in {floor} | reads[floor], (node.name, parent)


@pytest.mark.parametrize(
    ("vars", "message"),
    [
        ({"period_grains": ["day"]}, "period_grains may contain only"),
        ({"period_grains": []}, "period_grains is empty"),
        ({"sources": None}, "sources must be a list"),
        ({"segment_dimensions": [["country"]]}, "segment_dimensions may contain only"),
        ({"raw_data": 2024}, "raw_data must be the path of a folder"),
        ({"segment_dimensions": "country"}, "segment_dimensions must be a list"),
        ({"sources": ["salesfarce"]}, "sources may contain only"),
        ({"sources": ["files"], "raw_data": None}, "raw_data is not set"),
        ({"raw_schema": "shop.raw"}, "raw_schema must be a name"),
        ({"raw_schema": "s" * 64}, "raw_schema must be a name"),
        ({"raw_schema": None}, "raw_schema must be a name"),
        ({"activity_window_days": 0}, "activity_window_days must be a whole number"),
        ({"activity_window_days": True}, "activity_window_days must be a whole number"),
        ({"fiscal_year_start_month": 13}, "fiscal_year_start_month must be"),
        ({"csat_satisfied_share": float("nan")}, "csat_satisfied_share must be a number from"),
        ({"csat_satisfied_share": 75}, "csat_satisfied_share must be a number from 0 to 1"),
        ({"csat_satisfied_from": {"1to4": 3}}, "csat_satisfied_from must map scales"),
        ({"csat_satisfied_from": {"01-4": 3}}, "csat_satisfied_from must map scales"),
        ({"csat_satisfied_from": {"4-1": 3}}, "csat_satisfied_from must map scales"),
        ({"csat_satisfied_from": {"1-4": 5}}, "csat_satisfied_from must map scales"),
        ({"nps_responses": "first"}, "nps_responses must be"),
        ({"reporting_currency": "EUR'; drop table x; --"}, "reporting_currency must be"),
        ({"reporting_time_zone": "Mars/Olympus"}, "reporting_time_zone must be"),
        ({"as_of_date": "2025-02-29"}, "as_of_date must be a date"),
        ({"as_of_date": "31/12/2025"}, "as_of_date must be a date"),
        ({"keep_published": -1}, "keep_published must be a whole number"),
        ({"allow_empty_inputs": "yes"}, "allow_empty_inputs must be true or false"),
    ],
)
def test_an_invalid_setting_is_reported(project, vars, message):
    assert any(message in fault for fault in project.setting_faults(vars)), message


def test_valid_settings_are_accepted(project):
    for vars in (
        {},
        {"as_of_date": "2024-02-29", "csat_satisfied_from": {"-2-2": 1, "1-7": 5.5}},
        {"segment_dimensions": [], "period_grains": ["week"], "csat_satisfied_share": 1},
        {"sources": ["tables", "demo"], "raw_data": None, "raw_schema": "_Shop_2" + "x" * 56},
    ):
        assert project.setting_faults(vars) == []


def test_vars_are_json_and_folders_are_the_callers(tmp_path):
    assert read_vars("", "", tmp_path) == {}
    assert read_vars("a b", '{"minimum_responses": 3}', tmp_path) == {
        "minimum_responses": 3,
        "raw_data": str(tmp_path / "a b"),
    }
    assert read_vars("", '{"raw_data": "/x"}', tmp_path) == {"raw_data": "/x"}
    assert read_vars("", '{"raw_data": ""}', tmp_path) == {"raw_data": ""}
    with pytest.raises(click.ClickException, match="~nobody99"):
        read_vars("~nobody99/x", "", tmp_path)
    for wrong, fault in (("{reporting_currency: USD}", "valid JSON"), ("[1]", "a JSON object")):
        with pytest.raises(click.ClickException, match=f"VARS is not {fault}"):
            read_vars("", wrong, tmp_path)


def test_a_query_that_needs_the_working_database_says_so(tmp_path):
    working, published = str(tmp_path / "loyalty.duckdb"), str(tmp_path / "published.duckdb")
    nothing = str(tmp_path / "nothing.duckdb")
    for path in (published, working):
        duckdb.connect(path).close()
    for path, hinted in ((published, True), (working, False), (nothing, True)):
        environment = {"LOYALTY_WAREHOUSE": working, "LOYALTY_PUBLISHED": path}
        query = ["query", "select * from intermediate.int_answers"]
        done = CliRunner().invoke(main, query, env=environment)
        assert done.exit_code != 0 and "does not exist" in done.output
        assert (f"LOYALTY_PUBLISHED={working}" in done.output) == hinted


# Read by every Python that starts where PYTHONPATH leads here.
LISTENER = """
import os, sys

def hear(event, _arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        note(event)

def note(what):
    with open(os.environ["HEARD"], "a") as file:
        print(what, file=file)

note("listening")
sys.addaudithook(hear)
"""


def listener(folder: Path) -> dict[str, str]:
    """Return an environment in which every use of the network is noted down in HEARD."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LISTENER)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "HEARD": str(folder / "heard")}


def test_make_builds_from_anywhere(tmp_path):
    """make -C, a folder relative to the caller, the summary at the end, and no use of a network."""
    if Path(sys.prefix) != PROJECT / ".venv":
        pytest.skip("make would install its own environment: these tests run in another one")
    name = "my {{ data }} o'clock"
    write(tmp_path / name, clean())
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | {
        "LOYALTY_WAREHOUSE": "out/loyalty.duckdb",
        "LOYALTY_PUBLISHED": "out/published.duckdb",
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "PWD": str(tmp_path),
        **listener(tmp_path / "listener"),
    }
    settings = json.dumps({"reporting_currency": "USD", "period_grains": ["month", "week"]})
    done = subprocess.run(
        ["make", "-C", str(PROJECT), "build", f"RAW_DATA={name}", f"VARS={settings}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The last complete month, from 2025-01-01" in done.stdout
    assert "rules checked, no warnings" in done.stdout
    heard = (tmp_path / "listener" / "heard").read_text("utf-8")
    assert set(heard.splitlines()) == {"listening"}
    with duckdb.connect(str(tmp_path / "out" / "published.duckdb"), read_only=True) as con:
        [row] = con.execute("select reporting_currency from marts.published_build").fetchall()
    assert row == ("USD",)


def test_a_build_on_other_threads_publishes_the_same_rows(dbt, demo_build):
    """In the same order, too; the profile's are 2."""
    again = dbt("build", "--threads", "8")
    assert again.exit_code == 0, again.output
    assert "Concurrency: 8 threads" in again.output
    sets = []
    for run in (demo_build, again):
        with duckdb.connect(run.published, read_only=True) as con:
            sets.append([con.execute(f"select * from marts.{mart}").fetchall() for mart in MARTS])
    assert all(sets[0]) and sets[0] == sets[1]


def test_an_invalid_setting_is_reported_before_anything_is_read(dbt):
    for wrong in (
        {"sources": ["salesfarce"]},
        {"activity_window_days": "30"},
        {"segment_dimensions": "country"},
        {"csat_satisfied_from": [1]},
    ):
        run = dbt("build", vars=wrong)
        assert run.exit_code != 0
        assert "Invalid settings (vars):" in run.output, run.output
        assert next(iter(wrong)) in run.output


def test_an_unusable_working_database_is_reported_in_a_line(dbt, tmp_path):
    same = tmp_path / "same.duckdb"
    (tmp_path / "no database.duckdb").write_text("no database")
    for warehouse, message in (
        (same, "are the same file"),
        (tmp_path / "staging.duckdb", "can't be named staging"),
        (tmp_path / "no database.duckdb", "not a valid DuckDB database"),
        (Path("nowhere") / "x.duckdb", "relative to the current folder"),
    ):
        run = dbt("build", warehouse=warehouse, published=same)
        assert run.exit_code != 0
        assert message in run.output and "Traceback" not in run.output, run.output
    assert not same.exists()


def test_the_history_of_a_customer_has_a_row_per_move(dbt, clean_build):
    raw = clean()
    raw["raw_customers"][5]["country_code"] = "FI"
    for _ in range(2):
        # Without the tests that read marts as well, which are not built here.
        only = ("--select", "+customer_history", "--indirect-selection=cautious")
        run = dbt("build", *only, vars=write(clean_build, raw))
        assert run.exit_code == 0, run.output
    with duckdb.connect(run.warehouse, read_only=True) as con:
        customers = con.execute("select count(*) from clean.clean_customers").fetchall()[0][0]
        history = con.execute(
            """
            select customer_history.country, dbt_valid_to is null
            from snapshots.customer_history
            inner join clean.clean_customers using (customer_key)
            where customer_id = '006'
            order by dbt_valid_from
            """
        ).fetchall()
        rows = con.execute("select count(*) from snapshots.customer_history").fetchall()[0][0]
    assert history == [("NA", False), ("FI", True)]
    assert rows == customers + 1


def test_nothing_is_made_or_tested_after_the_publish(tmp_path):
    """Somebody adds what the publish knows nothing of, or what can only come after it."""
    copy = copy_project(tmp_path / "project")
    (copy / "models" / "marts" / "mine.sql").write_text("select 1 as one")
    for name, sql in {
        "of_mine": "select * from {{ ref('mine') }} where one != 1",
        "of_the_publish": "select * from {{ ref('published_build') }} where build_id is null",
        "of_nothing": "select 1 as one where false",
    }.items():
        (copy / "tests" / f"{name}.sql").write_text(sql)
    home, folder = tmp_path / "dbt", write(tmp_path / "clean", clean())
    run = run_dbt(home, "build", vars=folder, project=copy)
    assert run.exit_code != 0
    late = "model mine, test of_mine, test of_nothing, test of_the_publish"
    assert f"publishing would not wait for {late}." in run.output
    assert not Path(run.published).exists()

    # What publishes nothing needs no order.
    run = run_dbt(home, "run", "--select", "published_build", vars=folder, project=copy)
    assert run.exit_code == 0, run.output


def test_a_misspelt_setting_gives_a_warning(dbt):
    run = dbt("seed", "--select", "countries", vars={"minimum_response": 3})
    assert "WARNING: minimum_response is not a setting" in run.output


def test_all_settings_have_a_default_and_are_known(project):
    defaults = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    macro = (PROJECT / "macros" / "settings" / "settings.sql").read_text("utf-8")
    known = re.search(r"macro settings\(\).*?return\(\[(.*?)\]", macro, re.DOTALL)[1]
    assert sorted(re.findall(r"'(\w+)'", known)) == sorted(defaults)


def test_every_setting_is_described_with_its_default():
    defaults = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    page = (PROJECT / "docs" / "settings.md").read_text("utf-8")
    assert sorted(re.findall(r"^### `?(\w+)", page, re.MULTILINE)) == sorted(defaults)
    documented = dict(re.findall(r"^### `(\w+)`\n\nDefault: `(.+?)`", page, re.MULTILINE))
    assert {name: yaml.safe_load(default) for name, default in documented.items()} == defaults


def test_without_data_the_marts_are_empty(dbt, tmp_path):
    folder = write(tmp_path / "empty", dict.fromkeys(INPUTS, ()))
    run = dbt("build", vars={**folder, "allow_empty_inputs": True})
    assert run.exit_code == 0, run.output
    with duckdb.connect(run.published, read_only=True) as con:
        for mart in MARTS:
            assert con.execute(f"select count(*) from marts.{mart}").fetchall() == [(0,)]
        assert con.execute("select as_of_date from marts.published_build").fetchall() == [(None,)]
    summary = summarise(DuckDBTarget(None, run.warehouse, run.published))
    assert "There is no complete period yet." in summary
    assert "as of no day, because there is no data" in summary


def test_dbt_v2_is_refused_and_says_why():
    """In dbt_project.yml, whose profile is the first value that dbt v2 renders."""
    profile = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["profile"]
    template = jinja2.Template(profile)
    assert template.render(dbt_version="1.12.6") == "customer_loyalty"
    exceptions = Mock()
    template.render(dbt_version="2.0.0-alpha.4", exceptions=exceptions)
    [message] = exceptions.raise_compiler_error.call_args.args
    assert message in (PROJECT / "docs" / "engines.md").read_text("utf-8").splitlines()


def test_versions_agree():
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))
    package = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    assert project["version"] == package["project"]["version"]


def test_requirements_are_pinned_with_hashes_and_without_an_index():
    names = {}
    for path in (PROJECT / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "://" not in text
        pinned = re.findall(r"^([a-z][^ ]*)==.*\n(.*)", text, re.MULTILINE)
        assert all(line.startswith("    --hash=sha256:") for _, line in pinned)
        names[path.stem] = {name for name, _ in pinned}
    assert len(names["runtime"]) > 50 and names["runtime"] < names["dev"]
    # What the others add is not installed with the first two.
    for added in names.keys() - {"runtime", "dev"}:
        assert names[added] and names[added].isdisjoint(names["runtime"]), added
    assert names["engines"].isdisjoint(names["dev"])


def test_a_profile_takes_secrets_from_the_environment():
    """What is secret, or says where somebody's data is, stands in no profile as such."""
    profiles = (PROJECT / "profiles.example.yml").read_text("utf-8")
    fields = re.findall(r"^ *([\w-]+): *(.*)$", profiles, re.MULTILINE)
    secret = "pass|token|secret|key|user|host|account|path|database"
    found = {name: value for name, value in fields if re.search(secret, name)}
    assert "path" in found
    for name, value in found.items():
        assert re.match(r"""["']?\{\{ *env_var\(""", value), name


# What a key, a token or an address of somebody's own looks like.
SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b(ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|pypi|dapi|npm)[_-][\w-]{16,}",
    r"\beyJ[\w-]{10,}\.[\w-]{10,}",
    r"://[^\s/:@]+:[^\s/@]+@",
    r"(?i:\b(password|passwd|secret|token|api_?key)\b[\"']?\s*[:=]\s*[\"']?(?=[a-z+/-]*[0-9])[\w+/-]{8,})",
    r"/(home|Users)/\w+|/root/|[A-Z]:\\\\Users",
    r"(?i:--(extra-)?index-url|--trusted-host|://[^\s/]*(pypi|artifactory|nexus|devpi))",
)


def test_no_file_contains_a_secret_or_names_a_machine():
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=PROJECT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this is no checkout: what belongs to the project is not known")
    paths = [PROJECT / name for name in done.stdout.decode().split("\0") if name]
    files = [path for path in paths if path.is_file()]
    assert len(files) > 100
    looks_secret = re.compile("|".join(SECRETS))
    # This file says what one looks like.
    for path in set(files) - {Path(__file__)}:
        found = looks_secret.search(path.read_text("utf-8"))
        assert not found, f"{path.relative_to(PROJECT)}: {found[0]}"


def test_seeds_have_the_contracts_columns():
    for name, columns in INPUTS.items():
        header = (PROJECT / "seeds" / f"{name}.csv").read_text("utf-8").splitlines()[0]
        assert header == ",".join(columns)
