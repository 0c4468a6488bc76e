"""The project run two ways: its SQL alone on databases in memory, and as whole dbt commands.

A parse of the project costs seconds, its SQL for other settings a fraction of one, and a world of
some ten customers a fraction of that: so hundreds of worlds go through the very SQL that dbt would
run, and a few through everything.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from graphlib import TopologicalSorter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from brute_force import MARTS
from customer_loyalty.contract import CONTRACT, INPUTS, KEYS
from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.gate import check as gate
from customer_loyalty.gate.results import read_staged_results, relation
from forks import PROJECT, Fork, Request

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import ModelNode

# The database with the marts of a whole build: the published one, or the working one.
MARTS_OF = "published"
# Neither is SQL that a database in memory could run: the hook that keeps the gate is dbt's, and
# publishing writes a file.
NOT_RUN = ("models/gate/quality_gate.sql", "models/published/")
# Both sources, so that their models exist. Nobody looks into the folder while SQL is compiled.
BOTH_SOURCES = {"sources": ["demo", "files"], "raw_data": "no folder"}
# Options of a compile that looks into no database and leaves no files.
QUICKLY = ("--no-introspect", "--no-populate-cache", "--no-write-json")
# The only way in which the SQL knows what time it is.
CLOCK = re.compile(r"cast\('\d{4}-\d\d-\d\d \d\d:\d\d:\d\d' as timestamp\)")


# --- the SQL alone ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A SQL model, compiled: what it is called in the database, and how it is made."""

    name: str
    relation: str
    materialized: str
    sql: str


