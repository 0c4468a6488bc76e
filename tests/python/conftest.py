"""Fixtures: the project's SQL in memory, and whole dbt commands in temporary folders."""

from __future__ import annotations

import gc
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

import forks
from faults import clean
from servers import catalog, database, postgres, server, spark  # noqa: F401
from warehouse import DbtRun, Project, once, run_dbt, write_csv


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        forks.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        forks.end()


# What takes longest begins first, so that no worker is left alone with it in the end.
LONGEST = ("test_crashes", "test_readers", "test_unit_tests", "test_clocks", "test_two_builds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def random_seed(pytestconfig: pytest.Config) -> str:
    """Return what random worlds are drawn from: always the same, but for --hypothesis-seed."""
    return str(pytestconfig.getoption("--hypothesis-seed", None) or 0)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project, parsed."""
    project = Project(tmp_path_factory.mktemp("project"))
    # To look through all of it for garbage, again and again, would be a tenth of the tests' work.
    gc.collect()
    gc.freeze()
    return project


@pytest.fixture(scope="session")
def refusal_sql(project: Project) -> str:
    """Return the query that says why the gate is closed."""
    return project.rendered(
        "{{ reasons_to_refuse('quality.gx_validation_results', 'quality.input_summary') }}"
    )


@pytest.fixture
def dbt(tmp_path: Path) -> Callable[..., DbtRun]:
    """Return a function that runs a whole dbt command; all runs of a test share a warehouse."""

    def run(*args: str, **options: object) -> DbtRun:
        return run_dbt(tmp_path / "dbt", *args, **options)

    return run


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is the same for all workers of a test run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def demo_build(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    """Return a whole build of the demo shop, the same for all workers of a test run.

    Read its databases, never write to them.
    """
    shared = shared_folder(tmp_path_factory)
    return DbtRun(
        **once(shared, "demo_build", lambda: asdict(run_dbt(shared / "demo_build", "build")))
    )


@pytest.fixture(scope="session")
def whole_build(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    """Return a plain dbt build of clean inputs, unit tests included, the same for all workers.

    Read its databases, never write to them.
    """
    home = shared_folder(tmp_path_factory) / "clean_build"

    def build() -> dict:
        write_csv(home / "raw", clean())
        vars = {"raw_data": str(home / "raw")}
        return asdict(run_dbt(home, "build", vars=vars, unit_tests=True))

    run = DbtRun(**once(home.parent, "clean_build", build))
    assert run.exit_code == 0, run.output
    return run


@pytest.fixture
def clean_build(whole_build: DbtRun, tmp_path: Path) -> Path:
    """Let the commands of a test go on where a build of clean inputs ended; return its inputs."""
    shutil.copytree(Path(whole_build.warehouse).parent, tmp_path / "dbt")
    return tmp_path / "dbt" / "raw"


@dataclass(frozen=True)
class LongRun:
    """How long a test marked long goes on, and what it draws from."""

    seed: str
    minutes: float

    def numbers(self) -> Iterator[int]:
        """Count from 0 until the time is over."""
        end = time.monotonic() + 60 * self.minutes
        return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


@pytest.fixture
def long_run(capsys: pytest.CaptureFixture) -> LongRun:
    """Return what make test-long was given: MINUTES for each test, and SEED, else a fresh one.

    The seed is printed before anything else, so that what follows can be repeated.
    """
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    minutes = float(os.environ.get("MINUTES") or 20)
    with capsys.disabled():
        print(f"\nseed {seed}, {minutes:g} minutes")
    return LongRun(seed, minutes)
