"""SQLAlchemy dialects for a connection of DuckDB or PostgreSQL that is already open.

They never commit and never close, because the connection and its transaction belong to dbt.

Great Expectations has no DuckDB backend, and reads results after it has returned the connection,
which DuckDB's own SQLAlchemy driver does not allow. The dialect for DuckDB has only what the checks
need: statements, a cursor that holds all of its rows, and the columns of a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import duckdb
from sqlalchemy import types
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.default import DefaultDialect

from customer_loyalty.engine import Row

DUCKDB = "openduckdb"
POSTGRES = "postgresql+open"

_connection: ContextVar[Any] = ContextVar("dbt's open connection")


@contextmanager
def open_connection(dialect: str, connection: Any) -> Iterator[str]:
    """While it lasts, engines made for the URL that it yields run on ``connection``.

    dialect: DUCKDB or POSTGRES.
    """
    token = _connection.set(connection)
    try:
        yield f"{dialect}://"
    finally:
        _connection.reset(token)


class _Lent:
    """A DBAPI connection that belongs to dbt: commit, rollback and close do nothing."""

    def __init__(self) -> None:
        self._connection = _connection.get()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class OpenPostgresDialect(PGDialect_psycopg2):
    """SQLAlchemy's own for psycopg2."""

    supports_statement_cache = True

    def connect(self, *_args: Any, **_kwargs: Any) -> _Lent:
        return _Lent()

    def on_connect(self) -> None:
        """Leave the connection as dbt wants it."""


class _Cursor:
    """A DBAPI cursor that fetches every row at once, so that it outlives the statement."""

    arraysize = 1

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: list[Row] | None = None
        self.rowcount = -1

    def execute(self, statement: str, parameters: Any = None) -> None:
        result = self._connection.execute(statement, list(parameters or ()))
        self.description = result.description
        self._rows = result.fetchall()

    def fetchone(self) -> Row | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Row]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def fetchall(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        self._rows = []


class _LentDuckDB(_Lent):
    def cursor(self) -> _Cursor:
        return _Cursor(self._connection)


class OpenDuckDBDialect(DefaultDialect):
    """Standard SQL as SQLAlchemy writes it, with DuckDB's catalog."""

    name = driver = DUCKDB
    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    default_schema_name = "main"

    @classmethod
    def import_dbapi(cls) -> Any:
        return SimpleNamespace(
            Error=duckdb.Error,
            paramstyle="qmark",
            connect=lambda *_args, **_kwargs: _LentDuckDB(),
        )

    def initialize(self, connection: Any) -> None:
        """Do nothing: there is no server to query."""

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_kwargs: Any
    ) -> list[dict[str, Any]]:
        rows = connection.exec_driver_sql(
            "select column_name, data_type, is_nullable from information_schema.columns"
            " where table_name = ? and table_schema = ? and table_catalog = current_database()"
            " order by ordinal_position",
            (table_name, schema or self.default_schema_name),
        )
        return [
            {
                "name": name,
                "type": _TYPES.get(type_.split("(")[0], types.NullType)(),
                "nullable": nullable == "YES",
                "default": None,
            }
            for name, type_, nullable in rows
        ]

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **_kwargs: Any
    ) -> bool:
        return bool(self.get_columns(connection, table_name, schema))

    def get_schema_names(self, connection: Any, **_kwargs: Any) -> list[str]:
        rows = connection.exec_driver_sql("select schema_name from information_schema.schemata")
        return [name for (name,) in rows]

    def get_table_names(
        self, connection: Any, schema: str | None = None, **_kwargs: Any
    ) -> list[str]:
        rows = connection.exec_driver_sql(
            "select table_name from information_schema.tables where table_schema = ?",
            (schema or self.default_schema_name,),
        )
        return [name for (name,) in rows]

    def get_view_names(
        self, connection: Any, schema: str | None = None, **_kwargs: Any
    ) -> list[str]:
        return []


_TYPES = {
    "VARCHAR": types.String,
    "BIGINT": types.BigInteger,
    "INTEGER": types.Integer,
    "DECIMAL": types.Numeric,
    "DOUBLE": types.Float,
    "BOOLEAN": types.Boolean,
    "DATE": types.Date,
    "TIMESTAMP": types.DateTime,
}

registry.register(DUCKDB, __name__, OpenDuckDBDialect.__name__)
registry.register(POSTGRES.replace("+", "."), __name__, OpenPostgresDialect.__name__)
