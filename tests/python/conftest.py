"""Fixtures: the project's SQL in memory, and whole dbt commands in temporary folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from warehouse import DbtRun, Project, once, run_dbt


@pytest.fixture(scope="session")
def random_seed(pytestconfig: pytest.Config) -> str:
    """Return what random worlds are drawn from: always the same, but for --hypothesis-seed."""
    return str(pytestconfig.getoption("--hypothesis-seed", None) or 0)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project, parsed."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def dbt(tmp_path: Path) -> Callable[..., DbtRun]:
    """Return a function that runs a whole dbt command; all runs of a test share a warehouse."""

    def run(*args: str, **options: object) -> DbtRun:
        return run_dbt(tmp_path / "dbt", *args, **options)

    return run


@pytest.fixture(scope="session")
def demo_build(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    """Return a whole build of the demo shop, the same for all workers of a test run.

    Read its databases, never write to them.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    return DbtRun(
        **once(shared, "demo_build", lambda: asdict(run_dbt(shared / "demo_build", "build")))
    )
