"""The command ``customer-loyalty``, which ``make`` calls to build, load, publish and roll back."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import duckdb
import yaml

from customer_loyalty.contract import RAW_SCHEMA
from customer_loyalty.engine import Target
from customer_loyalty.engines.choose import choose_target
from customer_loyalty.engines.duckdb import WAREHOUSE
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.gate.page import latest_check, render
from customer_loyalty.inputs.files import land_all
from customer_loyalty.lock import seconds_to_wait
from customer_loyalty.publish.database_file import PUBLISHED, kept_builds, last_build, roll_back
from customer_loyalty.publish.summary import summarise

relative_to_option = click.option(
    "--relative-to",
    default=".",
    type=click.Path(path_type=Path),
    help="The folder that relative paths start from.",
)
vars_option = click.option("--vars", "vars_json", default="", help="Settings as JSON.")
target_option = click.option(
    "--target",
    "target_name",
    default="",
    envvar="LOYALTY_TARGET",
    help="A target in profiles.yml, such as postgres; by default its default target.",
)

wait_option = click.option(
    "--wait",
    default="",
    envvar="LOYALTY_WAIT",
    help="Seconds to wait for another build, or until the working database is closed.",
)


@click.group()
def main() -> None:
    """Customer retention, churn, NPS, CLTV and CSAT as audited marts."""


@main.command()
@click.option("--raw-data", default="", help="A folder of files to use instead of the demo.")
@vars_option
@target_option
@wait_option
@relative_to_option
def build(raw_data: str, vars_json: str, target_name: str, wait: str, relative_to: Path) -> None:
    """Run dbt build in the current folder and summarise what it published.

    Exit codes: 0 published; 1 the gate is closed, a test failed, or a step was refused; 2 dbt could
    not run; 75 the working database is in use, and nothing was done.
    """
    check_project()
    variables = read_vars(raw_data, vars_json, relative_to)
    os.environ["LOYALTY_WAIT"] = wait
    # dbt reads YAML, in which some escapes and numbers of JSON differ or are invalid.
    vars_yaml = yaml.safe_dump(variables, default_flow_style=True, width=sys.maxsize)
    arguments = ["--vars", vars_yaml, *(["--target", target_name] if target_name else [])]
    with refusals_in_a_line():
        target = find_target(target_name, relative_to)
        with target.building(seconds_to_wait()):
            before = target.last_build()
            # Unit tests check the SQL, not the data: `make test` runs them, not every build.
            code = run_dbt("build", *arguments, "--exclude-resource-type", "unit_test")
            if code == 0 and target.last_build() == before:
                # dbt options in the environment, such as DBT_EMPTY, made the build incomplete.
                code = 1
        if code == 0:
            click.echo(summarise(target))
    sys.exit(code)


@main.command()
@click.option("--raw-data", default="", help="The folder of files.")
@vars_option
@target_option
@wait_option
@relative_to_option
def load(raw_data: str, vars_json: str, target_name: str, wait: str, relative_to: Path) -> None:
    """Load a folder of files into tables of the target's database, for sources: [tables].

    The tables are in the schema raw_schema (--vars). Their rows are replaced, all or none.
    Exit codes: 0 loaded; 1 a file or a table was refused; 75 another build or load is running.
    """
    check_project()
    variables = read_vars(raw_data, vars_json, relative_to)
    os.environ["LOYALTY_WAIT"] = wait
    if not variables.get("raw_data"):
        raise click.ClickException("Name the folder to load: make load RAW_DATA=folder.")
    schema = raw_schema(variables)
    with (
        refusals_in_a_line(),
        # For data that exceeds the memory.
        tempfile.TemporaryDirectory() as spilled,
        duckdb.connect(config={"temp_directory": spilled}) as con,
    ):
        con.execute("set TimeZone = 'UTC'")
        target = find_target(target_name, relative_to)
        landed = partial(land_all, con, variables["raw_data"])
        for name, rows in target.load(schema, landed, seconds_to_wait()).items():
            click.echo(f"{schema}.{name:<18} {rows:>12,} rows")
    given = {"raw_schema": schema} if "raw_schema" in variables else {}
    settings = shlex.quote(json.dumps({"sources": ["tables"], **given}))
    named = f" TARGET={shlex.quote(target_name)}" if target_name else ""
    click.echo(f"Build from them: make build{named} VARS={settings}")


def raw_schema(variables: dict[str, Any]) -> str:
    """The setting raw_schema, from the vars or else the project. Raises ClickException."""
    project = yaml.safe_load(Path("dbt_project.yml").read_text("utf-8"))["vars"]
    schema = variables.get("raw_schema", project["raw_schema"])
    if not isinstance(schema, str) or not re.fullmatch(RAW_SCHEMA, schema):
        raise click.ClickException(
            "raw_schema must be a name of at most 63 plain letters, digits and underscores, such as"
            f" shop; found {json.dumps(schema)}"
        )
    return schema


def check_project() -> None:
    """Raise ClickException if the current folder is not a dbt project."""
    if not Path("dbt_project.yml").is_file():
        raise click.ClickException(
            f"{Path.cwd()} is not a dbt project. Change to the checkout first."
        )


class TryAgainLater(click.ClickException):
    """Something is in use, and will be free later: exit code 75."""

    exit_code = os.EX_TEMPFAIL


@contextmanager
def refusals_in_a_line() -> Iterator[None]:
    """Turn refusals into click's errors: exit code 1, or 75 to try again later."""
    try:
        yield
    except Refusal as error:
        kind = TryAgainLater if isinstance(error, InUse) else click.ClickException
        raise kind(str(error)) from None


