"""What a scheduler meets: exit codes, retries, timeouts, and builds model by model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.publish.publication import MARTS
from faults import clean
from forks import Request
from test_docs import EXAMPLE
from test_gate import write
from warehouse import PROJECT, copy_project, environment, run_dbt

# One worker runs them all, in one checkout: each goes on where the one before it ended.
pytestmark = pytest.mark.xdist_group("orchestration")

RUN_A_BUILD = "un make build (or dbt build) with the same settings."


@dataclass(frozen=True)
class Checkout:
    """A copy of the project with an environment, and the commands that a scheduler calls in it."""

    home: Path

    @property
    def published(self) -> Path:
        return self.home / "warehouse" / "published.duckdb"

    def deliver(self, raw: dict[str, list[dict]]) -> None:
        write(self.home / "export", raw)

    def write_script(self, name: str, text: str) -> None:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=environment() | {"PYTHONUNBUFFERED": "1"} | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def call(self, *command: str) -> tuple[int, str]:
        """Run a command to its end; its exit code and what it printed."""
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def fork(
        self, program: str, *arguments: str, env: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Do the same without the start of a process, see forks.py."""
        own = environment() | (env or {})
        return Request(program, list(arguments), str(self.home), own).run()

    def build(self, **options: dict[str, str]) -> tuple[int, str]:
        folder = str(self.home / "export")
        return self.fork("customer-loyalty", "build", "--raw-data", folder, **options)


# As a process of its own, which is slow to start.
BUILD = (".venv/bin/customer-loyalty", "build", "--raw-data", "export")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    home = copy_project(tmp_path_factory.mktemp("orchestration") / "checkout")
    shutil.copy(home / "profiles.example.yml", home / "profiles.yml")
    (home / "warehouse").mkdir()
    (home / ".venv").symlink_to(sys.prefix)
    return Checkout(home)


def published_line(output: str) -> str:
    """Return the one line that says whether something was published."""
    [line] = [line for line in output.splitlines() if "PUBLISHED: " in line]
    return line


# A number of orders for each build that is to publish, so that each is seen to publish its own.
def published_orders(checkout: Checkout) -> int:
    with duckdb.connect(str(checkout.published), read_only=True) as con:
        return con.execute("select rows_raw_orders from marts.published_build").fetchall()[0][0]


PAGE = (PROJECT / "docs" / "scheduling.md").read_text("utf-8")


def bad() -> dict[str, list[dict]]:
    """Inputs at which the gate closes."""
    raw = clean()
    raw["raw_orders"][4]["order_id"] = "o1"
    return raw


# --- retry, kill, timeout ---------------------------------------------------------------------


def test_a_closed_gate_is_reported_and_a_retry_says_what_to_run(checkout):
    """By the script of the page, which a scheduler calls, and by its query."""
    [script] = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    checkout.write_script("nightly.sh", script)
    checkout.write_script("notify", '#!/bin/sh\necho "$1" > sent\ncat "$2" "$3" >> sent\n')
    checkout.deliver(bad())
    code, _ = checkout.call("./nightly.sh")
    output = (checkout.home / "sent").read_text("utf-8")
    assert code == 1, output
    assert output.startswith("The gate is closed\n")
    assert "order_id o1 (raw_orders.csv row 2)" in output and "</html>" in output
    assert "NOT PUBLISHED: the build failed. Fix what failed, then r" + RUN_A_BUILD in output

    [query] = [one["sql"] for one in EXAMPLE.finditer(PAGE) if one["working"]]
    with duckdb.connect(str(checkout.home / "warehouse" / "loyalty.duckdb")) as con:
        assert con.execute(query).fetchall() == [("raw_orders", "order_id_unique", 2)]

    checkout.deliver(clean(40))
    code, output = checkout.fork("dbt", "retry")
    assert code == 1, output
    assert (
        "NOT PUBLISHED: the build failed, and dbt retry runs only the part of a build"
        in published_line(output)
    )
    assert "then r" + RUN_A_BUILD in published_line(output)
    assert not checkout.published.exists()

    code, output = checkout.build()
    assert code == 0, output
    assert "  PUBLISHED: " in published_line(output)
    assert published_orders(checkout) == 40


