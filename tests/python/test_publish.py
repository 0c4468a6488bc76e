"""The publish: all or nothing, in one rename, and only by a whole build."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from customer_loyalty import cli
from customer_loyalty.engine import Publication
from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.publish import database_file, publication
from customer_loyalty.publish.database_file import (
    PublishFault,
    kept_builds,
    replace_file,
    roll_back,
)
from customer_loyalty.publish.publication import MARTS, published_tables
from faults import clean
from test_gate import write
from test_two_builds import opened
from warehouse import PROJECT

IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 100)]
B1, B2, B3, B4, *_ = IDS


def row_of(build_id: str, minute: int = 0) -> dict:
    return {
        "build_id": ("varchar", build_id),
        "published_at": ("timestamp", datetime(2025, 1, 31, 12) + timedelta(minutes=minute)),
    }


ROW = row_of(B1)


@contextmanager
def working_database(path: Path):
    """A working database with marts of one column."""
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts; create schema quality")
        for table in publication.QUALITY:
            con.execute(f"create table quality.{table} as select 'rule' as rule")
        for mart in MARTS:
            con.execute(f"create table marts.{mart} as select unnest([3, 1, 2]) as number")
        yield con


@pytest.fixture
def warehouse(tmp_path):
    with working_database(tmp_path / "loyalty.duckdb") as con:
        yield con


def publication_of(warehouse, row: dict) -> Publication:
    return Publication(row, published_tables(DuckDBEngine(warehouse)), "", 0)


def put(warehouse, target: Path, row: dict = ROW, keep: int = 0) -> None:
    """Publish what the working database has."""
    write = partial(database_file.write, warehouse, publication_of(warehouse, row))
    replace_file(target, write, keep, target.with_name("loyalty.duckdb"))


def publish_build(warehouse, target: Path, number: int, keep: int = 3) -> Path:
    """Publish a build by which each mart has its number."""
    for mart in MARTS:
        warehouse.execute(f"update marts.{mart} set number = ?", [number])
    put(warehouse, target, row_of(IDS[number], number), keep)
    return target


def read(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


def files_of(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob("published*"))


def test_a_new_file_holds_everything(warehouse, tmp_path):
    target = tmp_path / "new folder" / "it's published.duckdb"
    put(warehouse, target)
    for mart in MARTS:
        assert read(target, f"select * from marts.{mart}") == [(1,), (2,), (3,)]
    assert read(target, "select build_id from marts.published_build") == [(B1,)]
    assert read(target, "select * from quality.gx_validation_results") == [("rule",)]
    assert sorted(os.listdir(target.parent)) == [f".{target.name}.lock", target.name]
    # The number of the storage version of DuckDB 1.0 to 1.1, which all later readers know.
    assert target.read_bytes()[12:20] == (64).to_bytes(8, "little")


def test_the_new_file_is_on_the_disk_before_it_has_its_name(warehouse, tmp_path, monkeypatch):
    steps = []

    def sync(file, real=os.fsync):
        steps.append(("synced", os.fstat(file).st_ino))
        real(file)

    def rename(old, new, real=os.replace):
        steps.append(("renamed", os.stat(old).st_ino))
        real(old, new)

    monkeypatch.setattr(database_file.os, "fsync", sync)
    monkeypatch.setattr(database_file.os, "replace", rename)
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    file, folder = target.stat().st_ino, tmp_path.stat().st_ino
    assert steps == [("synced", file), ("renamed", file), ("synced", folder)]


def test_readers_keep_their_rights_and_their_old_set(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 12345, 23456)
    before = target.stat()
    with duckdb.connect(str(target), read_only=True) as reader:
        warehouse.execute("delete from marts.nps")
        put(warehouse, target)
        # Readers who have the old file open continue with all of it.
        assert reader.execute("select count(*) from marts.nps").fetchall() == [(3,)]
    after = target.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and after.st_mtime > before.st_mtime
    assert read(target, "select count(*) from marts.nps") == [(0,)]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("publish.database_file._create_row", duckdb.IOException("No space left on device")),
        ("publish.database_file._take_over", OSError(28, "No space left on device")),
        ("publish.database_file.os.replace", OSError(28, "No space left on device")),
    ],
)
def test_a_fault_on_the_way_leaves_the_old_file(warehouse, tmp_path, monkeypatch, step, error):
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    before = target.read_bytes()
    warehouse.execute("update marts.nps set number = 9")

    def fail(*_args):
        raise error

    monkeypatch.setattr(f"customer_loyalty.{step}", fail)
    with pytest.raises(PublishFault, match="No space left on device"):
        put(warehouse, target)
    assert target.read_bytes() == before
    assert files_of(target) == [target.name]


# A publish in a process of its own, which kills itself at a step.
KILLED = (
    f"B2 = {B2!r}"
    + """
