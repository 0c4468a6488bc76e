"""The interface between the gate, the publish and the engines: what differs between databases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

SCHEMAS = (
    "raw",
    "reference",
    "staging",
    "quality",
    "clean",
    "intermediate",
    "marts",
    "snapshots",
)
"""The schemas that a build works in, as dbt_project.yml names them."""

PUBLISHED_SCHEMAS = ("marts", "quality")
"""The schemas that readers see."""

Record = dict[str, Any]
"""A row by column name."""

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """A rule of the gate.

    name: unique over all suites. suite: the suite file. input: what it checks. column: the column
    of the input, None or * for a rule on several or on all. action: stop, quarantine or warn. says,
    remedy: sentences for people. type, kwargs: the expectation, as Great Expectations names them.
    measure: which measure of the input a rule on distributions checks. show: further columns to
    show in examples.
    """

    name: str
    suite: str
    input: str
    column: str | None
    action: str
    says: str
    remedy: str
    type: str
    kwargs: Mapping[str, Any]
    measure: str | None
    show: Sequence[str]

    def __str__(self) -> str:
        return f"{self.suite}: rule {self.name}"


@dataclass(frozen=True)
class Publication:
    """What to publish, and where.

    row: the row of ``published_build``, type and value by column. sources: the table that each
    published table is copied from; that of ``marts.published_build`` holds the row. place: as
    ``Engine.last_build`` takes it. keep: how many earlier builds to keep.
    """

    row: Mapping[str, tuple[str, Any]]
    sources: Mapping[str, str]
    place: str
    keep: int


class Judge(ABC):
    """One table under test by Great Expectations."""

    @abstractmethod
    def passes(self, rules: Sequence[Rule], parameters: Mapping[str, Any]) -> dict[str, bool]:
        """Whether the table keeps each rule, by rule id.

        Raises GateError where a rule can't be evaluated.
        """

    @abstractmethod
    def details(
        self, rules: Sequence[Rule], parameters: Mapping[str, Any]
    ) -> dict[str, Mapping[str, Any]]:
        """How many rows break each rule, or what was observed. Raises GateError."""

    @abstractmethod
    def first_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        columns: Sequence[str],
        order_by: Sequence[str],
        limit: int,
    ) -> list[Row]:
        """Some of the rows that break a rule. Raises GateError for a rule on the whole input."""

    @abstractmethod
    def keep_rows_that_break(
        self,
        rule: Rule,
        parameters: Mapping[str, Any],
        table: str,
        columns: Mapping[str, str],
        constants: Mapping[str, str | None],
    ) -> None:
        """Insert the rows that break a rule into a table made by ``Engine.create_table``.

        columns: the column of the checked rows for each column of the table. constants: values that
        are the same in every row. Raises GateError for a rule on the whole input.
        """


class Engine(ABC):
    """An open database. The connection and its transaction belong to dbt.

    Column types are those that all engines know: varchar, bigint, boolean, date, timestamp.
    """

    Error: type[Exception]
    """What it raises if a statement fails."""

    @abstractmethod
    def schema(self, room: str) -> str:
        """The schema of a folder of models, such as quality."""

    @abstractmethod
    def records(self, sql: str) -> list[Record]:
        """The rows of a query, by column name."""

    @abstractmethod
    def create_table(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> None:
        """Create or replace a table that only this connection sees."""

    @abstractmethod
    def model_from(self, name: str) -> Any:
        """What a dbt Python model returns to be built from a table of this connection."""

    @abstractmethod
    def tables(self, schema: str) -> list[str]:
        """The names of the tables and views of any schema, sorted."""

    @abstractmethod
    def columns(self, schema: str, table: str) -> list[str]:
        """The columns of a table or view, as SQL knows them without quotes; none if missing."""

    @abstractmethod
    def land(self, raw_data: str | None, name: str) -> Any:
        """What a dbt Python model returns to be built from the files of an input.

        raw_data: their folder; None for no rows. Raises FileFault, see ``inputs.files``.
        """

    @abstractmethod
    def judges(self) -> AbstractContextManager[Callable[[str], Judge]]:
        """Yields a function that makes the Judge of a table, ``schema.table``."""

    @abstractmethod
    def interrupt(self) -> None:
        """Cancel the running statement, from another thread."""

    @abstractmethod
    def last_build(self, place: str) -> Record | None:
        """The row of the published ``published_build``; None where none can be read.

        place: where the marts are published, as the models' hooks pass it.
        """

    @abstractmethod
    def publish(self, publication: Publication) -> None:
        """Replace what is published, all of it or nothing. Raises PublishFault."""

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query."""
        return [tuple(record.values()) for record in self.records(sql)]

    def pairs(self, sql: str) -> dict[Any, Any]:
        """The rows of a query of two columns, the second by the first."""
        return {key: value for key, value in self.rows(sql)}

    def value(self, sql: str) -> Any:
        """The only value of a query."""
        return self.rows(sql)[0][0]

    def table(self, room: str, name: str) -> str:
        """The full name of a table in the schema of a folder of models."""
        return f"{self.schema(room)}.{name}"

    def has_table(self, room: str, name: str) -> bool:
        """Whether the schema of a folder of models has a table or view of that name."""
        return name in self.tables(self.schema(room))


class Target(ABC):
    """A target of profiles.yml: where a build works and publishes.

    name: its name there, None for the default target.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the marts are published, for messages."""

    @property
    @abstractmethod
    def workplace(self) -> str:
        """Where a build works, for messages."""

    @property
    def keeps_files(self) -> bool:
        """Whether earlier builds are kept as files that can be listed and restored."""
        return False

    @abstractmethod
    def building(self, wait: float) -> AbstractContextManager[None]:
        """Prepare dbt to build, and keep other builds away until the end.

        wait: seconds to wait for another build. Raises InUse after that, and Refusal where nothing
        can be built or published at all.
        """

    @abstractmethod
    def load(
        self, schema: str, land: Callable[[], Mapping[str, DuckDBPyRelation]], wait: float
    ) -> dict[str, int]:
        """Replace the rows of the raw tables of a schema with those of files, all or none.

        land: reads the files, by input; called once it is clear that this target takes them. wait:
        as in ``building``. Returns the number of rows of each table. Raises InUse, and Refusal
        where files or tables are not as required.
        """

    @abstractmethod
    def published(self) -> AbstractContextManager[Engine]:
        """Open the published schemas marts and quality."""

    @abstractmethod
    def working(self) -> AbstractContextManager[Engine]:
        """Open the working schemas. Raises Refusal where they can't be read."""

    @abstractmethod
    def query_command(self, sql: str) -> str:
        """A shell command that runs a query on what is published."""

    def last_build(self) -> Record | None:
        """The row of ``published_build``; None where none can be read."""
        with self.published() as engine:
            return engine.last_build(self.place)
