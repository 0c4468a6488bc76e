"""The targets of profiles.yml: who builds in one now, and how to read it."""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_loyalty.engine import DuckDBEngine, Engine
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.published_file import check_target, last_build

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

WAREHOUSE = "warehouse/loyalty.duckdb"
"""The working database of DuckDB, unless LOYALTY_WAREHOUSE says otherwise."""


class Target(ABC):
    """Where a build works and publishes. name: its name in profiles.yml, none for the default."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the marts are published, in words."""

    @property
    @abstractmethod
    def workplace(self) -> str:
        """Where it works, in words."""

    @abstractmethod
    def building(self, wait: float) -> AbstractContextManager[None]:
        """While it lasts, dbt may build, and nobody else does.

        wait: for how many seconds at most to wait for somebody else. Raises InUse after them, and
        Refusal or RuntimeError where nothing can be built or published at all.
        """

    @abstractmethod
    def load(
        self, schema: str, land: Callable[[], Mapping[str, DuckDBPyRelation]], wait: float
    ) -> dict[str, int]:
        """Fill the raw tables of a schema with the rows of files; none where a file is refused.

        land: lands the files, by input; called once it is clear that this target takes them. wait:
        as of ``building``. Returns how many rows each table has. Raises InUse, and Refusal where
        files or tables are not as they must be.
        """

    @abstractmethod
    def published(self) -> AbstractContextManager[Engine]:
        """While it lasts, what is published, in the schemas marts and quality."""

    @abstractmethod
    def working(self) -> AbstractContextManager[Engine]:
        """While it lasts, what is worked on. Raises Refusal where it can't be read."""

    @abstractmethod
    def how_to_ask(self, sql: str) -> str:
        """A command that runs a query on what is published."""

    def last_build(self) -> dict[str, Any] | None:
        """The row of ``published_build``; None where there is none that can be read."""
        with self.published() as engine:
            return engine.last_build(self.place)


class DuckDBTarget(Target):
    """A working database and a published one, each a file."""

    def __init__(self, name: str | None, warehouse: str, published: str) -> None:
        super().__init__(name)
        self.warehouse, self.file = warehouse, published

    @property
    def place(self) -> str:
        return self.file

    @property
    def workplace(self) -> str:
        return self.warehouse

    @contextmanager
    def building(self, wait: float) -> Iterator[None]:
        from customer_loyalty.plugin import open_when_free

        check_target(Path(os.path.realpath(self.file)))
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
            raise Refusal(f"{self.warehouse}: there is no such database. Run make build first.")
        try:
            con = duckdb.connect(self.warehouse, read_only=True)
        except duckdb.Error as error:
            why = f"can't be read: {str(error).splitlines()[0]}"
            if "Could not set lock" in str(error):
                why = "somebody writes to it, perhaps a build. Try again when it has ended."
            raise Refusal(f"{self.warehouse}: {why}") from None
        with con:
            yield DuckDBEngine(con)

    def last_build(self) -> dict[str, Any] | None:
        return last_build(Path(self.file))

    def how_to_ask(self, sql: str) -> str:
        return f'.venv/bin/customer-loyalty query "{sql}"'


def wait_for(attempt: Callable[[], bool], wait: float, otherwise: str) -> None:
    """Try until an attempt succeeds, for so many seconds at most. Raises InUse: otherwise."""
    until = time.monotonic() + wait
    while not attempt():
        if time.monotonic() >= until:
            raise InUse(otherwise)
        time.sleep(0.2)


def check_working_schema(schema: str) -> None:
    """Raises Refusal where SQL would have to quote the profile's schema."""
    if not re.fullmatch("[a-z_][a-z0-9_]{0,40}", schema):
        raise Refusal(
            f"schema in profiles.yml must be a name of small letters, digits and underscores, such"
            f" as working; found {schema}"
        )


def check_raw_schema(schema: str, *ours: str) -> None:
    """Raises Refusal where raw tables must not be loaded. ours: beginnings of our own schemas."""
    if schema in ("marts", "quality") or schema.startswith(ours):
        raise Refusal(
            f"raw_schema: {schema} is a schema of the marts, or of what they are made of. Name"
            " another one: raw rows hold personal data."
        )


def check_that_load_made(schema: str, tables: Mapping[str, bool]) -> None:
    """Raises Refusal where one is not load's own. tables: whether load made them, by name."""
    if foreign := [f"{schema}.{name}" for name, is_ours in tables.items() if not is_ours]:
        raise Refusal(
            f"{', '.join(foreign)}: there already, and not made by load, which touches its own"
            " tables only. Name another schema by raw_schema:"
            f' make load VARS=\'{{"raw_schema": "{schema}_files"}}\'.'
        )


def target_of(name: str | None, warehouse: str, published: str) -> Target:
    """A target of the project in the current folder. Raises Refusal where there is none so called.

    warehouse, published: the databases that DuckDB works in and publishes to.
    """
    credentials = credentials_of(name)
    engine = credentials.type if credentials else "duckdb"
    if engine == "postgres":
        from customer_loyalty.postgres import PostgresTarget

        return PostgresTarget(name, credentials)
    if engine == "spark":
        from customer_loyalty.spark import SparkTarget

        return SparkTarget(name, credentials)
    if engine != "duckdb":
        raise Refusal(f"The gate does not run on {engine}: it knows duckdb, postgres and spark.")
    return DuckDBTarget(name, warehouse, published)


def credentials_of(name: str | None) -> Any:
    """What profiles.yml says of a target, as dbt reads it.

    Of the default target None, where that can't be read: dbt itself says why. Raises Refusal.
    """
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context
    from dbt_common.exceptions import DbtBaseException

    here = Path.cwd()
    profiles = os.environ.get("DBT_PROFILES_DIR") or (
        here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"
    )
    set_invocation_context(os.environ)
    set_from_args(Namespace(PROFILES_DIR=str(profiles), PROJECT_DIR=str(here)), None)
    try:
        return load_profile(str(here), {}, None, name).credentials
    except DbtBaseException as error:
        if name is None:
            return None
        told = str(error)
        if "Could not find adapter type" in told:
            told += f"\nmake build TARGET={name} installs it."
        raise Refusal(told) from None
