"""Two builds at once, and people who have a database open: one line that says so, or a wait."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.engines.duckdb import open_when_free
from customer_loyalty.errors import InUse
from customer_loyalty.plugin import check_warehouse
from customer_loyalty.publish.publication import MARTS
from faults import clean
from forks import Request
from test_crashes import read_published
from test_gate import write
from warehouse import PROJECT, copy_project, dbt_command, run_dbt, start_dbt

HOLDER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read only")
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(path: Path, how: str = "for writing"):
    """Let another process have a database open; yields the process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        yield holder
        holder.stdin.close()


def customer_loyalty(*arguments: str, home: Path, **environment: str) -> tuple[int, str]:
    """Run the package's command as make build does, below a folder; its exit code and output."""
    _, clean_environment = dbt_command(home, "build")
    clean_environment |= {
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
        "DBT_PROFILES_DIR": str(home / "profiles"),
    }
    command = "customer-loyalty", list(arguments), str(PROJECT), clean_environment | environment
    return Request(*command).run()


@pytest.mark.parametrize("how", ["for writing", "read only"])
def test_the_process_that_has_the_working_database_open_is_named(tmp_path, how):
    working = tmp_path / "loyalty.duckdb"
    duckdb.connect(str(working)).close()
    with opened(working, how) as holder:
        message = f"{working} is in use: process {holder.pid} (python"
        code, output = customer_loyalty("build", home=tmp_path)
        assert code == os.EX_TEMPFAIL
        [line] = output.splitlines()
        assert line.startswith(f"Error: {message}") and "make build WAIT=60" in line
        by_dbt = run_dbt(tmp_path, "build")
        assert by_dbt.exit_code == 2
        [line] = [line for line in by_dbt.output.splitlines() if "is in use" in line]
        assert line.strip().startswith(message) and "Traceback" not in by_dbt.output


def test_the_wait_ends_when_the_database_is_free_or_the_time_is_over(tmp_path):
    working = tmp_path / "loyalty.duckdb"
    duckdb.connect(str(working)).close()
    with opened(working) as holder:
        start = time.monotonic()
        with pytest.raises(InUse):
            open_when_free(str(working), {}, 0.5)
        assert 0.5 <= time.monotonic() - start < 5
        closing = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill {holder.pid}"])
        open_when_free(str(working), {}, 60).close()
        assert closing.wait() == 0
        assert time.monotonic() - start < 30


@pytest.mark.parametrize("wait", ["-1", "soon", "nan", "inf"])
def test_a_wait_is_a_number_of_seconds(tmp_path, wait):
    duckdb.connect(str(tmp_path / "loyalty.duckdb")).close()
    for arguments, environment in ((["--wait", wait], {}), ([], {"LOYALTY_WAIT": wait})):
        code, output = customer_loyalty("build", *arguments, home=tmp_path, **environment)
        assert code == 1
        assert f"LOYALTY_WAIT must be a number of seconds, 0 or more; found {wait}" in output


def test_spill_files_of_a_killed_build_are_deleted(tmp_path):
    working = tmp_path / "loyalty.duckdb"
    spilled = tmp_path / "loyalty.duckdb.tmp" / "duckdb_temp_storage_DEFAULT-0.tmp"
    spilled.parent.mkdir()
    spilled.write_text("rows of somebody")
    check_warehouse(str(working), "loyalty", {}).close()
    assert not spilled.parent.exists()
    # Of one that runs it stays.
    spilled.parent.mkdir()
    with opened(working), pytest.raises(InUse):
        check_warehouse(str(working), "loyalty", {})
    assert spilled.parent.exists()


def test_an_obstacle_to_publishing_is_reported_before_the_build(tmp_path):
    published = tmp_path / "dashboards.duckdb"
    with duckdb.connect(str(published)) as con:
        con.execute(
            "create schema marts; create table marts.published_build as select 1 as build_id"
        )
    with opened(published):
        code, output = customer_loyalty("build", home=tmp_path)
        assert code == 1
        assert "another process has the published database open for writing" in output
        assert output.startswith("Error: ")
    (tmp_path / "dashboards.duckdb.wal").touch()
    code, output = customer_loyalty("build", home=tmp_path)
    assert code == 1 and "remove the .wal file" in output
    assert len(output.splitlines()) == 1


def build_ids(output: str) -> list[str]:
    return re.findall(r"^[\d:]+ +PUBLISHED: .*, build (\S+)$", output, re.MULTILINE)


def test_of_two_builds_at_once_one_waits_or_is_refused(tmp_path):
    """The first, one that waits for it, and one that does not; all by plain dbt."""
    raw = write(tmp_path / "data", clean())
    first = start_dbt(tmp_path, "build", vars=raw)
    working = tmp_path / "loyalty.duckdb"
    while first.poll() is None and not working.exists():
        time.sleep(0.01)
    same = {"LOYALTY_WAREHOUSE": str(working)}
    same |= {"LOYALTY_PUBLISHED": str(tmp_path / "dashboards.duckdb")}
    waits = same | {"LOYALTY_WAIT": "300"}
    second = start_dbt(tmp_path / "second", "build", vars=raw, env=waits)
    third = start_dbt(tmp_path / "third", "build", vars=raw, env=same)
    code, output = third.wait(), third.output()
    assert code == 2, output
    assert f"is in use: process {first.pid} " in output
    outputs = [first.communicate()[0], second.communicate()[0]]
    assert first.returncode == second.returncode == 0, outputs
    [[old], [new]] = map(build_ids, outputs)
    with duckdb.connect(str(tmp_path / "dashboards.duckdb"), read_only=True) as con:
        assert con.execute("select build_id from marts.published_build").fetchall() == [(new,)]
    assert (tmp_path / f"dashboards.{old}.duckdb").exists()


def test_two_checkouts_publish_one_after_the_other(tmp_path):
    """Into one file, from the same data with other settings: what is there is of one of them."""
    copy = copy_project(tmp_path / "copy")
    raw = write(tmp_path / "data", clean())
    windows = {"a": 30, "b": 90}
    builds = []
    for (name, window), project in zip(windows.items(), (PROJECT, copy), strict=True):
        vars = raw | {"activity_window_days": window}
        shared = {"LOYALTY_PUBLISHED": str(tmp_path / "shared.duckdb")}
        builds.append(start_dbt(tmp_path / name, "build", vars=vars, project=project, env=shared))
    outputs = [build.communicate()[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], outputs
    ids = [build_ids(output)[0] for output in outputs]

    def working(name: str) -> list:
        with duckdb.connect(str(tmp_path / name / "loyalty.duckdb"), read_only=True) as con:
            return [
                con.execute(f"select * from marts.{mart} order by all").fetchall() for mart in MARTS
            ]

    published = tmp_path / "shared.duckdb"
    [[(last, *_)], *_] = read_published(published)
    assert last in ids
    [other] = set(ids) - {last}
    beside = tmp_path / f"shared.{other}.duckdb"
    for path, build_id in ((published, last), (beside, other)):
        assert read_published(path)[1:] == working("ab"[ids.index(build_id)])
