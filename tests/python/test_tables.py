"""Raw inputs as tables of a schema: what is read, what is refused, how files get there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from customer_loyalty.cli import main
from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.servers import check_working_schema
from customer_loyalty.errors import Refusal
from customer_loyalty.inputs.files import land_all
from faults import clean
from servers import Database, rows
from test_marts import assert_right, drawn, is_one_source
from warehouse import PROJECT, DbtRun, rows_of, run_dbt, write_csv
from worlds import worlds

TABLES = {"sources": ["tables"]}
# Of the columns that are no text: a type that the engines know, and all of its kinds are there.
TYPES = {
    "signed_up_at": "timestamp with time zone",
    "ordered_at": "timestamp with time zone",
    "responded_at": "timestamp",
    "rate_date": "date",
    "started_on": "timestamp",
    "ended_on": "date",
    "amount": "numeric(18, 4)",
    "refunded_amount": "numeric(18, 4)",
    "monthly_amount": "real",
    "rate_to_reporting": "double precision",
    "score": "double precision",
    "scale_min": "smallint",
    "scale_max": "bigint",
    "acquisition_channel": "boolean",
}


def make_tables(con: Any, raw: dict[str, list[dict]], mark: str, types: dict[str, str]) -> None:
    """Make tables of raw inputs in the schema shop, with a column too many, in another order.

    con: of either engine. mark: what stands for a value there. types: the rest is text.
    """
    cursor = con.cursor()
    cursor.execute("create schema if not exists shop")
    for name, texts in raw.items():
        columns = INPUTS[name][::-1]
        typed = ", ".join(f"{column} {types.get(column, 'text')}" for column in columns)
        marks = ", ".join(f"cast({mark} as {types.get(column, 'text')})" for column in columns)
        cursor.execute(f"drop table if exists shop.{name}")
        cursor.execute(f'create table shop.{name} ("Extra" integer, {typed})')
        values = [
            [typed_text(column, row.get(column), types) for column in columns] for row in texts
        ]
        if values:
            cursor.executemany(f"insert into shop.{name} values (1, {marks})", values)


def typed_text(column: str, text: str | None, types: dict[str, str]) -> str | None:
    """Return a value as both engines cast it to its type."""
    if column not in types or text is None:
        return text
    if column.endswith("_at") and text:
        moment = datetime.fromisoformat(text)
        return str(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    return text.strip() or None


@pytest.fixture
def world(random_seed: str) -> dict[str, list[dict]]:
    """Return the random inputs with the most to see, and a rate and channels for their types."""
    raw = max(
        (raw for raw in drawn(worlds({}), 200, random_seed) if is_one_source(raw)),
        key=lambda raw: (len(raw), sum(map(len, raw.values()))),
    )
    for number, row in enumerate(raw["raw_customers"]):
        row["acquisition_channel"] = ("true", "false", "")[number % 3]
    # As a double that is 4e-05.
    rate = {"currency_code": "VND", "rate_date": "2020-01-01", "rate_to_reporting": "0.00004"}
    order = raw["raw_orders"][0] | {"currency_code": "VND", "amount": "250000", "order_id": "vnd"}
    raw["raw_exchange_rates"].append(rate)
    raw["raw_orders"].append(order | {"refunded_amount": "", "status": "completed"})
    return raw


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., DbtRun]:
    """Return a function that builds from tables which another one makes in the warehouse."""

    def run(make: Callable[[duckdb.DuckDBPyConnection], object], **vars: object) -> DbtRun:
        home = tmp_path / "dbt"
        home.mkdir(exist_ok=True)
        with duckdb.connect(str(home / "loyalty.duckdb")) as con:
            make(con)
        return run_dbt(home, "build", vars=TABLES | vars)

    return run


def query(run: DbtRun, sql: str) -> list[dict]:
    with duckdb.connect(run.warehouse, read_only=True) as con:
        return rows_of(con, sql)


# --- values ----------------------------------------------------------------------------------

WITH, WITHOUT = "timestamp with time zone", "timestamp without time zone"
# A type, a value of it, and what staging makes of it: a value of which type of the contract. None
# is a value that can't be cast, whose text is kept; EMPTY is no value at all.
EMPTY = ""
VALUES = (
    (WITH, "2025-01-31 08:00:00.25+05:30", "timestamp", "2025-01-31 02:30:00.25"),
    (WITH, "1883-11-18 12:00:00+00", "timestamp", "1883-11-18 12:00:00"),
    (WITHOUT, "2025-01-31 08:00:00.123456", "timestamp", "2025-01-31 08:00:00.123456"),
    (WITHOUT, "2025-01-31", "date", "2025-01-31"),
    (WITHOUT, "2025-01-31 00:00:01", "date", None),
    ("date", "2025-03-01", "date", "2025-03-01"),
    ("date", "0999-12-31", "date", "0999-12-31"),
    ("date", "2025-03-01", "timestamp", "2025-03-01 00:00:00"),
    ("date", "infinity", "date", None),
    ("date", "-infinity", "timestamp", None),
    (WITHOUT, "infinity", "timestamp", None),
    (WITH, "infinity", "timestamp", None),
    (WITH, "2025-01-31 00:00:00+00", "date", "2025-01-31"),
    (WITH, "2025-01-31 00:00:00+01", "date", None),
    ("numeric(18, 10)", "0.0000000001", "decimal", "0.0000000001"),
    ("numeric(18, 10)", "0", "decimal", "0"),
    ("numeric(18, 4)", "-12345678901234.5678", "decimal", None),
    ("double precision", "0.00004", "decimal", "0.00004"),
    ("double precision", "-3e-10", "decimal", "-0.0000000003"),
    ("double precision", "12345678.5", "decimal", "12345678.5"),
    ("double precision", "1.2345678901234567e-05", "decimal", None),
    ("double precision", "1e300", "decimal", None),
    ("double precision", "19.990000000000002", "decimal", "19.99"),
    ("double precision", "-33.33333333333333", "decimal", "-33.3333333333"),
    ("double precision", "0.00000000033333333", "decimal", None),
    ("double precision", "99999999.99999999999", "decimal", None),
    ("double precision", "-Infinity", "decimal", None),
    ("double precision", "NaN", "decimal", EMPTY),
    ("double precision", "7", "integer", "7"),
    ("double precision", "7.5", "integer", None),
    ("double precision", "NaN", "integer", EMPTY),
    ("double precision", "42", "text", "42"),
    ("double precision", "9007199254740993", "text", "9007199254740992"),
    ("double precision", "42.5", "text", "42.5"),
    ("double precision", "NaN", "text", EMPTY),
    ("double precision", "45688", "timestamp", None),
    ("real", "33.3333", "decimal", "33.3333"),
    ("real", "1e-7", "decimal", "0.0000001"),
    ("real", "19.99", "decimal", "19.99"),
    ("real", "-7", "text", "-7"),
    ("bigint", "1735689600", "timestamp", None),
    ("bigint", "99999999", "decimal", "99999999"),
    ("bigint", "-100000000", "decimal", None),
    ("bigint", "42", "text", "42"),
    ("numeric(20, 12)", "1.5", "decimal", "1.5"),
    ("numeric(20, 12)", "0.00000000001", "decimal", None),
    ("smallint", "-2", "integer", "-2"),
    ("bigint", "2147483647", "integer", None),
    ("boolean", "true", "text", "true"),
    ("text", "1e-5", "decimal", None),
    ("text", "1e-5", "text", "1e-5"),
    ("text", " 007 ", "text", "007"),
    ("text", " 2025-01-31 ", "timestamp", "2025-01-31 00:00:00"),
)
# Types that only DuckDB has.
OF_DUCKDB = (
    ("timestamp_ns", "2025-12-31 23:59:59.999999999", "timestamp", "2025-12-31 23:59:59.999999"),
    ("timestamp_ns", "1924-12-31 23:59:59.999999999", "timestamp", "1924-12-31 23:59:59.999999"),
    ("timestamp_ns", "1969-12-31 23:59:59.999999000", "timestamp", "1969-12-31 23:59:59.999999"),
    ("timestamp_ns", "infinity", "timestamp", None),
    ("timestamp_ns", "2025-12-31 00:00:00.000000999", "date", "2025-12-31"),
    ("timestamp_s", "2025-12-31 23:59:59", "timestamp", "2025-12-31 23:59:59"),
    ("ubigint", "18446744073709551615", "decimal", None),
    ("ubigint", "18446744073709551615", "integer", None),
    ("ubigint", "18446744073709551615", "text", "18446744073709551615"),
    ("double", "1e20", "text", "100000000000000000000"),
    ("double", "123456789012345680", "text", "123456789012345680"),
    ("enum('a', 'b')", "b", "text", "b"),
)
# What DuckDB calls them.
DUCKDB_TYPES = {WITHOUT: "timestamp", "double precision": "double", "real": "float"}
READS = {
    "timestamp": ("value_at", "timestamp"),
    "date": ("value", "date"),
    "decimal": ("value", "decimal(18, 10)"),
    "integer": ("value", "integer"),
    "text": ("value", "text"),
}


def misread(values: Sequence[tuple], types: dict[str, str]) -> list[str]:
    """Return a dbt command that finds the numbers of the values that are read as another one.

    types: those that the engine calls otherwise.
    """
    queries = []
    for number, (type_, value, read, expected) in enumerate(values):
        column, read_as = READS[read]
        called = types.get(type_, type_)
        delivered = (
            f"(select cast('{value}' as {called}) as {column}, 'f' as _source_file,"
            " 1 as _source_row) as delivered"
        )
        rows = f"""{{{{ typed_rows(
            'x', \"{delivered}\", {{'{column}': \"{called}\"}}, {{'{column}': '{read_as}'}}
        ) }}}}"""
        literal = f"cast('{expected}' as {read_as})" if expected else "null"
        is_wrong = f"{column} is distinct from {literal}"
        if read != "text":
            is_kept = "is null" if expected is None else "is not null"
            is_wrong += f" or _uncast_{column} {is_kept}"
        queries.append(f"select {number} as number from ({rows}) as typed where {is_wrong}")
    sql = " union all ".join(queries).replace("\\", "")
    return ["show", "--quiet", "--output", "json", "--limit", "-1", "--inline", sql]


def wrong(values: Sequence[tuple], output: str) -> list[tuple]:
    """Return the values that dbt show printed the numbers of."""
    return [values[row["number"]] for row in json.loads(output[output.index("{") :])["show"]]


def test_values_of_any_type_are_read_as_the_same(dbt):
    values = VALUES + OF_DUCKDB
    run = dbt(*misread(values, DUCKDB_TYPES))
    assert run.exit_code == 0, run.output
    assert wrong(values, run.output) == []


# --- what is read ----------------------------------------------------------------------------


def test_tables_build_the_marts_of_the_same_rows_in_files(build, world):
    def make(con):
        make_tables(con, world, "?", TYPES)
        # A view, and names in another case, which DuckDB does not tell apart.
        con.execute("alter table shop.raw_orders rename to orders")
        con.execute('create view shop."RAW_Orders" as select * from shop.orders')

    assert_right(build(make).marts(), world, {"default_source": "tables"})


def test_an_optional_table_may_be_missing_and_a_row_is_found_again(build):
    """By the name of its table, or by what the table itself says."""
    everything = clean(rows=200)
    raw = {name: everything[name] for name in ("raw_customers", "raw_orders")}
    for row in raw["raw_orders"]:
        row["currency_code"] = "EUR"
    raw["raw_orders"][7]["amount"] = "-1"

    def make(con):
        make_tables(con, raw, "?", {})
        con.execute(
            "alter table shop.raw_customers add column _source_file text default 'crm.csv';"
            "alter table shop.raw_customers add column _source_row text default '7'"
        )

    built = build(make)
    marts = built.marts()
    [broken] = query(built, "select * from quality.gx_staged_results where not success")
    assert broken["examples"] == "order_id o8 (shop.raw_orders: amount -1)"
    [left_out] = query(built, "select * from quality.quarantined_raw_orders")
    assert (left_out["order_id"], left_out["_source_row"]) == ("o8", None)
    origins = "select distinct _source_file, _source_row from staging.staged_customers"
    assert query(built, origins) == [{"_source_file": "crm.csv", "_source_row": 7}]
    del raw["raw_orders"][7]
    assert_right(marts, raw, {"default_source": "tables"})


# --- what is refused -------------------------------------------------------------------------


def test_tables_that_can_not_be_read_are_reported_at_once(build, dbt, demo_build):
    def make(con):
        make_tables(con, clean(), "?", {})
        con.execute(
            'alter table shop.raw_orders rename customer_id to "Custmer ID";'
            "alter table shop.raw_orders drop amount;"
            "alter table shop.raw_customers rename to raw_customer;"
            "alter table shop.raw_surveys rename to raw_survey;"
            "drop table shop.raw_subscriptions;"
            "create table shop.stock as select 1 as one"
        )

    run = build(make)
    assert run.exit_code == 1
    faults = re.findall(r"^ +- (.*)$", run.output, re.MULTILINE)
    assert sorted(set(faults)) == [
        "shop.raw_customers: table or view not found. Found in the schema: raw_customer,"
        " raw_exchange_rates, raw_orders, raw_survey, stock. Rename raw_customer to raw_customers."
        " Create it, or set raw_schema to the schema of your tables.",
        "shop.raw_orders: missing columns: customer_id, amount. Found: extra, refunded_amount,"
        " currency_code, status, ordered_at, custmer id, order_id. Rename custmer id to"
        " customer_id. Add them, empty if you have no values; a view over the table"
        " will do.",
        "shop.raw_surveys: table or view not found. Rename raw_survey to raw_surveys. If"
        " that is something else, create shop.raw_surveys, without rows if you have none.",
    ]
    assert "NOT PUBLISHED" in run.output

    nowhere = build(lambda con: None, raw_schema="crm")
    assert nowhere.exit_code == 1
    assert "crm.raw_orders: table or view not found. Found in the schema: nothing." in (
        nowhere.output
    )

    # What makes nothing of the tables does without them.
    both = {"sources": ["demo", "tables"], "raw_schema": "crm"}
    shutil.copy(demo_build.warehouse, run.warehouse)
    for command in (["docs", "generate"], ["test", "--select", "staged_orders,test_type:unit"]):
        done = dbt(*command, vars=both)
        assert done.exit_code == 0, done.output


def test_duckdb_loads_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    for name in ("LOYALTY_WAREHOUSE", "LOYALTY_PUBLISHED"):
        monkeypatch.setenv(name, str(tmp_path / "x.duckdb"))
    monkeypatch.setenv("DBT_PROFILES_DIR", str(profiles(tmp_path)))
    for options, message in (
        (["--raw-data", "anywhere"], "DuckDB reads a folder of files itself: make build RAW_DATA="),
        ([], "Name the folder to load: make load RAW_DATA=folder."),
        (
            ["--raw-data", "anywhere", "--vars", '{"raw_schema": "a.b"}'],
            "raw_schema must be a name of at most 63 plain letters, digits and underscores, such as"
            ' shop; found "a.b"',
        ),
    ):
        done = CliRunner().invoke(main, ["load", *options])
        assert done.exit_code == 1 and message in done.output, done.output
        assert done.output.count("\n") == 1
    assert not (tmp_path / "x.duckdb").exists()


@pytest.mark.parametrize("schema", ["Loyalty", "prod-x", "", "a b", 'x"; drop table y', "a" * 42])
def test_a_working_schema_that_sql_would_have_to_quote_is_refused(schema):
    check_working_schema("working_2")
    with pytest.raises(Refusal, match=r"schema in profiles\.yml must be a name"):
        check_working_schema(schema)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("target", "setting", "message"),
    [
        ("postgres", "search_path: shop", "profiles.yml sets search_path"),
        ("spark", "use_ssl: true", "without TLS; profiles.yml has thrift and use_ssl"),
    ],
)
@pytest.mark.parametrize("command", ["build", "load"])
def test_a_profile_that_a_build_can_not_keep_to_is_refused(
    tmp_path, monkeypatch, target, setting, message, command
):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(profiles(tmp_path)))
    profile = tmp_path / "profiles.yml"
    engine = f"type: {target}\n"
    profile.write_text(profile.read_text().replace(engine, f"{engine}      {setting}\n"))
    options = ["--raw-data", "anywhere", "--vars", '{"raw_schema": "shop"}']
    done = CliRunner().invoke(
        main, [command, "--target", target, *(options if command == "load" else [])]
    )
    assert done.exit_code == 1 and message in done.output, done.output
    assert done.output.count("\n") == 1


def profiles(folder: Path) -> Path:
    """Return a folder with the profiles of the example."""
    shutil.copy(PROJECT / "profiles.example.yml", folder / "profiles.yml")
    return folder


# --- on PostgreSQL ---------------------------------------------------------------------------


@pytest.mark.engines
@pytest.mark.xdist_group("postgres")
def test_postgres_reads_tables_of_types_whatever_its_session_is(database, tmp_path, world):
    name = database.env["PGDATABASE"]
    for setting in ("datestyle = 'SQL, DMY'", "timezone = 'America/St_Johns'"):
        rows(database, f"alter database {name} set {setting}")
    done = database.dbt(tmp_path, *misread(VALUES, {}))
    assert done.exit_code == 0 and wrong(VALUES, done.output) == [], done.output

    with closing(database.connect()) as con:
        make_tables(con, world, "%s", TYPES)
    rows(database, "alter table shop.raw_orders rename to orders")
    rows(database, "create materialized view shop.raw_orders as select * from shop.orders")
    built = database.build(tmp_path, TABLES)
    assert built.exit_code == 0, built.output
    assert_right(database.marts(), world, {"default_source": "tables"})
    # What read a table keeps nobody from dropping it.
    rows(database, "drop materialized view shop.raw_orders")

    missing = database.build(tmp_path, TABLES)
    assert missing.exit_code == 1
    assert (
        "shop.raw_orders: table or view not found. Found in the schema: orders," in missing.output
    )


@pytest.fixture
def load(database: Database, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that loads inputs, or a folder, into a database."""

    def run(raw: dict | Path, *options: str) -> tuple[int, str]:
        folder = raw
        if isinstance(raw, dict):
            folder = tmp_path / "a folder"
            shutil.rmtree(folder, ignore_errors=True)
            write_csv(folder, raw)
        done = database.load(tmp_path, "--raw-data", str(folder), *options)
        return done.exit_code, done.output

    return run


