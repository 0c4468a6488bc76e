"""PostgreSQL: the gate and the publish run in dbt's process, on dbt's connection.

A Python model reads and writes in the transaction in which dbt creates its table.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
from psycopg2.extras import execute_values

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import PUBLISHED_SCHEMAS, Engine, Judge, Publication, Record, Target
from customer_loyalty.engines.servers import (
    MODEL_VIEW,
    check_loaded_tables,
    check_published_tables,
    check_raw_schema,
    check_working_schema,
    landed_columns,
    run_models_with,
)
from customer_loyalty.errors import InUse, PublishFault, Refusal
from customer_loyalty.inputs.files import land
from customer_loyalty.lock import wait_for

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

LOADED = "Made by customer-loyalty load, which replaces its rows."
"""The comment by which load recognizes its tables. It does not change other tables."""

LOAD = "customer_loyalty load"
"""The server's lock, exclusive for a load and shared by builds, which so read one load only."""


class PostgresEngine(Engine):
    """A connection of psycopg2."""

    Error = psycopg2.Error

    def __init__(self, con: Any, working: str) -> None:
        """working: the profile's schema, which is the prefix of all working schemas."""
        self.con = con
        self.working = working

    def schema(self, room: str) -> str:
        return f"{self.working}_{room}"

    def records(self, sql: str) -> list[Record]:
        with self.con.cursor() as cursor:
            cursor.execute(sql)
            columns = [column.name for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        with self.con.cursor() as cursor:
            cursor.execute(f"drop table if exists pg_temp.{name} cascade")
            cursor.execute(f"create temporary table {name} ({typed})")
            execute_values(cursor, f"insert into {name} values %s", [*rows])

    def model_from(self, name: str) -> None:
        with self.con.cursor() as cursor:
            cursor.execute(f"create or replace temporary view {MODEL_VIEW} as select * from {name}")

    def tables(self, schema: str) -> list[str]:
        found = self.rows(
            "select table_name from information_schema.tables"
            f" where table_schema = '{schema}' order by 1"
        )
        return [name for (name,) in found]

    def columns(self, schema: str, table: str) -> list[str]:
        # Unlike information_schema: of materialized views too, and of tables without the right to
        # read them, for which PostgreSQL's own error is the better one.
        found = self.rows(
            "select attname from pg_attribute"
            " inner join pg_class on attrelid = pg_class.oid"
            " inner join pg_namespace on relnamespace = pg_namespace.oid"
            f" where nspname = '{schema}' and relname = '{table}'"
            " and relkind in ('r', 'v', 'm', 'f', 'p') and attnum > 0 and not attisdropped"
            " order by attnum"
        )
        return [name for (name,) in found]

    def land(self, raw_data: str | None, name: str) -> None:
        self.create_table("landed", landed_columns(name))
        if raw_data:
            with duckdb.connect() as con:
                copy_rows(self.con, land(con, raw_data, name), "landed")
        self.model_from("landed")

    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        # Importing Great Expectations takes seconds, so it is done only where tables are checked.
        from customer_loyalty.engines.dialect import POSTGRES, open_connection
        from customer_loyalty.gate.judge import sql_judges

        return sql_judges(open_connection(POSTGRES, self.con))

    def interrupt(self) -> None:
        self.con.cancel()

    def last_build(self, place: str) -> Record | None:
        if self.value("select to_regclass('marts.published_build') is null"):
            return None
        return next(iter(self.records("select * from marts.published_build")), None)

    def publish(self, publication: Publication) -> None:
        """Replace all rows in the tables of schemas marts and quality, in dbt's transaction.

        Readers never see a part of a build, and wait only if columns change. A repeatable-read
        transaction sees the same build in all statements: tables are neither replaced, because it
        would see the new ones, nor truncated.
        """
        try:
            with self.con.cursor() as cursor:
                # Another build that publishes to this database waits.
                cursor.execute("select pg_advisory_xact_lock(hashtext('customer_loyalty publish'))")
                for schema in PUBLISHED_SCHEMAS:
                    cursor.execute(f"create schema if not exists {schema}")
                sources = publication.sources
                there = "select to_regclass('{}') is not null"
                check_published_tables([one for one in sources if self.value(there.format(one))])
                for target, source in sources.items():
                    self._replace_rows(cursor, target, source)
        except psycopg2.Error as error:
            raise PublishFault(
                f"Nothing was published, because PostgreSQL refused: {str(error).strip()}"
            ) from None

    def _replace_rows(self, cursor: Any, target: str, source: str) -> None:
        """Give a published table the columns and the rows of another.

        Only columns that differ are changed, so that grants and views on other columns are kept.
        """
        cursor.execute(f"create table if not exists {target} as select * from {source} limit 0")
        wanted, standing = self._columns(cursor, source), self._columns(cursor, target)
        changes = [
            f"drop column {name}" for name, type_ in standing.items() if wanted.get(name) != type_
        ] + [
            f"add column {name} {type_}"
            for name, type_ in wanted.items()
            if standing.get(name) != type_
        ]
        if changes:
            cursor.execute(f"alter table {target} {', '.join(changes)}")
        columns = ", ".join(wanted)
        cursor.execute(f"delete from {target}")
        cursor.execute(f"insert into {target} ({columns}) select {columns} from {source}")

    def _columns(self, cursor: Any, table: str) -> dict[str, str]:
        cursor.execute(
            "select quote_ident(attname), format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
            (table,),
        )
        return dict(cursor.fetchall())


def copy_rows(con: Any, rows: Any, table: str) -> int:
    """Copy a relation of DuckDB, with text and numbers only, into a table of PostgreSQL.

    table: its name, with a list of columns if it has more. Returns the number of rows.
    """
    copied = 0
    with con.cursor() as cursor:
        while chunk := rows.fetchmany(50_000):
            lines = io.StringIO()
            # NULL is written as an empty value without quotes; no other value is empty.
            csv.writer(lines).writerows(chunk)
            lines.seek(0)
            cursor.copy_expert(f"copy {table} from stdin (format csv)", lines)
            copied += len(chunk)
    return copied


class PostgresTarget(Target):
    """A PostgreSQL database with both the working schemas and the published ones."""

    def __init__(self, name: str | None, credentials: Any) -> None:
        super().__init__(name)
        check_working_schema(credentials.schema)
        # With a search_path, libpq would ignore the options in which building sets the date style.
        if credentials.search_path:
            raise Refusal(
                "profiles.yml sets search_path, which makes the build use the server's date"
                " style. Remove it: every table is named with its schema."
            )
        self.credentials = credentials

    @property
    def place(self) -> str:
        return f"schema marts of {self.credentials.database}"

    @property
    def workplace(self) -> str:
        return f"The schemas {self.credentials.schema}_… of {self.credentials.database}"

    @contextmanager
    def building(self, wait: float) -> Iterator[None]:
        """Hold locks of the server, which end with the connection in any case."""
        key = f"customer_loyalty build {self.credentials.schema}"
        database = self.credentials.database
        with self._connected() as engine:
            engine.con.autocommit = True
            _lock(
                engine,
                f"pg_try_advisory_lock(hashtext('{key}'))",
                wait,
                f"Another build is using the schemas {self.credentials.schema}_… of {database}. Try"
                " again when it has ended, or wait for it with make build WAIT=60.",
            )
            _lock(
                engine,
                f"pg_try_advisory_lock_shared(hashtext('{LOAD}'))",
                wait,
                f"Tables of {database} are being loaded. Try again when that has ended, or wait for"
                " it with make build WAIT=60.",
            )
            run_python_models_here()
            # The gate casts dates to text: as ISO 8601, whatever the server's style.
            given = os.environ.get("PGOPTIONS", "")
            os.environ["PGOPTIONS"] = f"{given} -c DateStyle=ISO -c TimeZone=UTC".strip()
            yield

    def load(
        self, schema: str, land: Callable[[], Mapping[str, DuckDBPyRelation]], wait: float
    ) -> dict[str, int]:
        """Load in one transaction. It deletes rows instead of truncating, so readers never wait."""
        database, working = self.credentials.database, self.credentials.schema
        check_raw_schema(schema, f"{working}_")
        with self._connected() as engine:
            landed = land()
            try:
                engine.con.set_client_encoding("UTF8")
                _lock(
                    engine,
                    f"pg_try_advisory_xact_lock(hashtext('{LOAD}'))",
                    wait,
                    f"A build or another load is running in {database}. Try again when it has"
                    " ended, or wait for it with make load WAIT=60.",
                )
                _make_tables(engine, schema)
                rows = {name: _replace(engine, schema, name, landed[name]) for name in INPUTS}
                engine.con.commit()
            except psycopg2.Error as error:
                # Not the whole error, whose context would quote a row.
                message = error.diag.message_primary or str(error).strip()
                raise Refusal(
                    f"Nothing was loaded, because PostgreSQL refused: {message}"
                ) from None
        return rows

    def published(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def working(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def query_command(self, sql: str) -> str:
        return f'psql {self.credentials.database} -c "{sql}"'

    @contextmanager
    def _connected(self) -> Iterator[PostgresEngine]:
        to = self.credentials
        try:
            con = psycopg2.connect(
                host=to.host,
                port=to.port,
                user=to.user,
                password=to.password,
                dbname=to.database,
                connect_timeout=to.connect_timeout,
                sslmode=to.sslmode,
                sslcert=to.sslcert,
                sslkey=to.sslkey,
                sslrootcert=to.sslrootcert,
            )
        except psycopg2.Error as error:
            raise Refusal(f"PostgreSQL can't be reached: {str(error).strip()}") from None
        try:
            engine = PostgresEngine(con, to.schema)
            if to.role:
                # As dbt does.
                with con.cursor() as cursor:
                    cursor.execute(f"set role {to.role}")
                con.commit()
            yield engine
        finally:
            con.close()


def _lock(engine: PostgresEngine, attempt: str, wait: float, otherwise: str) -> None:
    """Take a lock of the server. attempt: an SQL call that returns whether it got the lock.

    wait: seconds to wait at most. Raises InUse with the message ``otherwise`` after that.
    """

    def take() -> None:
        if not engine.value(f"select {attempt}"):
            raise InUse(otherwise)

    wait_for(take, wait)


def _make_tables(engine: PostgresEngine, schema: str) -> None:
    """Create the missing tables of a load. Raises Refusal if one was not created by load."""
    names = ", ".join(f"'{name}'" for name in INPUTS)
    found = engine.records(
        f"""
        select
            relname as name,
            relkind = 'r' and obj_description(pg_class.oid, 'pg_class') = '{LOADED}' as is_ours,
            (
                select json_object_agg(attname, format_type(atttypid, null)) from pg_attribute
                where attrelid = pg_class.oid and attnum > 0 and not attisdropped
            ) as columns
        from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
        where nspname = '{schema}' and relname in ({names})
        """
    )
    check_loaded_tables(schema, {one["name"]: one["is_ours"] for one in found})
    there = {one["name"]: one["columns"] for one in found}
    changed = [
        f"{schema}.{name}"
        for name, columns in there.items()
        if not landed_columns(name).items() <= columns.items()
    ]
    if changed:
        raise Refusal(
            f"{', '.join(changed)}: created by load, but the columns were changed. Drop it and load"
            " again."
        )
    with engine.con.cursor() as cursor:
        # "if not exists" would fail without the right to create schemas, even if it exists.
        if engine.value(f"select to_regnamespace('\"{schema}\"') is null"):
            cursor.execute(f'create schema "{schema}"')
        for name in INPUTS.keys() - there.keys():
            columns = landed_columns(name).items()
            typed = ", ".join(f"{column} {type_}" for column, type_ in columns)
            cursor.execute(f'create table "{schema}".{name} ({typed})')
            cursor.execute(f"comment on table \"{schema}\".{name} is '{LOADED}'")


def _replace(engine: PostgresEngine, schema: str, name: str, rows: DuckDBPyRelation) -> int:
    """Replace the rows of a table of a load. Returns their number."""
    with engine.con.cursor() as cursor:
        cursor.execute(f'delete from "{schema}".{name}')
    return copy_rows(engine.con, rows, f'"{schema}".{name} ({", ".join(landed_columns(name))})')


def run_python_models_here() -> None:
    """Let dbt-postgres run Python models in this process, on the connection of their thread."""
    from dbt.adapters.postgres import PostgresAdapter

    run_models_with(PostgresAdapter, PostgresEngine)