import os, signal, sys
from functools import partial
from pathlib import Path
import duckdb
from customer_loyalty.engine import Publication
from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.publish import database_file
from customer_loyalty.publish.publication import published_tables

def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)

warehouse, target, step = sys.argv[1:]
con = duckdb.connect(warehouse, read_only=False)
con.execute("update marts.nps set number = 9")
module, _, name = step.partition(".")
setattr({"os": os, "database_file": database_file}[module], name, die)
row = {"build_id": ("varchar", B2), "published_at": ("timestamp", "2025-02-28 12:00:00")}
new = Publication(row, published_tables(DuckDBEngine(con)), target, 0)
database_file.replace_file(Path(target), partial(database_file.write, con, new), 0)
"""
)


@pytest.mark.parametrize(
    "step",
    [
        "database_file._create_row",
        "database_file._take_over",
        "os.replace",
        "database_file._sync_folder",
    ],
)
def test_a_killed_build_leaves_the_old_file_or_the_new_one(warehouse, tmp_path, step):
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    warehouse.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "loyalty.duckdb"), str(target), step],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    is_new = step == "database_file._sync_folder"
    assert read(target, "select distinct number = 9 from marts.nps") == [(is_new,)]
    assert read(target, "select build_id from marts.published_build") == [(B2 if is_new else B1,)]
    with duckdb.connect(str(tmp_path / "loyalty.duckdb")) as con:
        put(con, target)
    assert read(target, "select distinct number from marts.nps") == [(9,)]
    assert files_of(target) == [target.name]


def test_two_builds_publish_one_after_the_other(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    with database_file._locked(target):
        waiting = threading.Thread(target=put, args=(warehouse, target))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not target.exists()
    waiting.join(10)
    assert read(target, "select build_id from marts.published_build") == [(B1,)]


def test_an_unsuitable_published_file_is_refused(warehouse, tmp_path):
    with pytest.raises(PublishFault, match="are the same file"):
        put(warehouse, tmp_path / "loyalty.duckdb")
    with pytest.raises(PublishFault, match="conflicts with the schema"):
        put(warehouse, tmp_path / "marts.duckdb")
    with pytest.raises(PublishFault, match="LOYALTY_PUBLISHED is a folder"):
        put(warehouse, tmp_path)
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    (tmp_path / "published.duckdb.wal").touch()
    with pytest.raises(PublishFault, match=r"remove the \.wal file"):
        put(warehouse, target)


def test_a_writer_that_opens_the_file_while_publishing_is_noticed(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    before = target.read_bytes()

    def write_slowly(new: Path) -> None:
        database_file.write(warehouse, publication_of(warehouse, row_of(B2)), new)
        (tmp_path / "published.duckdb.wal").touch()

    with pytest.raises(PublishFault, match=r"remove the \.wal file"):
        replace_file(target, write_slowly, 3)
    assert target.read_bytes() == before and files_of(target) == [target.name, f"{target.name}.wal"]


def test_nothing_is_published_under_a_writer(warehouse, tmp_path):
    """Who has the file open for writing would write to the new one's log."""
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    with opened(target), pytest.raises(PublishFault, match="open for writing"):
        put(warehouse, target)
    put(warehouse, target)