def find_target(name: str, relative_to: Path) -> Target:
    """A target in profiles.yml; the environment may name the files of DuckDB.

    Raises Refusal.
    """
    for variable, default in (("LOYALTY_WAREHOUSE", WAREHOUSE), ("LOYALTY_PUBLISHED", PUBLISHED)):
        os.environ[variable] = database(variable, default, relative_to)
    if given := os.environ.get("LOYALTY_SPARK"):
        os.environ["LOYALTY_SPARK"] = str(absolute(given, relative_to))
    return choose_target(
        name or None, os.environ["LOYALTY_WAREHOUSE"], os.environ["LOYALTY_PUBLISHED"]
    )


def run_dbt(*arguments: str) -> int:
    """Run a dbt command in this process, so that there is only one to kill; its exit code."""
    from dbt.cli.main import dbtRunner

    done = dbtRunner().invoke(list(arguments))
    return 0 if done.success else 2 if done.exception else 1


def read_vars(raw_data: str, vars_json: str, relative_to: Path) -> dict[str, Any]:
    """The vars for dbt: VARS with raw_data, as an absolute path. Raises ClickException."""
    try:
        variables = json.loads(vars_json or "{}")
    except json.JSONDecodeError as error:
        raise click.ClickException(
            f"VARS is not valid JSON ({error}). Write it as"
            ' VARS=\'{"reporting_currency": "USD"}\'.'
        ) from None
    if not isinstance(variables, dict):
        raise click.ClickException(
            "VARS is not a JSON object. Write it as VARS='{\"name\": value}'."
        )
    if raw_data:
        variables["raw_data"] = raw_data
    if variables.get("raw_data") and isinstance(variables["raw_data"], str):
        variables["raw_data"] = str(absolute(variables["raw_data"], relative_to))
    return variables


def database(name: str, default: str, relative_to: Path) -> str:
    """The database that an environment variable names, or the default in the current folder."""
    given = os.environ.get(name)
    return str(absolute(given, relative_to) if given else Path(default).absolute())


def published_file(relative_to: Path, target_name: str = "") -> Path:
    """The published database file, with links resolved.

    Raises Refusal, and ClickException if the target is not a DuckDB target.
    """
    target = find_target(target_name, relative_to)
    if not target.keeps_files:
        named = target_name or "the default target of profiles.yml"
        raise click.ClickException(
            f"Earlier builds can be listed and restored only on DuckDB, not on {named}."
        )
    return Path(os.path.realpath(target.place))


def absolute(path: str, relative_to: Path) -> Path:
    """A path made absolute, with ~ expanded. Raises ClickException."""
    try:
        return (relative_to / Path(path).expanduser()).absolute()
    except RuntimeError as error:
        raise click.ClickException(f"{path}: {error}") from None


@main.command("data-docs")
@click.option(
    "--output",
    default="target/data_docs.html",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.",
)
@target_option
@relative_to_option
def data_docs(output: Path, target_name: str, relative_to: Path) -> None:
    """Render the results of the gate's latest check as one HTML page that works offline.

    The check may be one that closed the gate.
    """
    try:
        page = render(latest_check(find_target(target_name, relative_to)))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except (Refusal, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Open {output} in a browser.")


@main.command()
@click.option(
    "--build",
    "build_id",
    default="",
    help="The id of the build; by default the one before the published one.",
)
@target_option
@relative_to_option
def rollback(build_id: str, target_name: str, relative_to: Path) -> None:
    """Restore an earlier build as the published database, in one rename.

    The build that it replaces is kept, so that --build can restore it.
    """
    with refusals_in_a_line():
        file = published_file(relative_to, target_name)
        back, replaced = roll_back(file, build_id or None)
    click.echo(
        f"ROLLED BACK: {file} is build {back.build_id} of {back.published_at} UTC again."
        + (f" To undo it: make rollback BUILD={replaced}" if replaced else "")
    )


@main.command()
@target_option
@relative_to_option
def builds(target_name: str, relative_to: Path) -> None:
    """List the published build, and the earlier ones that make rollback can restore."""
    with refusals_in_a_line():
        file = published_file(relative_to, target_name)
    published = last_build(file)
    listed = [(published["published_at"], published["build_id"], file)] if published else []
    listed += [(one.published_at, one.build_id, one.path) for one in kept_builds(file)]
    if not listed:
        raise click.ClickException(f"{file}: nothing has been published here yet.")
    for published_at, id_, path in listed:
        click.echo(f"{id_}  {published_at} UTC  {path}")


@main.command()
@click.argument("sql")
def query(sql: str) -> None:
    """Run SQL on the published database, read-only, and print the rows.

    Columns that do not fit are not printed: select the ones that you want.

    LOYALTY_PUBLISHED=FILE queries another database, such as the working database
    warehouse/loyalty.duckdb, which has everything that the marts are built from.
    """
    path = os.environ.get("LOYALTY_PUBLISHED") or PUBLISHED
    try:
        with duckdb.connect(path, read_only=True) as con:
            show(con, sql)
    except duckdb.Error as error:
        message = str(error)
        working = os.environ.get("LOYALTY_WAREHOUSE") or WAREHOUSE
        not_there = isinstance(error, duckdb.CatalogException) or not Path(path).exists()
        if not_there and Path(path).absolute() != Path(working).absolute():
            message += (
                f"\n{path} has only what was published. To query what it was built from, and what"
                f" a closed gate found, set LOYALTY_PUBLISHED={working}"
            )
        raise click.ClickException(message) from None


def show(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run a query and print its rows. Raises ClickException if it is not a query."""
    rows = con.sql(sql)
    if rows is None:
        raise click.ClickException(
            "The statement returned nothing. Pass a query, such as a select."
        )
    rows.show(max_width=160, max_rows=200)