class Project:
    """The project, parsed once and compiled for any settings."""

    def __init__(self, home: Path):
        self.base = [*_folders(home), "--quiet", "--log-level-file", "none"]
        self.compiled = {}
        self.manifest = self._dbt("parse", "--no-partial-parse")
        self._remaining: list[Model] = []

    @property
    def marts(self) -> dict[str, ModelNode]:
        """Return the marts by the names of their tables."""
        nodes = self.manifest.nodes.values()
        return {
            node.alias: node
            for node in nodes
            if node.resource_type == "model" and node.fqn[1] == "marts"
        }

    def sql(self, settings: dict) -> list[Model]:
        """Return the SQL models as settings make them, each after those it selects from."""
        key = json.dumps(settings, sort_keys=True)
        if key not in self.compiled:
            self.compiled[key] = self._compile(settings)
        return self.compiled[key]

    def _compile(self, settings: dict) -> list[Model]:
        nodes = {
            name: node
            for name, node in self.manifest.nodes.items()
            if node.resource_type == "model"
            and node.language == "sql"
            and not node.original_file_path.startswith(NOT_RUN)
        }
        # Selected one by one, because a Python model cannot be compiled without its database; by
        # their full names, because a folder of tests may be called as a model is.
        names = [".".join(node.fqn) for node in nodes.values()]
        select = ["--select", *names, "--indirect-selection=empty"]
        results = self._dbt("compile", *select, *QUICKLY, settings=settings).results
        compiled = {result.node.unique_id: result.node for result in results}
        assert compiled.keys() == nodes.keys()
        graph = {name: node.depends_on.nodes for name, node in compiled.items()}
        return [
            Model(node.name, node.relation_name, node.config.materialized, node.compiled_code)
            for node in map(compiled.get, TopologicalSorter(graph).static_order())
            # An ephemeral model is already in the SQL of others.
            if node and node.config.materialized != "ephemeral"
        ] + self.remaining_views()

    def remaining_views(self) -> list[Model]:
        """Return the views that a hook of the gate makes; no setting changes them."""
        if not self._remaining:
            for input_, (key, *_) in KEYS.items():
                entity = input_.removeprefix("raw_")
                if input_ in gate.QUARANTINE:
                    relation = self.rendered(f"{{{{ remaining_view('{entity}') }}}}")
                    personal = [one.name for one in CONTRACT[input_].columns if one.is_personal]
                    columns = "staged.*" + (f" exclude ({', '.join(personal)})" if personal else "")
                    staged = f"ref('staged_{entity}'), '{entity}'"
                    rows = f"{{{{ remaining_rows({staged}, '{key}', ['{columns}'], true) }}}}"
                    self._remaining.append(
                        Model(f"remaining_{entity}", relation, "view", self.rendered(rows))
                    )
        return self._remaining

    def data_tests(self, settings: dict) -> dict[str, str]:
        """Return the SQL of the data tests by name; what it finds is wrong."""
        results = self._dbt("compile", "--select", "test_type:data", *QUICKLY, settings=settings)
        return {one.node.name: one.node.compiled_code for one in results.results}

    def analysis(self, name: str, vars: dict | None = None) -> str:
        """Return the SQL of an analysis for settings and parameters."""
        return self._compiled("--select", name, settings=vars)

    def rendered(self, jinja: str) -> str:
        """Return what SQL with macros in it renders."""
        return self._compiled("--inline", jinja)

    def _compiled(self, *what: str, settings: dict | None = None) -> str:
        [result] = self._dbt("compile", *what, *QUICKLY, settings=settings).results
        return result.node.compiled_code

    def setting_faults(self, settings: dict) -> list[str]:
        """Return what the project finds wrong with settings."""
        return self._faults("run-operation", "check_settings", settings=settings)

    def parameter_faults(self, analysis: str, vars: dict) -> list[str]:
        """Return what an analysis finds wrong with its parameters."""
        return self._faults("compile", "--select", analysis, *QUICKLY, settings=vars)

    def _faults(self, *command: str, settings: dict) -> list[str]:
        messages = []
        self._dbt(*command, settings=settings, messages=messages)
        return re.findall(r"^ +- (.*)$", "\n".join(messages), re.MULTILINE)

    def _dbt(
        self,
        command: str,
        *options: str,
        settings: dict | None = None,
        messages: list | None = None,
    ):
        """Run a command that must succeed, unless its messages are asked for."""
        # Imported here: it takes a second, which a run of other tests should not pay.
        from dbt.cli.main import dbtRunner

        manifest: Manifest | None = getattr(self, "manifest", None)
        settings = json.dumps(BOTH_SOURCES | (settings or {}))
        # However quiet, compile prints the SQL of a model.
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            for name in _foreign_settings():
                patch.delenv(name)
            # A database in memory bears the same name wherever it is: the SQL runs on any.
            patch.setenv("LOYALTY_WAREHOUSE", ":memory:")
            listen = [lambda event: messages.append(event.info.msg)] if messages is not None else []
            run = dbtRunner(manifest=manifest, callbacks=listen).invoke(
                [command, *options, *self.base, "--vars", settings]
            )
        assert run.success or messages, f"dbt {command} failed: {run.exception or run.result}"
        return run.result


def run_sql(
    models: Iterable[Model],
    raw: dict[str, list[dict]],
    clock: datetime | None = None,
    time_zone: str = "UTC",
    run: gate.Run | None = None,
) -> dict[str, list[dict]]:
    """Run compiled models over raw inputs in a new database and return the marts.

    Rows without a source_system are those of files. clock: what the run takes for the present,
    where it is not the moment of compilation. time_zone: the session's, which must not matter.
    run: see open_marts.
    """
    with open_marts(models, raw, clock, time_zone, run) as con:
        return read_marts(con, _customer_ids(con))