def publish_as_hooked(warehouse, path: Path, contract: dict[str, str]) -> list[tuple]:
    """Publish as the model published_build does, and return its rows."""
    warehouse.execute(
        "create or replace temp table this_build as select ? as build_id,"
        " null as not_published_because, 'demo' as sources, null as raw_data,"
        " 'EUR' as reporting_currency, ? as published_path, ? as contract, 0 as keep_published",
        [B2, str(path), json.dumps(contract)],
    )
    warehouse.execute("create schema if not exists intermediate")
    warehouse.execute("create schema if not exists staging")
    as_of = "select current_date as as_of_date"
    warehouse.execute(f"create or replace table intermediate.int_as_of as {as_of}")
    for name in publication.INPUTS:
        table = name.replace("raw_", "staged_")
        warehouse.execute(f"create or replace table staging.{table} as select 1")
    return publication.publish(DuckDBEngine(warehouse)).fetchall()


def contract_of_the_row() -> dict[str, str]:
    """Return the types of published_build's columns, as its YAML has them."""
    described = PROJECT / "models" / "published" / "_published__models.yml"
    [model] = yaml.safe_load(described.read_text("utf-8"))["models"]
    return {column["name"]: column["data_type"] for column in model["columns"]}


@pytest.mark.parametrize("change", ["a column more", "a column less", "a type that does not fit"])
def test_a_row_that_breaks_its_contract_is_not_published(warehouse, tmp_path, change):
    target = tmp_path / "published.duckdb"
    put(warehouse, target)
    before = target.read_bytes()
    contract = contract_of_the_row()
    if change == "a column more":
        refusal = pytest.raises(PublishFault, match="have different columns: rows_of_mine")
        contract["rows_of_mine"] = "bigint"
    elif change == "a column less":
        refusal = pytest.raises(PublishFault, match="have different columns: rows_nps")
        del contract["rows_nps"]
    else:
        refusal = pytest.raises(duckdb.Error, match="Unimplemented type for cast")
        contract["published_at"] = "boolean"
    with refusal:
        publish_as_hooked(warehouse, target, contract)
    assert target.read_bytes() == before


def test_a_link_stays_a_link(warehouse, tmp_path):
    target = tmp_path / "real" / "published.duckdb"
    put(warehouse, target)
    link = tmp_path / "link.duckdb"
    link.symlink_to(target)
    contract = contract_of_the_row()
    [row] = publish_as_hooked(warehouse, link, contract)
    described = read(target, "describe marts.published_build")
    assert {name: type_.lower() for name, type_, *_ in described} == contract
    assert link.is_symlink() and row[0] == B2
    assert read(target, "select build_id from marts.published_build") == [(B2,)]


# --- the builds before ------------------------------------------------------------------------


def publish_four(warehouse, target: Path, keep: int) -> None:
    for number in range(4):
        publish_build(warehouse, target, number, keep)


def kept(target: Path) -> list[str]:
    return [one.build_id for one in kept_builds(target)]


def published(target: Path) -> tuple[str, int]:
    """Return the build's id, and which of the four it is by its data."""
    [row] = read(
        target,
        "select build_id, max(number) from marts.nps cross join marts.published_build group by all",
    )
    return row


