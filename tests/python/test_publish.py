"""The publish: all or nothing, in one rename, and only by a whole build."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from customer_loyalty import publish
from customer_loyalty.publish import MARTS, PublishFault, replace_file
from faults import clean
from test_gate import write
from warehouse import copy_project, run_dbt

ROW = {"build_id": ("varchar", "b1"), "rows_nps": ("bigint", 3)}


@pytest.fixture
def warehouse(tmp_path):
    """A working database with marts of one column."""
    with duckdb.connect(str(tmp_path / "loyalty.duckdb")) as con:
        con.execute("create schema marts; create schema quality")
        for table in publish.QUALITY:
            con.execute(f"create table quality.{table} as select 'rule' as rule")
        for mart in MARTS:
            con.execute(f"create table marts.{mart} as select unnest([3, 1, 2]) as number")
        yield con


def read(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


def files_of(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob("published*"))


def test_a_new_file_holds_everything(warehouse, tmp_path):
    target = tmp_path / "new folder" / "it's published.duckdb"
    replace_file(warehouse, target, ROW)
    for mart in MARTS:
        assert read(target, f"select * from marts.{mart}") == [(1,), (2,), (3,)]
    assert read(target, "select * from marts.published_build") == [("b1", 3)]
    assert read(target, "select * from quality.gx_validation_results") == [("rule",)]
    assert sorted(os.listdir(target.parent)) == [f".{target.name}.lock", target.name]
    # The number of the storage version of DuckDB 1.0 to 1.1, which all later readers know.
    assert target.read_bytes()[12:20] == (64).to_bytes(8, "little")


def test_readers_keep_their_rights_and_their_old_set(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    replace_file(warehouse, target, ROW)
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 12345, 23456)
    before = target.stat()
    with duckdb.connect(str(target), read_only=True) as reader:
        warehouse.execute("delete from marts.nps")
        replace_file(warehouse, target, ROW)
        # Whoever has the old file open goes on with all of it.
        assert reader.execute("select count(*) from marts.nps").fetchall() == [(3,)]
    after = target.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and after.st_mtime > before.st_mtime
    assert read(target, "select count(*) from marts.nps") == [(0,)]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("_create_row", duckdb.IOException("No space left on device")),
        ("_take_over", OSError(28, "No space left on device")),
        ("os.replace", OSError(28, "No space left on device")),
    ],
)
def test_a_fault_on_the_way_leaves_the_old_file(warehouse, tmp_path, monkeypatch, step, error):
    target = tmp_path / "published.duckdb"
    replace_file(warehouse, target, ROW)
    before = target.read_bytes()

    def fail(*_args):
        raise error

    monkeypatch.setattr(f"customer_loyalty.publish.{step}", fail)
    with pytest.raises(PublishFault, match="No space left on device"):
        replace_file(warehouse, target, ROW)
    assert target.read_bytes() == before
    assert files_of(target) == [target.name]


# A publish in a process of its own, which kills itself at a step.
KILLED = """
import os, signal, sys
from pathlib import Path
import duckdb
from customer_loyalty import publish

def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)

warehouse, target, step = sys.argv[1:]
con = duckdb.connect(warehouse, read_only=False)
con.execute("update marts.nps set number = 9")
owner, _, name = step.rpartition(".")
setattr(os if owner else publish, name, die)
publish.replace_file(con, Path(target), {"build_id": ("varchar", "b2")})
"""


@pytest.mark.parametrize("step", ["_create_row", "_take_over", "os.replace", "_sync_folder"])
def test_a_killed_build_leaves_the_old_file_or_the_new_one(warehouse, tmp_path, step):
    target = tmp_path / "published.duckdb"
    replace_file(warehouse, target, ROW)
    warehouse.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "loyalty.duckdb"), str(target), step],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    is_new = step == "_sync_folder"
    assert read(target, "select distinct number = 9 from marts.nps") == [(is_new,)]
    assert read(target, "select build_id from marts.published_build") == [
        ("b2" if is_new else "b1",)
    ]
    with duckdb.connect(str(tmp_path / "loyalty.duckdb")) as con:
        replace_file(con, target, ROW)
    assert read(target, "select distinct number from marts.nps") == [(9,)]
    assert files_of(target) == [target.name]


def test_two_builds_publish_one_after_the_other(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    with publish._alone(target):
        waiting = threading.Thread(target=replace_file, args=(warehouse, target, ROW))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not target.exists()
    waiting.join(10)
    assert read(target, "select build_id from marts.published_build") == [("b1",)]


def test_what_would_end_badly_is_refused(warehouse, tmp_path):
    with pytest.raises(PublishFault, match="name the same file"):
        replace_file(warehouse, tmp_path / "loyalty.duckdb", ROW)
    with pytest.raises(PublishFault, match="ambiguous"):
        replace_file(warehouse, tmp_path / "marts.duckdb", ROW)
    with pytest.raises(PublishFault, match="names a folder"):
        replace_file(warehouse, tmp_path, ROW)
    target = tmp_path / "published.duckdb"
    replace_file(warehouse, target, ROW)
    (tmp_path / "published.duckdb.wal").touch()
    with pytest.raises(PublishFault, match=r"remove the \.wal file"):
        replace_file(warehouse, target, ROW)


WRITER = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print(); sys.stdin.read()"


def test_nothing_is_published_under_a_writer(warehouse, tmp_path):
    """Who has the file open for writing would write to the new one's log."""
    target = tmp_path / "published.duckdb"
    replace_file(warehouse, target, ROW)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        with pytest.raises(PublishFault, match="open for writing"):
            replace_file(warehouse, target, ROW)
        writer.stdin.close()
    replace_file(warehouse, target, ROW)


