"""The command ``customer-loyalty``: what ``make build`` calls, and a look at what was published."""

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
from customer_loyalty.engines.plugin import seconds_to_wait
from customer_loyalty.errors import InUse, Refusal
from customer_loyalty.gate.page import latest_check, render
from customer_loyalty.inputs.files import land_all
from customer_loyalty.publish.database_file import PUBLISHED, kept_builds, last_build, roll_back
from customer_loyalty.publish.summary import summarise

relative_to_option = click.option(
    "--relative-to",
    default=".",
    type=click.Path(path_type=Path),
    help="What relative folders are relative to.",
)
vars_option = click.option("--vars", "vars_json", default="", help="Settings as JSON.")
target_option = click.option(
    "--target",
    "target_name",
    default="",
    envvar="LOYALTY_TARGET",
    help="A target of profiles.yml, such as postgres; else its default.",
)

wait_option = click.option(
    "--wait",
    default="",
    envvar="LOYALTY_WAIT",
    help="Seconds to wait for another build, or whoever has the working database open.",
)


@click.group()
def main() -> None:
    """Customer retention, churn, NPS, CLTV and CSAT as audited marts."""


@main.command()
@click.option("--raw-data", default="", help="A folder of files instead of the demo.")
@vars_option
@target_option
@wait_option
@relative_to_option
def build(raw_data: str, vars_json: str, target_name: str, wait: str, relative_to: Path) -> None:
    """Run dbt build in the current folder and sum up what it published.

    Exits as dbt does: 0 means published, 1 a closed gate, a failed test or a refusal, 2 that dbt
    could not run; and 75, before anything was done, where the working database is in use.
    """
    check_project()
    variables = read_vars(raw_data, vars_json, relative_to)
    os.environ["LOYALTY_WAIT"] = wait
    # dbt reads YAML, which knows some escapes and numbers of JSON as others, or not at all.
    vars_yaml = yaml.safe_dump(variables, default_flow_style=True, width=sys.maxsize)
    arguments = ["--vars", vars_yaml, *(["--target", target_name] if target_name else [])]
    with refusals_in_a_line():
        target = find_target(target_name, relative_to)
        with target.building(seconds_to_wait()):
            before = target.last_build()
            # Unit tests judge the SQL, not the data: once in `make test`, not with every build.
            code = run_dbt("build", *arguments, "--exclude-resource-type", "unit_test")
            if code == 0 and target.last_build() == before:
                # Options of dbt in the environment, such as DBT_EMPTY, made it a part of a build.
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

    The tables stand in the schema raw_schema (--vars), and their rows are replaced, all at once.
    Exits with 1 where a file or a table is refused, and 75 while somebody builds; nothing is
    changed then.
    """
    check_project()
    variables = read_vars(raw_data, vars_json, relative_to)
    os.environ["LOYALTY_WAIT"] = wait
    if not variables.get("raw_data"):
        raise click.ClickException("Name the folder to load: make load RAW_DATA=folder.")
    schema = raw_schema(variables)
    with (
        refusals_in_a_line(),
        # What is too large for the memory.
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
    """The setting raw_schema: of the vars, else of the project. Raises ClickException."""
    project = yaml.safe_load(Path("dbt_project.yml").read_text("utf-8"))["vars"]
    schema = variables.get("raw_schema", project["raw_schema"])
    if not isinstance(schema, str) or not re.fullmatch(RAW_SCHEMA, schema):
        raise click.ClickException(
            "raw_schema must be a name of at most 63 plain letters, digits and underscores, such as"
            f" shop; found {json.dumps(schema)}"
        )
    return schema


def check_project() -> None:
    """Raises ClickException where the current folder is no dbt project."""
    if not Path("dbt_project.yml").is_file():
        raise click.ClickException(f"{Path.cwd()} is no dbt project: change to the checkout first.")


class TryAgainLater(click.ClickException):
    """Something is in use now, and will be free later."""

    exit_code = os.EX_TEMPFAIL


@contextmanager
def refusals_in_a_line() -> Iterator[None]:
    """Turn refusals into click's own, which ends the command with 1, or 75 to try again later."""
    try:
        yield
    except Refusal as error:
        kind = TryAgainLater if isinstance(error, InUse) else click.ClickException
        raise kind(str(error)) from None


