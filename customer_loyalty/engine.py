"""The database of a build as the Python of this project sees it: what differs between engines."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty import published_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from customer_loyalty.judge import Judge
    from customer_loyalty.publish import Publication


class Engine(ABC):
    """A database that is open already: the connection, and its transaction, belong to dbt.

    Types of columns are those that all engines know: varchar, bigint, boolean, date, timestamp.
    """

    Error: type[Exception]
    """What it raises where a statement fails."""

    @abstractmethod
    def schema(self, room: str) -> str:
        """The schema of a room, such as quality."""

    @abstractmethod
    def records(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, by column name."""

    @abstractmethod
    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        """Make a table of this connection alone, in the place of one of that name."""

    @abstractmethod
    def made_of(self, name: str) -> Any:
        """What a dbt Python model returns that is to be made of such a table."""

    @abstractmethod
    def land(self, raw_data: str, name: str) -> Any:
        """What a dbt Python model returns that is to be made of an input's files.

        Raises FileFault, see ``files.land``.
        """

    @abstractmethod
    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        """While it lasts, yields a function that makes the Judge of a table, ``schema.table``."""

    @abstractmethod
    def interrupt(self) -> None:
        """End the statement that runs, from another thread."""

    @abstractmethod
    def last_build(self, place: str) -> dict[str, Any] | None:
        """The row of the published ``published_build``; None where there is none that can be read.

        place: where the marts are published, as the hooks of the models tell it.
        """

    @abstractmethod
    def publish(self, publication: Publication) -> None:
        """Replace what is published, all of it or nothing. Raises PublishFault."""

    @abstractmethod
    def has_table(self, room: str, name: str) -> bool:
        """Whether a room has a table of that name."""

    def rows(self, sql: str) -> list[tuple]:
        """The rows of a query."""
        return [tuple(record.values()) for record in self.records(sql)]

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        return self.rows(sql)[0][0]

    def table(self, room: str, name: str) -> str:
        """A table of a room, as SQL names it."""
        return f"{self.schema(room)}.{name}"


def engine_of(session: Any) -> Engine:
    """The engine of what dbt hands to a Python model: dbt-duckdb its connection."""
    return session if isinstance(session, Engine) else DuckDBEngine(session)


class DuckDBEngine(Engine):
    """A file: the working database, or the published one."""

    Error = duckdb.Error

    def __init__(self, con: DuckDBPyConnection) -> None:
        self.con = con

    def schema(self, room: str) -> str:
        return room

    def records(self, sql: str) -> list[dict[str, Any]]:
        found = self.con.execute(sql)
        columns = [column[0] for column in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        self.con.execute(f"create or replace temp table {name} ({typed})")
        if rows := list(rows):
            marks = ", ".join("?" * len(columns))
            self.con.executemany(f"insert into {name} values ({marks})", rows)

    def made_of(self, name: str) -> DuckDBPyRelation:
        return self.con.query(f"select * from {name}")

    def has_table(self, room: str, name: str) -> bool:
        found = f"from duckdb_tables() where schema_name = '{room}' and table_name = '{name}'"
        return bool(self.rows(found))

    def land(self, raw_data: str, name: str) -> DuckDBPyRelation:
        from customer_loyalty.files import land

        return land(self.con, raw_data, name)

    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        from customer_loyalty.dialect import open_connection
        from customer_loyalty.judge import sql_judges

        return sql_judges(open_connection(self.con))

    def interrupt(self) -> None:
        self.con.interrupt()

    def last_build(self, place: str) -> dict[str, Any] | None:
        return published_file.last_build(Path(place))

    def publish(self, publication: Publication) -> None:
        from customer_loyalty.publish import write_marts

        working = self.value(
            "select path from duckdb_databases() where database_name = current_database()"
        )
        published_file.replace_file(
            Path(os.path.realpath(publication.place)),
            partial(write_marts, self.con, publication.row),
            publication.keep,
            Path(os.path.realpath(working)),
        )
