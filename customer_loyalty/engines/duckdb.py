"""DuckDB: the working database and the published database are files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.engine import Engine, Judge, Publication, Record, Target
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.inputs import files
from customer_loyalty.lock import wait_for
from customer_loyalty.publish import database_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

WAREHOUSE = "warehouse/loyalty.duckdb"
"""The working database, unless LOYALTY_WAREHOUSE names another one."""

# DuckDB's message on a file that another process has open, with that process.
LOCKED = re.compile(r"Could not set lock on file(?:.*held in (\S+).*\(PID (\d+)\))?", re.DOTALL)


class DuckDBEngine(Engine):
    """A connection to a file: the working database, or the published one."""

    Error = duckdb.Error

    def __init__(self, con: DuckDBPyConnection) -> None:
        self.con = con

    def schema(self, room: str) -> str:
        return room

    def records(self, sql: str) -> list[Record]:
        found = self.con.execute(sql)
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        self.con.execute(f"create or replace temp table {name} ({typed})")
        if rows := list(rows):
            marks = ", ".join("?" * len(columns))
            self.con.executemany(f"insert into {name} values ({marks})", rows)

    def model_from(self, name: str) -> DuckDBPyRelation:
        return self.con.query(f"select * from {name}")

    def tables(self, schema: str) -> list[str]:
        found = self.rows(
            "select table_name from information_schema.tables"
            f" where table_catalog = current_database() and table_schema = '{schema}' order by 1"
        )
        return [name for (name,) in found]

    def columns(self, schema: str, table: str) -> list[str]:
        # DuckDB does not distinguish case.
        found = self.rows(
            "select lower(column_name) from duckdb_columns()"
            f" where database_name = current_database() and schema_name ilike '{schema}'"
            f" and table_name ilike '{table}' order by column_index"
        )
        return [name for (name,) in found]

    def land(self, raw_data: str | None, name: str) -> str:
        if not raw_data:
            return files.no_rows_query(name)
        return files.files_query(self.con, raw_data, name)

    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        # Importing Great Expectations takes seconds, so it is done only where tables are checked.
        from customer_loyalty.engines.dialect import DUCKDB, open_connection
        from customer_loyalty.gate.judge import sql_judges

        return sql_judges(open_connection(DUCKDB, self.con))

    def interrupt(self) -> None:
        self.con.interrupt()

    def last_build(self, place: str) -> Record | None:
        return database_file.last_build(Path(place))

    def publish(self, publication: Publication) -> None:
        working = self.value(
            "select path from duckdb_databases() where database_name = current_database()"
        )
        database_file.replace_file(
            Path(os.path.realpath(publication.place)),
            partial(database_file.write, self.con, publication),
            publication.keep,
            Path(os.path.realpath(working)),
        )


class DuckDBTarget(Target):
    """Two files: the working database and the published one."""

    def __init__(self, name: str | None, warehouse: str, published: str) -> None:
        super().__init__(name)
        self.warehouse, self.file = warehouse, published

    @property
    def place(self) -> str:
        return self.file

    @property
    def workplace(self) -> str:
        return self.warehouse

    @property
    def keeps_files(self) -> bool:
        return True

    @contextmanager
    def building(self, wait: float) -> Iterator[None]:
        database_file.check_target(Path(os.path.realpath(self.file)))
        if Path(self.warehouse).exists():
            open_when_free(self.warehouse, {}, wait).close()
        yield

    def load(
        self, schema: str, land: Callable[[], Mapping[str, DuckDBPyRelation]], wait: float
    ) -> dict[str, int]:
        raise Refusal("DuckDB reads a folder of files itself: make build RAW_DATA=folder.")

    @contextmanager
    def published(self) -> Iterator[Engine]:
        with duckdb.connect(self.file, read_only=True) as con:
            yield DuckDBEngine(con)

    @contextmanager
    def working(self) -> Iterator[Engine]:
        if not Path(self.warehouse).is_file():
            raise Refusal(f"{self.warehouse}: this database does not exist. Run make build first.")
        try:
            con = duckdb.connect(self.warehouse, read_only=True)
        except duckdb.Error as error:
            why = f"can't be read: {str(error).splitlines()[0]}"
            if LOCKED.search(str(error)):
                why = "another process is writing to it, perhaps a build. Try again later."
            raise Refusal(f"{self.warehouse}: {why}") from None
        with con:
            yield DuckDBEngine(con)

    def last_build(self) -> Record | None:
        return database_file.last_build(Path(self.file))

    def query_command(self, sql: str) -> str:
        return f'.venv/bin/customer-loyalty query "{sql}"'


def open_when_free(path: str, config: dict[str, Any], wait: float) -> DuckDBPyConnection:
    """Open a database for writing as soon as no other process has it open.

    wait: seconds to wait at most. Raises InUse after that, and Refusal if it can't be opened at
    all.
    """

    def connect() -> DuckDBPyConnection:
        try:
            return duckdb.connect(path, config=config)
        except duckdb.Error as error:
            locked = LOCKED.search(str(error))
            if not locked:
                raise Refusal(
                    f"The working database can't be opened. {error}\n"
                    "Choose another file with LOYALTY_WAREHOUSE."
                ) from None
            program, pid = locked.groups()
            who = f"process {pid} ({Path(program).name})" if pid else "another process"
            raise InUse(
                f"{path} is in use: {who} has it open, perhaps another build or a query. Try"
                " again when it is closed, wait for it with make build WAIT=60"
                " (LOYALTY_WAIT=60 dbt build), or choose another file with LOYALTY_WAREHOUSE."
            ) from None

    return wait_for(connect, wait)