@contextmanager
def open_marts(
    models: Iterable[Model],
    raw: dict[str, list[dict]],
    clock: datetime | None = None,
    time_zone: str = "UTC",
    run: gate.Run | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Do what run_sql does, and lend the database that holds the marts.

    run: what the gate knows of the run, where rows may break rules. Without it none do.
    """
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        con.execute(f"set TimeZone = '{time_zone}'")
        _load(con, raw)
        _run(con, models, clock, run)
        yield con


def stage(con: duckdb.DuckDBPyConnection, models: Iterable[Model], raw: dict[str, list[dict]]):
    """Run the staging models alone over raw inputs, in an empty database."""
    _load(con, raw)
    _run(con, [model for model in models if _floor(model) == 0])


def _load(con: duckdb.DuckDBPyConnection, raw: dict[str, list[dict]]) -> None:
    con.execute("create schema raw; create schema staging")
    for name, columns in INPUTS.items():
        rows = {"demo": [], "files": []}
        for row in raw.get(name) or []:
            rows[row.get("source_system") or "files"].append(row)
        _create(con, f"raw.{name}", columns, rows["demo"])
        landed = [
            row | {"_source_file": f"{name}.csv", "_source_row": number}
            for number, row in enumerate(rows["files"], start=2)
        ]
        table = name.replace("raw_", "raw.landed_")
        _create(con, table, (*columns, "_source_file", "_source_row"), landed)


def _run(
    con: duckdb.DuckDBPyConnection,
    models: Iterable[Model],
    clock: datetime | None = None,
    run: gate.Run | None = None,
) -> None:
    clocks = 0
    con.execute("create schema quality")
    con.execute("create table quality.staged_inputs (input varchar, staged_by varchar)")
    con.executemany("insert into quality.staged_inputs values (?, 'test')", [[x] for x in INPUTS])
    for floor, rest in groupby(sorted(models, key=_floor), key=_floor):
        # Between the two is the gate, which is not SQL.
        if floor == 1:
            _find_broken_rows(con, run)
        if floor == 2 and run:
            engine = DuckDBEngine(con)
            results = gate.validate_left(engine, run, read_staged_results(engine))
            relation(engine, results).create("quality.gx_validation_results")
        for model in rest:
            schema = model.relation.rpartition(".")[0]
            con.execute(f"create schema if not exists {schema}")
            sql = model.sql
            if clock:
                sql, found = CLOCK.subn(f"cast('{clock:%Y-%m-%d %H:%M:%S}' as timestamp)", sql)
                clocks += found
            con.execute(f"create {model.materialized} {model.relation} as {sql}")
    assert clocks or not clock, "the SQL has no clock that could be set"


def _floor(model: Model) -> int:
    *_, schema, table = model.relation.replace('"', "").split(".")
    if table.startswith("remaining_"):
        return 1
    return {"staging": 0, "quality": 1}.get(schema, 2)


def _find_broken_rows(con: duckdb.DuckDBPyConnection, run: gate.Run | None) -> None:
    """Do what the models gx_staged_results and quarantine_reasons do."""
    results = gate.validate(DuckDBEngine(con), run, dict.fromkeys(INPUTS, "test")) if run else []
    relation(DuckDBEngine(con), results).create("quality.gx_staged_results")
    if not run:
        con.execute(
            "insert into quality.gx_staged_results (input, staged_by) from quality.staged_inputs"
        )
    gate.broken_rows(DuckDBEngine(con), run, results).create("quality.quarantine_reasons")


def _create(con: duckdb.DuckDBPyConnection, table: str, columns: tuple, rows: list[dict]) -> None:
    """Create a table of text, but for the row number, in the order of its rows."""
    con.execute(
        f"create table {table} as select "
        + ", ".join(
            f"unnest(cast(? as {'bigint' if column == '_source_row' else 'varchar'}[])) as {column}"
            for column in columns
        ),
        [[row.get(column) for row in rows] for column in columns],
    )


# --- whole commands --------------------------------------------------------------------------


@dataclass(frozen=True)
class DbtRun:
    """A dbt command that has ended, and the databases it wrote to."""

    exit_code: int
    output: str
    warehouse: str
    published: str

    def marts(self) -> dict[str, list[dict]]:
        """Return the marts it built; only where it succeeded."""
        assert self.exit_code == 0, self.output
        with duckdb.connect(self.warehouse, read_only=True) as con:
            ids = _customer_ids(con)
        with duckdb.connect(getattr(self, MARTS_OF), read_only=True) as con:
            return read_marts(con, ids)


def run_dbt(
    home: Path,
    *args: str,
    vars: dict | None = None,
    warehouse: Path | None = None,
    published: Path | None = None,
    cwd: Path | None = None,
    project: Path = PROJECT,
    env: dict[str, str] | None = None,
    unit_tests: bool = False,
    fresh: bool = False,
    changes: dict[str, Sequence[tuple[str, str]]] | None = None,
) -> DbtRun:
    """Run a dbt command of a project, in a fork of a process that has loaded dbt: see forks.py.

    It writes below home only. Two runs with the same home, or the same warehouse, see the same
    database. A build leaves unit tests out, as make build does, unless it is to run them.

    fresh: in a process that starts with nothing, where its start matters.
    changes: of files of models and macros, as if they had been made before dbt parsed them.
    """
    warehouse = warehouse or home / "loyalty.duckdb"
    published = published or home / "dashboards.duckdb"
    command, own = dbt_command(home, *args, vars=vars, project=project, unit_tests=unit_tests)
    own |= {"LOYALTY_WAREHOUSE": str(warehouse), "LOYALTY_PUBLISHED": str(published)} | (env or {})
    cwd = str(cwd or project)
    if fresh:
        run = subprocess.run(
            command,
            cwd=cwd,
            env=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        return DbtRun(run.returncode, run.stdout, str(warehouse), str(published))
    code, output = Request("dbt", command[1:], cwd, own, str(project), changes or {}).run()
    return DbtRun(code, output, str(warehouse), str(published))


def start_dbt(home: Path, *args: str, env: dict[str, str] | None = None, **options: Any) -> Fork:
    """Start a dbt command in a fork: see run_dbt and dbt_command."""
    command, own = dbt_command(home, *args, **options)
    project = str(options.get("project", PROJECT))
    return Request("dbt", command[1:], project, own | (env or {}), project).start()


def dbt_command(
    home: Path,
    *args: str,
    vars: dict | None = None,
    project: Path = PROJECT,
    unit_tests: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Return a dbt command that writes below home only, and its environment: see run_dbt."""
    databases = {
        "LOYALTY_WAREHOUSE": str(home / "loyalty.duckdb"),
        "LOYALTY_PUBLISHED": str(home / "dashboards.duckdb"),
    }
    command = [str(Path(sys.executable).with_name("dbt")), *args, *_folders(home, project)]
    if args[0] == "build" and not unit_tests:
        command += ["--exclude-resource-type", "unit_test"]
    if "--debug" not in args:
        # A tenth of the work, which nobody reads.
        command += ["--log-level-file", "none"]
    if vars:
        command += ["--vars", json.dumps(vars)]
    return command, environment() | databases


def environment() -> dict[str, str]:
    """Return the environment of a command, without the settings of the user who runs the tests."""
    own = {k: v for k, v in os.environ.items() if k not in _foreign_settings()}
    return own | {"NO_COLOR": "1"}


def copy_project(copy: Path) -> Path:
    """Copy the project to a new folder, without what is built or installed, and return it."""
    made = ("target", "logs", "warehouse", "*.egg-info", "__pycache__", "profiles.yml", ".*")
    return shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*made))