def find_target(name: str, relative_to: Path) -> Target:
    """A target of profiles.yml; DuckDB's files are those that the environment names.

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
    """Run a dbt command in this process, which is so the only one to be killed; its exit code."""
    from dbt.cli.main import dbtRunner

    done = dbtRunner().invoke(list(arguments))
    return 0 if done.success else 2 if done.exception else 1


def read_vars(raw_data: str, vars_json: str, relative_to: Path) -> dict[str, Any]:
    """The vars for dbt: VARS, with raw_data in it, made absolute. Raises ClickException."""
    try:
        variables = json.loads(vars_json or "{}")
    except json.JSONDecodeError as error:
        raise click.ClickException(
            f'VARS is no JSON ({error}). Write it as VARS=\'{{"reporting_currency": "USD"}}\'.'
        ) from None
    if not isinstance(variables, dict):
        raise click.ClickException("VARS is no JSON object: write it as VARS='{\"name\": value}'.")
    if raw_data:
        variables["raw_data"] = raw_data
    if variables.get("raw_data") and isinstance(variables["raw_data"], str):
        variables["raw_data"] = str(absolute(variables["raw_data"], relative_to))
    return variables


def database(name: str, default: str, relative_to: Path) -> str:
    """The database that an environment variable names, else the default in the current folder."""
    given = os.environ.get(name)
    return str(absolute(given, relative_to) if given else Path(default).absolute())


def published_file(relative_to: Path, target_name: str = "") -> Path:
    """The published database itself, where its name is a link to it.

    Raises ClickException where the target is not of DuckDB.
    """
    if target_name and not find_target(target_name, relative_to).keeps_files:
        raise click.ClickException(
            f"Earlier builds can be listed and put back on DuckDB only, not on {target_name}."
        )
    return Path(os.path.realpath(database("LOYALTY_PUBLISHED", PUBLISHED, relative_to)))


def absolute(path: str, relative_to: Path) -> Path:
    """A path as its caller means it. Raises ClickException."""
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
    """Render the gate's latest results as one HTML page that reads offline.

    They are those of what was built last, a gate that closed included.
    """
    try:
        page = render(latest_check(find_target(target_name, relative_to)))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except (Refusal, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Open {output} in a browser.")


@main.command()
@click.option("--build", "build_id", default="", help="Which one, else the one before.")
@target_option
@relative_to_option
def rollback(build_id: str, target_name: str, relative_to: Path) -> None:
    """Put an earlier build back into the published database, in one rename.

    The build that it replaces is kept: name it with --build to put it back again.
    """
    target = published_file(relative_to, target_name)
    try:
        back, replaced = roll_back(target, build_id or None)
    except Refusal as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"ROLLED BACK: {target} is build {back.build_id} of {back.published_at} UTC again."
        + (f" To undo it: make rollback BUILD={replaced}" if replaced else "")
    )


@main.command()
@target_option
@relative_to_option
def builds(target_name: str, relative_to: Path) -> None:
    """List the published build, and the earlier ones that make rollback can put back."""
    target = published_file(relative_to, target_name)
    published = last_build(target)
    listed = [(published["published_at"], published["build_id"], target)] if published else []
    listed += [(one.published_at, one.build_id, one.path) for one in kept_builds(target)]
    if not listed:
        raise click.ClickException(f"{target}: nothing was published here yet.")
    for published_at, id_, path in listed:
        click.echo(f"{id_}  {published_at} UTC  {path}")


@main.command()
@click.argument("sql")
def query(sql: str) -> None:
    """Run SQL on the published database, read-only, and print the rows.

    Columns for which there is no room are left out: name those that you want.

    LOYALTY_PUBLISHED=FILE looks into another database. What the marts are made of is in the working
    one, warehouse/loyalty.duckdb.
    """
    path = os.environ.get("LOYALTY_PUBLISHED") or PUBLISHED
    try:
        with duckdb.connect(path, read_only=True) as con:
            show(con, sql)
    except duckdb.Error as error:
        told = str(error)
        working = os.environ.get("LOYALTY_WAREHOUSE") or WAREHOUSE
        not_there = isinstance(error, duckdb.CatalogException) or not Path(path).exists()
        if not_there and Path(path).absolute() != Path(working).absolute():
            told += (
                f"\n{path} has what was published. What it is made of, and what a closed gate"
                f" found: LOYALTY_PUBLISHED={working}"
            )
        raise click.ClickException(told) from None


def show(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run a query and print its rows. Raises ClickException where it returns none."""
    rows = con.sql(sql)
    if rows is None:
        raise click.ClickException("That is no query: nothing came back.")
    rows.show(max_width=160, max_rows=200)