def loaded(database: Database, schema: str = "shop") -> dict[str, list[tuple]]:
    return {
        name: sorted(tuple(row.values()) for row in rows(database, f"table {schema}.{name}"))
        for name in INPUTS
    }


@pytest.mark.engines
@pytest.mark.xdist_group("postgres")
def test_files_are_loaded_as_they_are_landed_and_built(database, load, tmp_path):
    raw = clean()
    hostile = ("\\.", "a\n\\.\nb", '"', "tab\there", "\\N", "NULL", "naïve ☕ 電話", "'; drop --")
    for row, text in zip(raw["raw_surveys"], hostile, strict=False):
        row["comment"] = text
    del raw["raw_subscriptions"]
    assert load(raw) == (
        0,
        "shop.raw_customers                39 rows\n"
        "shop.raw_orders                   39 rows\n"
        "shop.raw_surveys                  62 rows\n"
        "shop.raw_exchange_rates           29 rows\n"
        "shop.raw_subscriptions             0 rows\n"
        'Build from them: make build TARGET=postgres VARS=\'{"sources": ["tables"]}\'\n',
    )
    with duckdb.connect() as con:
        landed = land_all(con, str(tmp_path / "a folder"))
        expected = {name: sorted(relation.fetchall()) for name, relation in landed.items()}
    assert loaded(database) == expected

    built = database.build(tmp_path, TABLES)
    assert built.exit_code == 0, built.output
    assert_right(database.marts(), raw, {"default_source": "tables"})
    origin = "select distinct _source_file from working_staging.staged_orders"
    assert rows(database, origin) == [{"_source_file": "raw_orders.csv"}]