def _folders(home: Path, project: Path = PROJECT) -> list[str]:
    """Options that keep a command out of the checkout, with a profile made from the example."""
    profiles = home / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "profiles.example.yml", profiles / "profiles.yml")
    return [
        f"--project-dir={project}",
        f"--profiles-dir={profiles}",
        f"--target-path={home / 'target'}",
        f"--log-path={home / 'logs'}",
        "--no-use-colors",
    ]


def _foreign_settings() -> list[str]:
    """Name the environment variables of the user who runs the tests that would change a run."""
    return [name for name in os.environ if name.startswith(("DBT_", "LOYALTY_"))]


def once(folder: Path, name: str, make: Callable[[], dict]) -> dict:
    """Make something once for all processes that share a folder; the others wait for it."""
    made, lock = folder / f"{name}.json", folder / f"{name}.lock"
    patience = time.monotonic() + 900
    while not made.exists():
        assert time.monotonic() < patience, f"{name} was never made"
        try:
            lock.mkdir()
        except FileExistsError:
            time.sleep(0.1)
            continue
        try:
            if not made.exists():
                draft = made.with_suffix(".draft")
                draft.write_text(json.dumps(make()), encoding="utf-8")
                draft.rename(made)
        finally:
            lock.rmdir()
    return json.loads(made.read_text(encoding="utf-8"))


