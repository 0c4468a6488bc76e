"""PostgreSQL: dbt's Python models run in the process of the build, on dbt's own connection.

dbt-postgres has no place to run a Python model. ``run_python_models_here`` gives it one: this
process. Such a model then reads and writes in the transaction in which dbt makes its table.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
from psycopg2.extras import execute_values
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.files import land
from customer_loyalty.publish import MARTS, QUALITY
from customer_loyalty.published_file import PublishFault
from customer_loyalty.python_models import COMMAND, run_model
from customer_loyalty.targets import Target

if TYPE_CHECKING:
    from customer_loyalty.judge import Judge
    from customer_loyalty.publish import Publication

MADE = "made_by_python"
"""The view of what a Python model returned, of which its materialization makes the table."""

_connection: ContextVar[Any] = ContextVar("open PostgreSQL connection")
registry.register("postgresql.open", __name__, "OpenPostgresDialect")


class PostgresEngine(Engine):
    """A connection of psycopg2."""

    Error = psycopg2.Error

    def __init__(self, con: Any, working: str) -> None:
        """working: the profile's schema, with which the names of the rooms' schemas begin."""
        self.con = con
        self.working = working

    def schema(self, room: str) -> str:
        return f"{self.working}_{room}"

    def records(self, sql: str) -> list[dict[str, Any]]:
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

    def made_of(self, name: str) -> None:
        with self.con.cursor() as cursor:
            cursor.execute(f"create or replace temporary view {MADE} as select * from {name}")

    def land(self, raw_data: str, name: str) -> None:
        columns = dict.fromkeys(INPUTS[name], "varchar")
        self.create_table("landed", columns | {"_source_file": "varchar", "_source_row": "bigint"})
        with duckdb.connect() as con:
            copy_rows(self.con, land(con, raw_data, name), "landed")
        self.made_of("landed")

    def has_table(self, room: str, name: str) -> bool:
        return self.value(f"select to_regclass('{self.table(room, name)}') is not null")

    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        from customer_loyalty.judge import sql_judges

        return sql_judges(_open(self.con))

    def interrupt(self) -> None:
        self.con.cancel()

    def last_build(self, place: str) -> dict[str, Any] | None:
        if self.value("select to_regclass('marts.published_build') is null"):
            return None
        return next(iter(self.records("select * from marts.published_build")), None)

    def publish(self, publication: Publication) -> None:
        """Fill the standing tables of schemas marts and quality anew, in dbt's transaction.

        Readers never wait, and never see a part: a transaction of theirs that is repeatable read
        sees one build in all of its statements. That is why rows are replaced, not tables, whose
        names a reader's transaction would find changed, and why none are truncated.
        """
        row = publication.row
        types = {name: type_ for name, (type_, _) in row.items()}
        self.create_table("published_row", types, [tuple(value for _, value in row.values())])
        sources = {f"marts.{name}": self.table("marts", name) for name in MARTS}
        sources |= {f"quality.{name}": self.table("quality", name) for name in QUALITY}
        sources["marts.published_build"] = "pg_temp.published_row"
        try:
            with self.con.cursor() as cursor:
                # Another build that publishes to this database waits.
                cursor.execute("select pg_advisory_xact_lock(hashtext('customer_loyalty publish'))")
                for schema in ("marts", "quality"):
                    cursor.execute(f"create schema if not exists {schema}")
                for target, source in sources.items():
                    self._replace_rows(cursor, target, source)
        except psycopg2.Error as error:
            raise PublishFault(
                f"Nothing was published, because PostgreSQL refused: {str(error).strip()}"
            ) from None

    def _replace_rows(self, cursor: Any, target: str, source: str) -> None:
        """Give a published table the columns and the rows of another.

        Columns are changed one by one, so that grants stay, and views that don't read what changed.
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


def copy_rows(con: Any, rows: Any, table: str) -> None:
    """Copy a relation of DuckDB, all of text and numbers, into a table of PostgreSQL by COPY."""
    with con.cursor() as cursor:
        while chunk := rows.fetchmany(50_000):
            lines = io.StringIO()
            # An empty value is written without quotes, and so is NULL: nothing in them is empty.
            csv.writer(lines).writerows(chunk)
            lines.seek(0)
            cursor.copy_expert(f"copy {table} from stdin (format csv)", lines)


class PostgresTarget(Target):
    """A database of PostgreSQL, for what is worked on and for what is published."""

    def __init__(self, name: str | None, credentials: Any) -> None:
        super().__init__(name)
        self.credentials = credentials

    @property
    def place(self) -> str:
        return f"schema marts of {self.credentials.database}"

    @property
    def workplace(self) -> str:
        return f"The schemas {self.credentials.schema}_… of {self.credentials.database}"

    @contextmanager
    def building(self, wait: float) -> Iterator[None]:
        """A lock of the server keeps others away; it ends with the connection, in any way."""
        key = f"customer_loyalty build {self.credentials.schema}"
        until = time.monotonic() + wait
        with self._connected() as engine:
            engine.con.autocommit = True
            while not engine.value(f"select pg_try_advisory_lock(hashtext('{key}'))"):
                if time.monotonic() >= until:
                    raise InUse(
                        f"Another build works in the schemas {self.credentials.schema}_… of"
                        f" {self.credentials.database}. Try again when it has ended, or wait for it"
                        " with make build WAIT=60."
                    )
                time.sleep(0.2)
            run_python_models_here()
            yield

    def published(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def working(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def how_to_ask(self, sql: str) -> str:
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
            yield PostgresEngine(con, to.schema)
        finally:
            con.close()


def run_python_models_here() -> None:
    """Let dbt-postgres run Python models in this process, on the connection of their thread."""
    from dbt.adapters.contracts.connection import AdapterResponse
    from dbt.adapters.postgres import PostgresAdapter

    def submit_python_job(adapter: Any, parsed_model: dict, compiled_code: str) -> Any:
        con = adapter.connections.get_thread_connection().handle
        run_model(compiled_code, PostgresEngine(con, adapter.config.credentials.schema))
        return AdapterResponse(_message="OK")

    PostgresAdapter.submit_python_job = submit_python_job
    os.environ[COMMAND] = "1"


# --- Great Expectations on that connection ----------------------------------------------------


@contextmanager
def _open(connection: Any) -> Iterator[str]:
    """While it lasts, engines made for the URL that it yields run on ``connection``."""
    token = _connection.set(connection)
    try:
        yield "postgresql+open://"
    finally:
        _connection.reset(token)


class _Lent:
    """A DBAPI connection that only lends: commit, rollback and close are the owner's."""

    def __init__(self) -> None:
        self._connection = _connection.get()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class OpenPostgresDialect(PGDialect_psycopg2):
    """SQLAlchemy's own for psycopg2, on a connection that is open already."""

    supports_statement_cache = True

    def connect(self, *_args: Any, **_kwargs: Any) -> _Lent:
        return _Lent()

    def on_connect(self) -> None:
        """Leave the connection as dbt wants it."""
