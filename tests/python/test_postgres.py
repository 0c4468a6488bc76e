"""What readers of PostgreSQL see while builds publish, break off, or are killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from servers import Database, new_database, rows

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres")]

# What a published set is made of here: each says which build it is of.
WHICH = "(select build_id from marts.published_build)"
RESPONSES = "(select min(responses) || '-' || max(responses) from marts.nps)"
CUSTOMERS = "(select min(orders) || '-' || max(orders) from marts.customers)"
PUBLISHING = "customer_loyalty publish"


@pytest.fixture(scope="module")
def demo(postgres: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database in which the demo was built once."""
    with new_database(postgres, "demo", "template0 encoding 'UTF8'") as database:
        built = database.build(tmp_path_factory.mktemp("demo"))
        assert built.exit_code == 0, built.output
        yield database


@pytest.fixture
def built(postgres: Database, demo: Database) -> Iterator[Database]:
    """Return a copy of it."""
    with new_database(postgres, "test", demo.env["PGDATABASE"]) as copy:
        yield copy


@pytest.fixture
def publish(built: Database) -> Callable[..., None]:
    """Return a function that publishes what is worked on, as a build of such a number."""
    from customer_loyalty.engines.postgres import PostgresEngine

    def run(number: int, commits: bool = True) -> None:
        row = {"build_id": ("varchar", f"{number}-{number}")}
        with closing(built.connect()) as con:
            con.autocommit = False
            engine = PostgresEngine(con, "working")
            with con.cursor() as cursor:
                cursor.execute(f"update working_marts.nps set responses = {number}")
                cursor.execute(f"update working_marts.customers set orders = {number}")
            types = {name: type_ for name, (type_, _) in row.items()}
            engine.create_table(PUBLISHED_ROW, types, [[value for _, value in row.values()]])
            engine.publish(Publication(row, published_tables(engine), "schema marts", 0))
            if commits:
                con.commit()

    return run


def test_readers_meet_no_error_and_no_mixture(built, publish):
    """Of one statement, and of several within one transaction that is repeatable read."""
    publish(0)
    ended = Event()

    def read(*statements: str, transaction: str) -> set[str]:
        seen = set()
        with closing(built.connect()) as con, con.cursor() as cursor:
            while not ended.is_set():
                found = []
                cursor.execute(transaction)
                for statement in statements:
                    cursor.execute(statement)
                    found += cursor.fetchone()
                    time.sleep(0.002)
                cursor.execute("commit")
                assert len(set(found)) == 1, found
                seen |= {*found}
        return seen

    at_once = f"select {WHICH}, {RESPONSES}, {CUSTOMERS}"
    one_by_one = [f"select {what}" for what in (CUSTOMERS, RESPONSES, WHICH)]
    with ThreadPoolExecutor() as readers:
        try:
            reading = [
                readers.submit(read, at_once, transaction="begin"),
                readers.submit(
                    read, *one_by_one, transaction="begin isolation level repeatable read"
                ),
            ]
            for number in range(1, 21):
                # Every second one breaks off, after it has written everything.
                publish(number, commits=number % 2 == 0)
        finally:
            ended.set()
        for seen in [reader.result() for reader in reading]:
            assert len(seen) > 2
            assert seen <= {f"{number}-{number}" for number in range(0, 21, 2)}