def test_a_link_stays_a_link(warehouse, tmp_path):
    target = tmp_path / "real" / "published.duckdb"
    replace_file(warehouse, target, ROW)
    link = tmp_path / "link.duckdb"
    link.symlink_to(target)
    warehouse.execute(
        "create temp table this_build as select 'b2' as build_id, null as not_published_because,"
        " 'demo' as sources, null as raw_data, 'EUR' as reporting_currency, ? as published_path",
        [str(link)],
    )
    warehouse.execute("create schema intermediate; create schema staging")
    warehouse.execute("create table intermediate.int_as_of as select current_date as as_of_date")
    for name in publish.INPUTS:
        warehouse.execute(f"create table staging.{name.replace('raw_', 'staged_')} as select 1")
    [row] = publish.publish(warehouse).fetchall()
    assert link.is_symlink() and row[0] == "b2"
    assert read(target, "select build_id from marts.published_build") == [("b2",)]


# --- whole commands --------------------------------------------------------------------------


def test_only_a_whole_build_publishes(dbt, tmp_path):
    folder = write(tmp_path / "clean", clean())
    run = dbt("build", vars=folder)
    assert run.exit_code == 0, run.output
    assert "PUBLISHED: " in run.output and "NOT PUBLISHED" not in run.output
    published = Path(run.published)
    before = published.read_bytes()
    [(build_id, sources, orders, customers)] = read(
        published,
        "select build_id, sources, rows_raw_orders, rows_customers from marts.published_build",
    )
    assert (sources, orders, customers) == ("files", 39, 39)
    assert build_id in run.output
    assert read(published, "select distinct run_id from quality.gx_validation_results") == [
        (build_id,)
    ]

    for command, told in (
        (("run",), "dbt run runs no tests"),
        (("build", "--select", "int_as_of+"), "the selection leaves out"),
        (("build", "--exclude", "nps_key_is_unique"), "the selection leaves out"),
        (("build", "--select", "nps"), "the selection leaves out"),
    ):
        run = dbt(*command, vars=folder)
        assert run.exit_code == 0, run.output
        assert "NOT PUBLISHED: " in run.output and told in run.output, run.output
    assert published.read_bytes() == before

    run = dbt("build", vars=folder, unit_tests=True)
    assert run.exit_code == 0
    assert read(published, "select build_id from marts.published_build") != [(build_id,)]


def test_without_rows_nothing_is_published_under_empty(dbt, tmp_path):
    folder = write(tmp_path / "clean", clean())
    run = dbt("build", "--empty", vars={**folder, "allow_empty_inputs": True})
    assert run.exit_code == 0, run.output
    assert "NOT PUBLISHED: --empty" in run.output
    assert not Path(run.published).exists()


def test_a_failing_test_of_a_mart_leaves_the_published_file(tmp_path):
    """In a copy of the project, with a test that finds something."""
    copy = copy_project(tmp_path / "project")
    folder = write(tmp_path / "clean", clean())
    home = tmp_path / "dbt"
    run = run_dbt(home, "build", vars=folder, project=copy)
    assert run.exit_code == 0, run.output
    before = Path(run.published).read_bytes()

    (copy / "tests" / "finds.sql").write_text("select * from {{ ref('customers') }}")
    run = run_dbt(home, "build", vars=folder, project=copy)
    assert run.exit_code != 0
    assert "NOT PUBLISHED: the build failed" in run.output
    retried = run_dbt(home, "retry", project=copy)
    assert retried.exit_code != 0
    (copy / "tests" / "finds.sql").write_text("select * from {{ ref('customers') }} where false")
    retried = run_dbt(home, "retry", project=copy)
    assert retried.exit_code == 0, retried.output
    assert "NOT PUBLISHED: " in retried.output
    assert Path(run.published).read_bytes() == before