def test_a_build_that_is_stopped_leaves_nothing_behind(checkout):
    """By timeout, and by kill -9, while the gate is checking."""
    if not checkout.published.exists():
        checkout.deliver(clean())
        assert checkout.build()[0] == 0
    before = checkout.published.read_bytes()
    checkout.deliver(clean(41))
    results = checkout.home / "target" / "run_results.json"
    for command, signal_, code_of_retry in (
        (("timeout", "--kill-after=60", "3600", *BUILD), signal.SIGTERM, 0),
        (BUILD, signal.SIGKILL, 2),
    ):
        with checkout.start(*command) as process:
            for line in process.stdout:
                if "START python table model quality.gx_staged_results" in line:
                    break
            process.send_signal(signal_)
            # Until nobody has its output open any more, neither it nor a child.
            rest, _ = process.communicate(timeout=60)
        # Which a shell calls 143 and 137.
        assert process.returncode == -signal_
        assert "PUBLISHED" not in rest
        assert checkout.published.read_bytes() == before

        # dbt keeps nothing of a run that broke off: it looks at the one before it, or finds none.
        if code_of_retry:
            results.unlink()
        code, output = checkout.fork("dbt", "retry")
        assert code == code_of_retry, output
        assert ("Nothing to do" if code == 0 else "Could not find previous run") in output
        assert checkout.published.read_bytes() == before

    code, output = checkout.build()
    assert code == 0, output
    assert published_orders(checkout) == 41


def test_a_retry_in_the_process_of_its_build_publishes_nothing(checkout):
    """dbt gives it the selection of that build, which was complete."""
    checkout.deliver(clean(42))
    # Only the last step fails, and is all that is retried.
    wal = checkout.published.with_name("published.duckdb.wal")
    wal.touch()
    settings = json.dumps({"raw_data": str(checkout.home / "export")})
    build = ("build", "--vars", settings, "--exclude-resource-type", "unit_test")
    code, output = checkout.fork("dbt build, then retry", *build, str(wal))
    assert code == 0, output
    of_build, of_retry = [line for line in output.splitlines() if "PUBLISHED: " in line]
    assert "NOT PUBLISHED: the build failed. " in of_build
    assert "NOT PUBLISHED: dbt retry runs only the part of a build" in of_retry
    assert "R" + RUN_A_BUILD in of_retry
    assert not checkout.published.exists() or published_orders(checkout) != 42


# --- exit codes -------------------------------------------------------------------------------


def test_the_page_has_all_exit_codes():
    """Those of a build have a test each here; 124 is that of timeout itself."""
    codes = re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE)
    assert codes == ["0", "1", "2", str(os.EX_TEMPFAIL), "124, 137, 143"]


def test_a_second_build_exits_with_75(checkout):
    warehouse = checkout.home / "warehouse" / "loyalty.duckdb"
    duckdb.connect(str(warehouse)).close()
    for read_only in (False, True):
        with duckdb.connect(str(warehouse), read_only=read_only):
            code, output = checkout.build()
        assert code == 75, output
        assert len(output.splitlines()) == 1 and "is in use" in output


def test_a_build_waits_for_another_and_exits_with_2_if_it_can_not_start(checkout):
    warehouse = checkout.home / "warehouse" / "loyalty.duckdb"
    wrong = ("--vars", '{"activity_window_days": "60"}')
    with duckdb.connect(str(warehouse)):
        build = checkout.start(*BUILD, "--wait", "60", *wrong)
        time.sleep(2)
        assert build.poll() is None
    with build:
        output, _ = build.communicate(timeout=60)
    assert build.returncode == 2, output
    assert "Invalid settings (vars)" in output


def test_a_partial_build_is_not_a_success(checkout):
    """An option of dbt in the environment that makes it a part of one."""
    code, output = checkout.build(env={"DBT_RESOURCE_TYPES": "seed"})
    assert code == 1, output
    assert "Completed successfully" in output
    assert "The last complete month" not in output


def test_under_make_every_failure_is_2():
    if Path(sys.prefix) != PROJECT / ".venv":
        pytest.skip("make would install its own environment: these tests run in another one")
    own = {k: v for k, v in environment().items() if not k.startswith("MAKE")}
    make = ["make", "-C", str(PROJECT), "build", "VARS=no JSON"]
    done = subprocess.run(make, env=own, capture_output=True, encoding="utf-8", check=False)
    assert "VARS is not valid JSON" in done.stderr
    assert "Error 1" in done.stderr and done.returncode == 2


# --- model by model ---------------------------------------------------------------------------

