"""Spark: SQL runs in the Thrift server that dbt is connected to, checks in a separate session.

dbt-spark can't run Python models on a plain cluster; they run in the process of the build. Great
Expectations' backend for Spark needs a SparkSession. The session is a second application on the
same cluster. It has no catalog, because that of a local cluster allows one process only: it reads
the Parquet files of the tables from which dbt then builds the marts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import duckdb
import pyhive.exc
from pyhive import hive
from thrift.Thrift import TException
from thrift.transport.TTransport import TTransportException

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import (
    PUBLISHED_SCHEMAS,
    Engine,
    Judge,
    Publication,
    Record,
    Row,
    Target,
)
from customer_loyalty.engines.servers import (
    MODEL_VIEW,
    SPARK_CLIENT,
    SPARK_FOLDER,
    check_loaded_tables,
    check_published_tables,
    check_raw_schema,
    check_working_schema,
    landed_columns,
    run_models_with,
)
from customer_loyalty.errors import PublishFault, Refusal
from customer_loyalty.inputs.files import land
from customer_loyalty.lock import locked

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation
    from pyspark.sql import DataFrame, SparkSession

SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
"""Settings without which numbers would differ."""
TYPES = {"varchar": "string", "text": "string"}
"""Types with another name in Spark."""
KEPT = re.compile("published_[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}")
"""The schemas of published sets, named after their builds. Other schemas are not touched."""
ERRORS = (pyhive.exc.Error, TException)
"""What PyHive raises if the server refuses, or if it does not answer."""
LOCK = "warehouse/.spark.lock"
LOADED = "customer_loyalty.loaded"
"""The property of tables created by load, which replaces no others."""


class Checks:
    """The Spark application in which tables are checked; it starts at the first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch: set[str] = set()

    @cached_property
    def session(self) -> SparkSession:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("customer-loyalty checks")
        if master := os.environ.get("LOYALTY_SPARK_MASTER"):
            builder = builder.master(master)
        elif (given := self.folder / SPARK_CLIENT).exists():
            os.environ.update(json.loads(given.read_text("utf-8")))
        session = builder.config("spark.ui.enabled", "false").config(map=SESSION).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        return session

    def note_scratch(self, folder: str) -> None:
        """Remember a folder of files to remove when the build has ended."""
        self._scratch.add(folder)

    def end(self) -> None:
        """End the application, and remove the files that it wrote next to the tables."""
        for folder in self._scratch:
            if path := local_path(folder):
                shutil.rmtree(path, ignore_errors=True)
            elif "session" in self.__dict__:
                path = self.session._jvm.org.apache.hadoop.fs.Path(folder)
                path.getFileSystem(self.session._jsc.hadoopConfiguration()).delete(path, True)
        self._scratch.clear()
        if "session" in self.__dict__:
            self.session.stop()
            del self.__dict__["session"]