@pytest.mark.parametrize(("keep", "stay"), [(0, []), (1, [B3]), (2, [B3, B2]), (3, [B3, B2, B1])])
def test_earlier_builds_are_kept_next_to_the_file(warehouse, tmp_path, keep, stay):
    target = tmp_path / "published.duckdb"
    mine = [tmp_path / "published.old.duckdb", tmp_path / f"published.{B4}.duckdb.gz"]
    for path in mine:
        path.write_text("not a build")
    publish_four(warehouse, target, keep)
    assert published(target) == (B4, 3)
    beside = [f"published.{build_id}.duckdb" for build_id in stay]
    assert files_of(target) == sorted([target.name, *beside, *(path.name for path in mine)])
    for build_id in stay:
        path = tmp_path / f"published.{build_id}.duckdb"
        assert published(path) == (build_id, (B1, B2, B3, B4).index(build_id))


def test_a_roll_back_goes_one_build_further_each_time(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    publish_four(warehouse, target, 2)
    target.chmod(0o640)
    back, replaced = roll_back(target)
    assert (back.build_id, replaced) == (B3, B4)
    assert published(target) == (B3, 2) and kept(target) == [B4, B2]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert roll_back(target)[0].build_id == B2
    assert published(target) == (B2, 1) and kept(target) == [B4, B3]
    with pytest.raises(PublishFault, match=f"no earlier build is kept(.|\n)*{B4}(.|\n)*{B3}"):
        roll_back(target)
    # Forward again, by name.
    assert roll_back(target, B4)[1] == B2
    assert published(target) == (B4, 3) and kept(target) == [B3, B2]
    with pytest.raises(PublishFault, match=f"build {B1} is not kept"):
        roll_back(target, B1)
    put(warehouse, target, row_of(B1, 9), 2)
    assert published(target)[0] == B1 and kept(target) == [B4, B3]


def test_without_a_kept_build_there_is_no_way_back(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    with pytest.raises(PublishFault, match="no earlier build is kept next to it"):
        roll_back(target)
    put(warehouse, target)
    with pytest.raises(PublishFault, match="keep_published says how many"):
        roll_back(target)
    assert published(target)[0] == B1


def test_a_published_file_that_is_lost_can_be_put_back(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    publish_four(warehouse, target, 2)
    target.unlink()
    assert roll_back(target)[1] is None
    assert published(target) == (B3, 2) and kept(target) == [B2]


def test_a_disk_without_links_gets_copies(warehouse, tmp_path, monkeypatch):
    def fail(*_args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(database_file.os, "link", fail)
    target = tmp_path / "published.duckdb"
    publish_four(warehouse, target, 2)
    assert published(target) == (B4, 3) and kept(target) == [B3, B2]
    roll_back(target)
    assert published(target) == (B3, 2) and kept(target) == [B4, B2]
    beside = [f"published.{build_id}.duckdb" for build_id in (B4, B2)]
    assert files_of(target) == sorted([target.name, *beside])


def test_a_roll_back_is_refused_while_somebody_writes(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    publish_four(warehouse, target, 2)
    before = target.read_bytes()
    (tmp_path / "published.duckdb.wal").touch()
    with pytest.raises(PublishFault, match=r"remove the \.wal file"):
        roll_back(target)
    assert target.read_bytes() == before and kept(target) == [B3, B2]


def test_a_file_that_is_not_published_is_not_replaced(warehouse, tmp_path):
    target = tmp_path / "published.duckdb"
    for write_something in (
        lambda: target.write_text("my notes"),
        lambda: duckdb.connect(str(target)).execute("create table mine as select 1").close(),
    ):
        write_something()
        before = target.read_bytes()
        with pytest.raises(PublishFault, match="is not a published database"):
            put(warehouse, target)
        assert target.read_bytes() == before
        target.unlink()
    # What mktemp makes.
    target.touch()
    put(warehouse, target)
    assert published(target)[0] == B1


def test_commands_list_builds_and_roll_back(warehouse, tmp_path, monkeypatch):
    target = tmp_path / "published.duckdb"
    monkeypatch.setenv("LOYALTY_PUBLISHED", target.name)
    command = partial(CliRunner().invoke, cli.main)
    here = ["--relative-to", str(tmp_path)]
    nothing = command(["builds", *here])
    assert nothing.exit_code == 1 and "nothing has been published here yet" in nothing.output
    publish_four(warehouse, target, 2)
    listed = command(["builds", *here]).output.splitlines()
    assert [line.split()[0] for line in listed] == [B4, B3, B2]
    assert listed[0].endswith(f"2025-01-31 12:03:00 UTC  {target}")
    back = command(["rollback", *here])
    assert back.exit_code == 0 and f"make rollback BUILD={B4}" in back.output
    assert published(target) == (B3, 2)
    strange = command(["rollback", "--build", "x'y", *here])
    assert strange.exit_code == 1 and "build x'y is not kept" in strange.output
    assert B4 in strange.output


def test_builds_of_a_default_target_that_keeps_none_are_not_listed(tmp_path, monkeypatch):
    """Nor restored: the file of DuckDB beside it belongs to another target."""
    (tmp_path / "published.duckdb").touch()
    monkeypatch.setenv("LOYALTY_PUBLISHED", "published.duckdb")
    monkeypatch.setattr(cli, "choose_target", lambda *_: Mock(keeps_files=False))
    for command in ("builds", "rollback"):
        done = CliRunner().invoke(cli.main, [command, "--relative-to", str(tmp_path)])
        assert done.exit_code == 1
        assert "only on DuckDB, not on the default target of profiles.yml." in done.output


# --- whole commands --------------------------------------------------------------------------


def test_only_a_whole_build_publishes(dbt, whole_build, clean_build):
    folder = {"raw_data": str(clean_build)}
    assert "PUBLISHED: " in whole_build.output and "NOT PUBLISHED" not in whole_build.output
    published = clean_build.parent / "dashboards.duckdb"
    before = published.read_bytes()
    [(build_id, sources, orders, customers)] = read(
        published,
        "select build_id, sources, rows_raw_orders, rows_customers from marts.published_build",
    )
    assert (sources, orders, customers) == ("files", 39, 39)
    assert build_id in whole_build.output
    assert read(published, "select distinct run_id from quality.gx_validation_results") == [
        (build_id,)
    ]

    for command, reason in (
        (("run",), "dbt run does not run tests"),
        (("build", "--exclude", "nps_key_is_unique"), "the selection leaves out"),
        (("build", "--select", "nps"), "the selection leaves out"),
    ):
        run = dbt(*command, vars=folder)
        assert run.exit_code == 0, run.output
        assert "NOT PUBLISHED: " in run.output and reason in run.output, run.output
        assert "Run make build (or dbt build) with the same settings." in run.output
    assert published.read_bytes() == before


def test_without_rows_nothing_is_published_under_empty(dbt, tmp_path):
    folder = write(tmp_path / "clean", clean())
    run = dbt("build", "--empty", vars={**folder, "allow_empty_inputs": True})
    assert run.exit_code == 0, run.output
    assert "NOT PUBLISHED: --empty" in run.output
    assert not Path(run.published).exists()


def test_a_failing_test_of_a_mart_leaves_the_published_file(dbt, clean_build):
    before = (clean_build.parent / "dashboards.duckdb").read_bytes()
    # A test that finds something.
    file = "tests/surveys/every_answer_is_counted_once.sql"
    text = (PROJECT / file).read_text("utf-8")
    finds = {file: [(text.strip(), "select * from {{ ref('nps') }}")]}
    run = dbt("build", vars={"raw_data": str(clean_build)}, changes=finds)
    assert run.exit_code == 1
    assert "NOT PUBLISHED: the build failed. Fix what failed, then run make build" in run.output
    # Here it finds nothing.
    retried = dbt("retry")
    assert retried.exit_code == 0, retried.output
    assert "NOT PUBLISHED: dbt retry runs only the part of a build" in retried.output
    assert "Run make build (or dbt build) with the same settings." in retried.output
    assert Path(run.published).read_bytes() == before