# The folders in the order in which data flows, and the commands that make them.
FLOORS = (
    ("seed",),
    ("run", "--select", "path:models/raw"),
    ("run", "--select", "path:models/staging"),
    ("run", "--select", "path:models/gate"),
    ("run", "--select", "path:models/clean"),
    ("snapshot",),
    ("run", "--select", "path:models/intermediate"),
    ("run", "--select", "path:models/marts"),
    ("run", "--select", "path:models/published"),
)


@pytest.fixture(scope="module")
def by_floor(tmp_path_factory):
    """The demo, floor by floor in processes of their own: where, and what each printed.

    The first is one out of order.
    """
    home = tmp_path_factory.mktemp("by_floor")
    return home, [run_dbt(home, *floor) for floor in (("run", "--select", "nps"), *FLOORS)]


def result(database: str | Path) -> dict[str, list[tuple]]:
    """Return the marts of a working database, row by row, and what the gate found."""
    queries = {mart: f"select * from marts.{mart} order by all" for mart in MARTS}
    queries["gate"] = (
        "select input, rule, action, success, element_count, unexpected_count, examples,"
        " left_success from quality.gx_validation_results order by all"
    )
    queries["open"] = "select rules, rules_broken from quality.quality_gate"
    with duckdb.connect(str(database), read_only=True) as con:
        return {name: con.execute(sql).fetchall() for name, sql in queries.items()}


def test_folder_by_folder_gives_the_marts_of_a_whole_build(by_floor, demo_build):
    _, (too_early, *runs) = by_floor
    assert too_early.exit_code == 1, too_early.output
    assert "the build failed. Fix what failed, then r" + RUN_A_BUILD in published_line(
        too_early.output
    )
    for run in runs:
        assert run.exit_code == 0, run.output
    assert "NOT PUBLISHED: dbt run does not run tests. R" + RUN_A_BUILD in published_line(
        runs[-1].output
    )
    assert not Path(runs[-1].published).exists()
    assert result(runs[-1].warehouse) == result(demo_build.warehouse)


def test_steps_out_of_order_do_not_bypass_the_gate(by_floor, tmp_path):
    home, runs = by_floor
    before = result(runs[-1].warehouse)
    files = write(tmp_path / "bad", bad())

    # Staged again, from other data, and checked in part.
    for step, refusal in (
        ("path:models/raw", None),
        ("path:models/staging", None),
        ("gx_validation_results", None),
        ("clean_orders", "was staged again after the last check. Run dbt build."),
        # Clean rows are views of the staged ones.
        ("path:models/intermediate", "was staged again after the last check. Run dbt build."),
    ):
        run = run_dbt(home, "run", "--select", step, vars=files)
        assert run.exit_code == (1 if refusal else 0), run.output
        assert not refusal or refusal in run.output
        assert "NOT PUBLISHED: " in published_line(run.output)
    after = result(runs[-1].warehouse)
    assert {mart: after[mart] for mart in MARTS} == {mart: before[mart] for mart in MARTS}


def in_order(home: Path) -> list[str]:
    """Return the full names of all that is built, each after what it needs, as dbt ls lists it.

    A name alone would select the tests of a folder that is called so as well.
    """
    listed = run_dbt(
        home,
        "ls",
        "--quiet",
        "--output=json",
        "--output-keys=unique_id fqn resource_type depends_on",
    )
    assert listed.exit_code == 0, listed.output
    nodes = [json.loads(line) for line in listed.output.splitlines()]
    built = {
        one["unique_id"]: one
        for one in nodes
        if one["resource_type"] in ("seed", "model", "snapshot")
    }
    graph = {id_: one["depends_on"].get("nodes", ()) for id_, one in built.items()}
    return [".".join(built[id_]["fqn"]) for id_ in TopologicalSorter(graph).static_order()]


@pytest.mark.long
def test_node_by_node_gives_the_marts_of_a_whole_build(tmp_path, demo_build):
    """As Airflow's Cosmos does: a process for each, with the tests that read nothing else."""
    order = in_order(tmp_path)
    assert len(order) > 50 and order[-1] == "customer_loyalty.published.published_build"
    for name in order:
        run = run_dbt(tmp_path, "build", "--select", name, "--indirect-selection=cautious")
        assert run.exit_code == 0, run.output
        assert "NOT PUBLISHED: the selection leaves out" in published_line(run.output)
        assert ". R" + RUN_A_BUILD in published_line(run.output)
    tests = run_dbt(tmp_path, "test", "--exclude", "test_type:unit")
    assert tests.exit_code == 0, tests.output
    assert not Path(run.published).exists()
    assert result(run.warehouse) == result(demo_build.warehouse)
