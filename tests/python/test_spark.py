"""What readers of Spark see while builds publish or break off, and what load leaves alone."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Event

import pytest

from customer_loyalty.engine import Publication
from customer_loyalty.errors import PublishFault
from customer_loyalty.publish.publication import (
    MARTS,
    PUBLISHED_ROW,
    QUALITY,
    published_tables,
)
from faults import clean
from servers import Catalog
from warehouse import write_csv

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("spark")]


def build_id(number: int) -> str:
    return f"{number:08}-0000-4000-8000-{number:012}"


def kept(*numbers: int) -> set[str]:
    """Return the schemas of such builds."""
    return {f"published_{build_id(number).replace('-', '_')}" for number in numbers}


@pytest.fixture
def publish(catalog: Catalog) -> Callable[[int], None]:
    """Return a function that publishes marts which all say that they are of such a number."""
    with catalog.opened() as engine:
        for room, names in {"marts": MARTS, "quality": QUALITY}.items():
            engine.run(f"create schema working_{room}")
            for name in names:
                engine.run(f"create table working_{room}.{name} using parquet as select 0 as build")

    def run(number: int) -> None:
        row = {
            "build_id": ("varchar", build_id(number)),
            "published_at": ("timestamp", datetime(2026, 1, 1, number)),
        }
        with catalog.opened() as engine:
            for name in ("nps", "customers"):
                engine.run(f"insert overwrite working_marts.{name} select {number} from range(9)")
            types = {name: type_ for name, (type_, _) in row.items()}
            engine.create_table(PUBLISHED_ROW, types, [[value for _, value in row.values()]])
            tables = published_tables(engine)
            engine.publish(Publication(row, tables, "schema marts", keep=1))

    return run


def published(catalog: Catalog) -> tuple[str, int, int]:
    """Return which build the marts are of, as three of them say."""
    [row] = catalog.rows(
        "select (select build_id from marts.published_build) as build,"
        " (select max(build) from marts.nps) as nps,"
        " (select max(build) from marts.customers) as customers"
    )
    return tuple(row.values())


def sets(catalog: Catalog) -> set[str]:
    return {row["namespace"] for row in catalog.rows("show schemas like 'published_*'")}


def test_readers_meet_no_error_and_each_mart_whole(catalog, publish):
    publish(1)
    ended = Event()

    def read() -> set[int]:
        seen = set()
        with catalog.opened() as engine:
            while not ended.is_set():
                [row] = engine.rows("select count(*), min(build), max(build) from marts.customers")
                assert row[0] == 9 and row[1] == row[2], row
                seen.add(row[1])
        return seen

    with ThreadPoolExecutor() as readers, catalog.opened() as slow:
        try:
            reading = readers.submit(read)
            begun = slow.run("select build from marts.customers")
            publish(2)
            # What has begun ends on the set that it began with, which is kept for it.
            assert begun.fetchall() == [(1,)] * 9
            publish(3)
        finally:
            ended.set()
        assert reading.result() >= {1, 3}
    assert published(catalog) == (build_id(3), 3, 3)
    assert sets(catalog) == kept(2, 3)


def test_an_interrupted_publish(catalog, publish):
    publish(1)
    with catalog.opened() as engine:
        engine.run("drop table working_quality.rules")
    with pytest.raises(PublishFault, match=r"Nothing was published, because Spark.*rules"):
        publish(2)
    assert published(catalog) == (build_id(1), 1, 1)
    assert sets(catalog) == kept(1)
    # One that was killed before its set was whole: the next one clears it away, and nothing else.
    with catalog.opened() as engine:
        engine.run(f"create schema {kept(2).pop()}")
        engine.run("create schema published_reports")
        engine.run("create table working_quality.rules using parquet as select 0 as build")
    publish(3)
    assert published(catalog) == (build_id(3), 3, 3)
    assert sets(catalog) == kept(1, 3) | {"published_reports"}


def test_tables_not_created_by_publishing_are_kept(catalog, publish):
    with catalog.opened() as engine:
        engine.run("create schema marts")
        engine.run("create table marts.customers using parquet as select 1 as mine")
    with pytest.raises(
        PublishFault, match=r"tables were not created by publishing: marts.customers. Move"
    ):
        publish(1)
    assert catalog.rows("select * from marts.customers") == [{"mine": 1}]
    assert sets(catalog) == set()


def test_load_touches_its_own_tables_only(catalog, tmp_path):
    write_csv(tmp_path / "raw", clean(rows=5))
    folder = ("--raw-data", str(tmp_path / "raw"))
    for _ in range(2):
        done = catalog.load(tmp_path, *folder)
        assert done.exit_code == 0 and "shop.raw_orders                    5 rows" in done.output
    [first, *_] = catalog.rows("select * from shop.raw_orders order by order_id")
    assert (first["order_id"], first["_source_file"], first["_source_row"]) == (
        "o1",
        "raw_orders.csv",
        2,
    )

    with catalog.opened() as engine:
        engine.run("create schema crm")
        engine.run("create table crm.raw_orders using parquet as select 1 as mine")
    for schema, message in (
        ("crm", "crm.raw_orders: already exists and was not created by load"),
        ("Published_x", "raw_schema: published_x is a schema of the marts"),
    ):
        done = catalog.load(tmp_path, *folder, "--vars", f'{{"raw_schema": "{schema}"}}')
        assert done.exit_code == 1 and message in done.output, done.output
    assert catalog.rows("select * from crm.raw_orders") == [{"mine": 1}]
    assert len(catalog.rows("show tables in crm")) == 1


def test_two_at_once_are_kept_apart(spark, tmp_path):
    write_csv(tmp_path / "raw", clean(rows=5))
    load = ("load", "--raw-data", str(tmp_path / "raw"))
    lock: Path = tmp_path / "project" / "warehouse" / ".spark.lock"
    # Makes the copy of the project.
    assert spark.load(tmp_path).exit_code == 1
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for command in (load, ("build",)):
            done = spark.run(tmp_path, "customer-loyalty", *command)
            assert done.exit_code == 75, done.output
            assert "A build or a load of this checkout is running on Spark" in done.output


def test_a_session_in_which_numbers_would_differ_is_refused(spark, tmp_path):
    # Makes the copy of the project.
    assert spark.load(tmp_path).exit_code == 1
    profiles = tmp_path / "project" / "profiles.yml"
    right = profiles.read_text()
    for line, message in (
        ('spark.sql.ansi.enabled": "true"', "spark.sql.ansi.enabled of the session is false and"),
        ('spark.sql.session.timeZone": UTC', "spark.sql.session.timeZone of the session is Asia"),
    ):
        wrong = line.replace("true", "false").replace(": UTC", ": Asia/Tokyo")
        profiles.write_text(right.replace(line, wrong))
        done = spark.build(tmp_path)
        assert done.exit_code == 1 and message in done.output, done.output