# --- marts read back -------------------------------------------------------------------------


def read_marts(con: duckdb.DuckDBPyConnection, ids: dict[str, str]) -> dict[str, list[dict]]:
    """Return every mart as rows; customers with the ids behind their keys."""
    found = {mart: rows_of(con, f"select * from marts.{mart}") for mart in MARTS}
    for row in found["customers"]:
        row["customer_id"] = ids.get(row["customer_key"])
    return found


def _customer_ids(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(
        con.execute("select customer_key, customer_id from clean.clean_customers").fetchall()
    )


def rows_of(con: duckdb.DuckDBPyConnection, sql: str, values: Sequence = ()) -> list[dict]:
    """Return what a query finds, as rows."""
    result = con.execute(sql, values)
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


# --- folders of files ------------------------------------------------------------------------


def write_csv(folder: Path, raw: dict[str, list[dict]]) -> None:
    """Write raw inputs as a folder of CSV files; None is an empty field."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in raw.items():
        _write_csv(folder / f"{name}.csv", name, rows)


def write_csv_in_parts(folder: Path, raw: dict[str, list[dict]]) -> None:
    """Write raw inputs as a folder of folders, one for each input, with three CSV files each."""
    for name, rows in raw.items():
        (folder / name).mkdir(parents=True)
        for part in range(3):
            _write_csv(folder / name / f"part {part}.csv", name, rows[part::3])


def _write_csv(path: Path, name: str, rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, INPUTS[name], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(folder: Path, raw: dict[str, list[dict]]) -> None:
    """Write raw inputs as a folder of Parquet files, their columns typed, ids and words text."""

    def moment(text: str) -> datetime:
        read = datetime.fromisoformat(text)
        return read if read.tzinfo is None else read.astimezone(UTC).replace(tzinfo=None)

    typed = {
        "timestamp": (moment, ("signed_up_at", "ordered_at", "responded_at")),
        "date": (str, ("rate_date", "started_on", "ended_on")),
        "decimal(18, 4)": (Decimal, ("amount", "refunded_amount", "monthly_amount")),
        "decimal(18, 10)": (Decimal, ("rate_to_reporting",)),
        "double": (float, ("score",)),
        "bigint": (int, ("scale_min", "scale_max")),
    }
    kinds = {column: (type_, read) for type_, (read, known) in typed.items() for column in known}
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as con:
        for name, rows in raw.items():
            lists, items = [], []
            for column in INPUTS[name]:
                type_, read = kinds.get(column, ("varchar", str))
                texts = [(row.get(column) or "").strip() for row in rows]
                # A date alone is none in UTC.
                if type_ == "timestamp" and any(len(text) == 10 for text in texts):
                    type_, read = "varchar", str
                lists.append([read(text) if text else None for text in texts])
                items.append(f"unnest(cast(? as {type_}[])) as {column}")
            con.execute(f"create or replace table input as select {', '.join(items)}", lists)
            con.table("input").write_parquet(str(folder / f"{name}.parquet"))


def read_folder(folder: Path) -> dict[str, list[dict]]:
    """Read a folder of CSV and Parquet files into raw inputs; extra columns stay."""
    raw = {}
    for name in INPUTS:
        files = [*folder.glob(f"{name}.*"), *(folder / name).glob("*.*")]
        if files:
            raw[name] = [row for path in sorted(files) for row in _read(path)]
    return raw


def _read(path: Path) -> list[dict]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'UTC'")
        return rows_of(con, "select columns(*)::varchar from read_parquet(?)", [str(path)])
