"""The same data gives the same marts, whatever the clock and the zone of the machine."""

from __future__ import annotations

import platform
import re
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from faults import clean
from test_crashes import read_published
from warehouse import DbtRun, dbt_command, run_sql

# Every clock of a process, DuckDB's too; the wheel has it for this platform only.
FAKED = platform.system() == "Linux" and platform.machine() == "x86_64"


def assert_same_marts(published: Path, build: DbtRun) -> None:
    [_, *marts], [_, *others] = map(read_published, (published, Path(build.published)))
    assert any(marts) and marts == others


def test_the_day_of_a_run_changes_no_mart(project):
    models = project.sql({})
    clocks = (datetime(2025, 6, 1), datetime(2026, 1, 31, 23, 59, 57), datetime(2028, 2, 29))
    first, *others = [run_sql(models, clean(), clock) for clock in clocks]
    assert any(first.values()) and all(other == first for other in others)
    # Nor do they ask for the time in another way.
    asks = re.compile(
        r"\b(now|today|get_current_\w+|current_(date|time|timestamp)|localtime\w*)\b", re.I
    )
    assert [model.name for model in models if asks.search(model.sql)] == []


def test_the_zone_of_the_machine_changes_no_mart(dbt, whole_build):
    inputs = {"raw_data": str(Path(whole_build.warehouse).parent / "raw")}
    run = dbt("build", vars=inputs, env={"TZ": "Pacific/Kiritimati"})
    assert run.exit_code == 0, run.output
    assert_same_marts(Path(run.published), whole_build)


@pytest.mark.long
@pytest.mark.skipif(not FAKED, reason="no clock can be faked here")
@pytest.mark.parametrize(
    ("clock", "zone"),
    [
        # The month ends while the build runs.
        ("2026-01-31 23:59:57", "UTC"),
        ("2028-02-29 12:00:00", "America/St_Johns"),
        # A new year that has not come in UTC yet.
        ("2027-01-01 00:00:01", "Pacific/Kiritimati"),
    ],
)
def test_the_clock_of_a_build_changes_no_mart(tmp_path, demo_build, clock, zone):
    package = Path(find_spec("libfaketime").origin).parent
    command, environment = dbt_command(tmp_path, "build")
    environment |= {
        "TZ": zone,
        # Not the whole path, for a blank in it ends a name of LD_PRELOAD.
        "LD_PRELOAD": "libfaketime.so.1",
        "LD_LIBRARY_PATH": str(package / "vendor" / "libfaketime" / "src"),
        "FAKETIME": f"@{clock}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # numpy, Great Expectations and the gate set these in a thread of dbt's while others wait,
        # where libfaketime reads the environment: the process can crash unless they are there.
        "OPENBLAS_MAIN_FREE": "1",
        "SF_PARTNER": "great_expectations_oss",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONFAULTHANDLER": "1",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    published = tmp_path / "dashboards.duckdb"
    assert_same_marts(published, demo_build)
    build, *_ = read_published(published)
    began = datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    published_at = build[0][1].replace(tzinfo=UTC)
    assert began < published_at < began + timedelta(hours=1)