class SparkEngine(Engine):
    """A connection of PyHive to a Thrift server."""

    Error = pyhive.exc.Error

    def __init__(self, con: Any, working: str, checks: Checks) -> None:
        """working: the profile's schema, which is the prefix of all working schemas."""
        self.con = con
        self.working = working
        self.checks = checks
        self._running: Any = None
        self._filled: set[str] = set()

    def schema(self, room: str) -> str:
        return f"{self.working}_{room}"

    def run(self, sql: str) -> Any:
        """Run a statement. Returns its cursor."""
        self._running = cursor = self.con.cursor()
        cursor.execute(sql)
        return cursor

    def records(self, sql: str) -> list[Record]:
        cursor = self.run(sql)
        columns = [column[0].rpartition(".")[2] for column in cursor.description]
        # PyHive converts timestamps and decimals, but not dates.
        made = [
            date.fromisoformat if column[1] == "DATE_TYPE" else None
            for column in cursor.description
        ]
        return [
            {
                name: make(value) if make and value is not None else value
                for name, make, value in zip(columns, made, row, strict=True)
            }
            for row in cursor.fetchall()
        ]

    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        typed = ", ".join(
            f"cast({column} as {TYPES.get(type_, type_)}) as {column}"
            for column, type_ in columns.items()
        )
        values = [f"({', '.join(map(literal, row))})" for row in rows]
        source = f"values {', '.join(values or ['(' + ', '.join(['null'] * len(columns)) + ')'])}"
        self.run(
            f"create or replace temporary view {name} as select {typed}"
            f" from ({source}) as given ({', '.join(columns)})" + ("" if values else " where false")
        )

    def model_from(self, name: str) -> None:
        self.run(f"create or replace temporary view {MODEL_VIEW} as select * from {name}")

    def tables(self, schema: str) -> list[str]:
        if not self.rows(f"show schemas like '{schema}'"):
            return []
        return sorted(name for _, name, *_ in self.rows(f"show tables in {schema}"))

    def columns(self, schema: str, table: str) -> list[str]:
        if table not in self.tables(schema):
            return []
        return [name.lower() for (name,) in self.rows(f"show columns in {schema}.{table}")]

    def land(self, raw_data: str | None, name: str) -> None:
        if not raw_data:
            self.create_table("not_landed", landed_columns(name))
            self.model_from("not_landed")
            return
        with duckdb.connect() as con:
            self.copy_rows(land(con, raw_data, name), f"landed_{name}")
        self.model_from(f"landed_{name}")

    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        # Importing Great Expectations takes seconds, so it is done only where tables are checked.
        from customer_loyalty.engines.spark_judge import spark_judges

        return spark_judges(self)

    def interrupt(self) -> None:
        if "session" in self.checks.__dict__:
            self.checks.session.sparkContext.cancelAllJobs()
        # Before the server has answered, there is no handle to cancel the statement by.
        if self._running and self._running._operationHandle:
            with suppress(Exception):
                self._running.cancel()

    def last_build(self, place: str) -> Record | None:
        if not self.rows("show schemas like 'marts'"):
            return None
        if not self.rows("show views in marts like 'published_build'"):
            return None
        with suppress(self.Error):
            return next(iter(self.records("select * from marts.published_build")), None)
        return None

    def copy_rows(self, rows: DuckDBPyRelation, name: str) -> None:
        """Create a temporary view of rows of DuckDB, written to a file next to the tables.

        Raises Refusal if this machine can't write there.
        """
        folder = self.beside_tables(name)
        try:
            if not (path := local_path(folder)):
                raise OSError("not a folder of this machine")
            path.mkdir(exist_ok=True)
            rows.write_parquet(str(path / "rows.parquet"))
        except OSError as error:
            raise Refusal(
                f"Files can't be landed in {folder}: {error}. Load them into tables of the cluster"
                ' with its own tools, and build with VARS=\'{"sources": ["tables"]}\'.'
            ) from None
        self.view_of_files(name, folder)

    def add_rows(self, name: str, rows: DataFrame) -> None:
        """Add rows to a temporary view."""
        folder = self.beside_tables(name)
        rows.write.mode("append" if name in self._filled else "overwrite").parquet(folder)
        self._filled.add(name)
        self.view_of_files(name, folder)

    def view_of_files(self, name: str, path: str) -> None:
        """Create a temporary view of Parquet files."""
        self.run(
            f"create or replace temporary view {name} using parquet options (path {literal(path)})"
        )

    def described(self, what: str) -> dict[str, str]:
        """Spark's description of a schema (``schema name``) or table (``table extended name``)."""
        return {key.strip(): value for key, value, *_ in self.rows(f"describe {what}")}

    def beside_tables(self, name: str) -> str:
        """A folder next to the tables of the gate, for temporary files of this build."""
        schema = self.described(f"schema {self.schema('quality')}")
        # For a schema Spark returns a URI, in which a space is %20; for a table it returns a path.
        folder = f"{unquote(schema['Location'])}/_{name}"
        self.checks.note_scratch(folder)
        return folder

    @contextmanager
    def frame(self, relation: str) -> Iterator[DataFrame]:
        """Yields the rows of a table or view in the application that checks tables.

        A view is written to a temporary table.
        """
        described = self.described(f"table extended {relation}")
        made = self.table("quality", f"checked_{relation.rpartition('.')[2]}")
        is_view = described["Type"] == "VIEW"
        if is_view:
            self.run(f"drop table if exists {made}")
            self.run(f"create table {made} using parquet as select * from {relation}")
            described = self.described(f"table extended {made}")
        # Many rules read it.
        rows = self.checks.session.read.parquet(described["Location"]).cache()
        try:
            yield rows
        finally:
            rows.unpersist()
            if is_view:
                self.run(f"drop table {made}")

    def publish(self, publication: Publication) -> None:
        """Copy the set into a schema of its own, then point the views of marts and quality to it.

        Readers see each mart complete, before or after. Views change one after the other, so for a
        moment some are of the new build and some of the previous one.
        """
        build = publication.row["build_id"][1]
        kept = f"published_{build.replace('-', '_')}"
        sources = publication.sources
        copies = {target: f"{kept}.{target.rpartition('.')[2]}" for target in sources}
        try:
            for schema in PUBLISHED_SCHEMAS:
                self.run(f"create schema if not exists {schema}")
            found = (self.rows(f"show tables in {schema}") for schema in PUBLISHED_SCHEMAS)
            standing = {f"{schema}.{name}" for schema, name, *_ in chain(*found)}
            check_published_tables(standing & sources.keys())
            self.run(f"create schema {kept}")
            for target, source in sources.items():
                self.run(f"create table {copies[target]} using parquet as select * from {source}")
        except ERRORS as error:
            with suppress(*ERRORS):
                self.run(f"drop schema if exists {kept} cascade")
            raise PublishFault(
                f"Nothing was published, because Spark refused: {server_message(error)}"
            ) from None
        try:
            for target, copy in copies.items():
                # Not "create or replace", which drops the view first, so a reader could miss it.
                verb = "alter" if target in standing else "create"
                self.run(f"{verb} view {target} as select * from {copy}")
        except ERRORS as error:
            # Not a PublishFault, because some of the views may already be of the new build.
            raise Refusal(f"Publishing was interrupted: {server_message(error)}") from None
        # The publish has succeeded, even if this fails.
        with suppress(*ERRORS):
            self._forget(kept, publication.keep)

    def _forget(self, latest: str, keep: int) -> None:
        """Drop incomplete sets, and those of earlier builds except for the latest ones."""
        dated = {}
        for (schema,) in self.rows("show schemas like 'published_*'"):
            if schema != latest and KEPT.fullmatch(schema):
                dated[schema] = ""
                with suppress(self.Error):
                    at = self.value(f"select max(published_at) from {schema}.published_build")
                    dated[schema] = str(at)
        complete = sorted(filter(dated.get, dated), key=dated.__getitem__, reverse=True)
        for schema in dated.keys() - {*complete[:keep]}:
            self.run(f"drop schema {schema} cascade")