def test_a_reader_that_has_begun_keeps_nobody_from_publishing(built, publish):
    with closing(built.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(f"begin isolation level repeatable read; select {RESPONSES}")
        [before] = cursor.fetchone()
        publish(7)
        cursor.execute(f"select {RESPONSES}")
        assert cursor.fetchone() == (before,) != ("7-7",)
    assert rows(built, f"select {RESPONSES} as found") == [{"found": "7-7"}]


def test_grants_and_views_stay(built, publish):
    rows(built, "grant select on all tables in schema marts, quality to public")
    rows(built, "create view best as select max(responses) as most from marts.nps")
    publish(7)
    assert rows(built, "select most from best") == [{"most": 7}]
    granted = rows(
        built,
        "select count(*) as tables from pg_class where relkind = 'r' and relacl::text like '%=r/%'"
        " and relnamespace in ('marts'::regnamespace, 'quality'::regnamespace)",
    )
    assert granted == [{"tables": len(MARTS) + len(QUALITY) + 1}]


def test_columns_of_another_version_are_replaced(built, publish):
    rows(built, "create view best as select max(responses) as most from marts.nps")
    for change in (
        "drop column promoters",
        "add column of_before integer not null default 1",
        "alter column nps type text",
    ):
        rows(built, f"alter table marts.nps {change}")
    publish(7)
    assert rows(built, "select most from best") == [{"most": 7}]
    columns = (
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute"
        " where attrelid = '{}.nps'::regclass and attnum > 0 and not attisdropped order by 1"
    )
    assert rows(built, columns.format("marts")) == rows(built, columns.format("working_marts"))
    names = ", ".join(row["attname"] for row in rows(built, columns.format("marts")))
    differ = f"(select {names} from {{}}.nps) except all (select {names} from {{}}.nps)"
    assert rows(built, differ.format("marts", "working_marts")) == []
    assert rows(built, differ.format("working_marts", "marts")) == []


def test_a_column_that_a_view_reads_is_not_changed(built, publish):
    publish(1)
    rows(built, "alter table marts.nps alter column nps type text")
    rows(built, "create view scores as select nps from marts.nps")
    with pytest.raises(PublishFault, match=r"Nothing was published.*\n.*view scores depends on"):
        publish(2)
    assert rows(built, f"select {WHICH} as build, {CUSTOMERS} as found") == [
        {"build": "1-1", "found": "1-1"}
    ]


def test_tables_not_created_by_publishing_are_kept(built, publish):
    rows(built, "drop table marts.published_build")
    before = rows(built, "select * from marts.nps")
    with pytest.raises(
        PublishFault,
        match=r"these tables were not created by publishing: .*marts.nps, .*quality.rules",
    ):
        publish(2)
    assert rows(built, "select * from marts.nps") == before


def waits_to_publish(database: Database) -> bool:
    waiting = "select count(*) as waiting from pg_locks where locktype = 'advisory' and not granted"
    return bool(rows(database, waiting)[0]["waiting"])


def test_a_build_that_is_killed_as_it_publishes(built, tmp_path):
    """And a second one meanwhile, which is refused for now."""
    before = rows(built, "select * from marts.published_build")
    chosen = {"activity_window_days": 30}
    with closing(built.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"select pg_advisory_lock(hashtext('{PUBLISHING}'))")
        with built.started_build(tmp_path, vars=chosen) as build:
            until = time.monotonic() + 600
            while not waits_to_publish(built):
                assert build.poll() is None, build.output()
                assert time.monotonic() < until
                time.sleep(0.2)
            second = built.build(tmp_path)
            assert second.exit_code == 75, second.output
            assert "Another build is using the schemas working_…" in second.output
            build.kill()
        # As long as the server has not noticed, it would go on: to a commit that never comes.
        cursor.execute(f"select pg_advisory_unlock(hashtext('{PUBLISHING}'))")
    assert rows(built, "select * from marts.published_build") == before
    third = built.build(tmp_path, vars=chosen)
    assert third.exit_code == 0, third.output
    assert rows(built, "select * from marts.published_build") != before


def test_a_connection_that_is_lost(built, tmp_path):
    before = rows(built, "select * from marts.published_build")
    with closing(built.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"select pg_advisory_lock(hashtext('{PUBLISHING}'))")
        with built.started_build(tmp_path) as build:
            while not waits_to_publish(built):
                assert build.poll() is None, build.output()
                time.sleep(0.2)
            rows(built, "select pg_terminate_backend(pid) from pg_locks where not granted")
            output, _ = build.communicate()
    assert build.returncode == 1
    assert "NOT PUBLISHED" in output
    assert "Nothing was published, because PostgreSQL refused: " in output
    assert rows(built, "select * from marts.published_build") == before