@pytest.mark.engines
@pytest.mark.xdist_group("postgres")
def test_a_load_replaces_rows_and_leaves_readers_and_grants_alone(database, load):
    assert load(clean())[0] == 0
    rows(database, "grant select on shop.raw_orders to public")
    rows(database, "create view mine as select count(*) as orders from shop.raw_orders")
    with closing(database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("begin isolation level repeatable read; select orders from mine")
        before = cursor.fetchall()
        assert load(clean(rows=7))[0] == 0
        cursor.execute("select orders from mine")
        assert cursor.fetchall() == before == [(39,)]
    assert rows(database, "select orders from mine") == [{"orders": 7}]
    granted = "select relacl::text as granted from pg_class where relname = 'raw_orders'"
    assert "=r/" in rows(database, granted)[0]["granted"]


@pytest.mark.engines
@pytest.mark.xdist_group("postgres")
def test_nothing_is_loaded_if_anything_is_refused(database, load, tmp_path):
    assert load(clean())[0] == 0
    before = loaded(database)

    # Files: all faults at once.
    bad = tmp_path / "bad"
    write_csv(bad, clean(rows=3))
    (bad / "raw_orders.csv").write_text("order_id;customer_id\n1;2\n")
    (bad / "raw_surveys.csv").rename(bad / "raw_survey.csv")
    code, output = load(bad)
    assert code == 1 and "raw_survey.csv is not named raw_surveys" in output
    assert "[header_is_first_line]" in output and "[input_name_is_exact]" in output
    code, output = load(tmp_path / "nowhere")
    assert (code, output.count("does not exist")) == (1, 1)

    # Tables: one of somebody else, under any kind of name; and one of load that somebody changed.
    rows(database, "create schema other; create table other.raw_orders (mine text)")
    rows(database, "create view other.raw_surveys as select 1 as mine")
    code, output = load(clean(), "--vars", '{"raw_schema": "other"}')
    assert code == 1 and output == (
        "Error: other.raw_orders, other.raw_surveys: already exists and was not created by load,"
        " which replaces only its own tables. Choose another schema with raw_schema: make load"
        ' VARS=\'{"raw_schema": "other_files"}\'.\n'
    )
    assert rows(database, "select to_regclass('other.raw_customers') as made") == [{"made": None}]
    rows(database, "alter table shop.raw_orders alter column amount type numeric using 1")
    code, output = load(clean(rows=3))
    assert code == 1 and "shop.raw_orders: created by load, but the columns were changed" in output
    rows(database, "alter table shop.raw_orders alter column amount type text using '12.5000'")
    for schema in ("marts", "quality", "working_staging"):
        code, output = load(clean(), "--vars", json.dumps({"raw_schema": schema}))
        assert code == 1 and f"raw_schema: {schema} is a schema of the marts" in output

    # The database itself, whose message must quote no row.
    rows(database, "alter table shop.raw_surveys add constraint short check (length(comment) < 9)")
    raw = clean(rows=3)
    raw["raw_surveys"][0]["comment"] = "Personal and long"
    code, output = load(raw)
    assert code == 1 and "violates check constraint" in output and "Personal" not in output
    assert loaded(database) == before


@pytest.mark.engines
@pytest.mark.xdist_group("postgres")
def test_a_load_and_a_build_keep_each_other_out(database, load, tmp_path):
    """No build reads customers of one load, and orders of the next."""
    assert load(clean())[0] == 0
    key = "hashtext('customer_loyalty load')"
    with closing(database.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"select pg_advisory_lock_shared({key})")
        code, output = load(clean(rows=3))
        assert code == 75 and "wait for it with make load WAIT=60" in output
        cursor.execute(f"select pg_advisory_unlock_shared({key}), pg_advisory_lock({key})")
        done = database.build(tmp_path, TABLES)
        assert done.exit_code == 75 and "are being loaded" in done.output
    assert len(loaded(database)["raw_orders"]) == 39
    assert load(clean(rows=3), "--wait", "5")[0] == 0