def local_path(folder: str) -> Path | None:
    """The path of a folder that Spark returns; None if it is not on this machine."""
    return Path(folder.removeprefix("file:")) if folder.startswith(("file:", "/")) else None


def literal(value: Any) -> str:
    """A value as an SQL literal of Spark."""
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamp '{value}'"
    if isinstance(value, date):
        return f"date '{value}'"
    # A dollar sign could begin ${env:…}, which Spark substitutes even in literals.
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def server_message(error: Exception) -> str:
    """The error message of a Thrift server, without Java stack traces."""
    status = getattr(error.args[0], "status", None) if error.args else None
    text = getattr(status, "errorMessage", None) or str(error)
    return text.partition("\n\tat ")[0].strip()


# --- the build --------------------------------------------------------------------------------


class SparkTarget(Target):
    """A Spark cluster behind a Thrift server."""

    def __init__(self, name: str | None, credentials: Any) -> None:
        super().__init__(name)
        check_working_schema(credentials.schema)
        self.credentials = credentials
        folder = os.environ.get("LOYALTY_SPARK") or SPARK_FOLDER
        self.checks = Checks(Path(folder).absolute())

    @property
    def place(self) -> str:
        return f"schema marts of Spark on {self.credentials.host}"

    @property
    def workplace(self) -> str:
        return f"The schemas {self.credentials.schema}_… of Spark on {self.credentials.host}"

    @contextmanager
    def building(self, wait: float) -> Iterator[None]:
        """Hold a lock of this checkout, because Spark has none."""
        # Connect first: dbt would retry for a long time if the server did not answer.
        with self._connected() as engine:
            for name, must_be in SESSION.items():
                if (found := engine.rows(f"set {name}")[0][1]) != must_be:
                    raise Refusal(
                        f"{name} of the session is {found} and must be {must_be}, because numbers"
                        " would differ. See server_side_parameters in profiles.example.yml."
                    )
        with self._locked(wait):
            run_python_models_here(self.checks)
            try:
                yield
            finally:
                self.checks.end()

    @contextmanager
    def _locked(self, wait: float) -> Iterator[None]:
        with locked(
            Path(LOCK),
            wait,
            "A build or a load of this checkout is running on Spark. Try again when it has ended,"
            " or wait for it with WAIT=60.",
        ):
            yield

    def load(
        self, schema: str, land: Callable[[], Mapping[str, DuckDBPyRelation]], wait: float
    ) -> dict[str, int]:
        """Write all tables, then replace one after the other: Spark has no transactions."""
        working = self.credentials.schema
        check_raw_schema(schema.lower(), f"{working}_", "published_")
        with self._locked(wait), self._connected() as engine:
            landed = land()
            engine.run(f"create schema if not exists {schema}")
            engine.run(f"create schema if not exists {engine.schema('quality')}")
            there = {name for _, name, *_ in engine.rows(f"show tables in {schema}")} & {*INPUTS}
            made = {
                name: LOADED in dict(engine.rows(f"show tblproperties {schema}.{name}"))
                for name in sorted(there)
            }
            check_loaded_tables(schema, made)
            try:
                for name in INPUTS:
                    engine.copy_rows(landed[name], f"loaded_{name}")
                    engine.run(f"drop table if exists {schema}.{name}__new")
                    engine.run(
                        f"create table {schema}.{name}__new using parquet"
                        f" tblproperties ('{LOADED}' = 'true') as select * from loaded_{name}"
                    )
                for name in INPUTS:
                    engine.run(f"drop table if exists {schema}.{name}")
                    engine.run(f"alter table {schema}.{name}__new rename to {schema}.{name}")
            except ERRORS as error:
                raise Refusal(
                    f"The load was interrupted, because Spark refused: {server_message(error)}"
                ) from None
            finally:
                self.checks.end()
            return {name: engine.value(f"select count(*) from {schema}.{name}") for name in INPUTS}

    def published(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def working(self) -> AbstractContextManager[Engine]:
        return self._connected()

    def query_command(self, sql: str) -> str:
        return f'beeline -u jdbc:hive2://{self.credentials.host}:{self.credentials.port} -e "{sql}"'

    @contextmanager
    def _connected(self) -> Iterator[SparkEngine]:
        to = self.credentials
        if to.method.value != "thrift" or to.use_ssl:
            method = f"{to.method.value}{' and use_ssl' if to.use_ssl else ''}"
            raise Refusal(f"The gate needs method thrift without TLS; profiles.yml has {method}.")
        try:
            con = hive.connect(
                host=to.host,
                port=to.port,
                username=to.user,
                password=to.password,
                auth=to.auth,
                kerberos_service_name=to.kerberos_service_name,
                configuration=to.server_side_parameters,
            )
        except TTransportException as error:
            raise Refusal(
                f"Spark's Thrift server {to.host}:{to.port} can't be reached: {error}."
                " make spark-up starts one on this machine."
            ) from None
        try:
            yield SparkEngine(con, to.schema, self.checks)
        finally:
            con.close()


def run_python_models_here(checks: Checks) -> None:
    """Let dbt-spark run Python models in this process, on the connection of their thread."""
    from dbt.adapters.spark import SparkAdapter
    from dbt.adapters.spark.connections import PyhiveConnectionWrapper

    # dbt-spark wraps the connection of PyHive.
    run_models_with(
        SparkAdapter, lambda wrapped, schema: SparkEngine(wrapped.handle, schema, checks)
    )
    fetchall: Callable[[Any], list[Row]] = PyhiveConnectionWrapper.fetchall

    def fetch_rows(con: Any) -> list[Row]:
        """Return no rows where PyHive fails: dbt's unit tests fetch them from any statement."""
        try:
            return fetchall(con)
        except TypeError:
            return []

    PyhiveConnectionWrapper.fetchall = fetch_rows
    # dbt polls statements once a second at most, and a build has hundreds of them.
    PyhiveConnectionWrapper.poll_interval = property(lambda _: 0.05, lambda _, seconds: None)
