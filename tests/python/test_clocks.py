"""The same data gives the same marts, whatever the clock and the zone of the machine."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from test_crashes import read_published
from warehouse import dbt_command

# Every clock of a process, DuckDB's too; the wheel has it for this platform only.
FAKED = platform.system() == "Linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not FAKED, reason="no clock can be faked here")
@pytest.mark.parametrize(
    ("clock", "zone"),
    [
        # The month ends while the build runs.
        ("2026-01-31 23:59:57", "UTC"),
        pytest.param("2028-02-29 12:00:00", "America/St_Johns", marks=pytest.mark.long),
        # A new year that has not come in UTC yet.
        pytest.param("2027-01-01 00:00:01", "Pacific/Kiritimati", marks=pytest.mark.long),
    ],
)
def test_the_clock_of_a_build_changes_no_mart(tmp_path, whole_build, clock, zone):
    package = Path(find_spec("libfaketime").origin).parent
    inputs = Path(whole_build.warehouse).parent / "raw"
    command, environment = dbt_command(tmp_path, "build", vars={"raw_data": str(inputs)})
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
    build, *marts = read_published(tmp_path / "dashboards.duckdb")
    [_, *others] = read_published(Path(whole_build.published))
    assert any(marts) and marts == others
    began = datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    published_at = build[0][1].replace(tzinfo=UTC)
    assert began < published_at < began + timedelta(hours=1)
