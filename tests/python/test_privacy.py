"""Personal data stays in staging: it is planted in the inputs, and looked for everywhere else.

What may pass is noted at each planted value; SECURITY.md describes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import duckdb

from test_gate import clean, write
from warehouse import PROJECT, DbtRun, open_marts, rows_of

PERSONAL = {"email", "full_name", "comment"}
# Where personal data may be. Every other schema of the working database lies below.
STAGING = ("raw", "staging")
# Values of segments are not personal by contract: a name that was shifted there is a segment.
SEGMENTS = frozenset({"country", "language", "acquisition_channel", "channel", "segment"})
SEGMENTS |= {"language_code"}
# Ids name rows down to the working database's last floor; what is published has hashes of them.
IDS = frozenset({"customer_id", "order_id", "response_id", "subscription_id", "id"})

# What people type, with the syntax of CSV, SQL, Jinja, formats and terminals in it. Where it says
# MARK, a text stands that is nowhere else; where it says ZEICHEN, one of no ASCII letter.
TYPED = (
    "MARK Virtanen",
    "ZEICHEN 山田",
    "MARK.virtanen@example.com",
    "ZEICHEN@пример.рф",
    'O\'MARK "Q", 3 --; drop table marts.nps; /*',
    "'); select 'MARK",
    "{{ MARK }} {% raw %} %s %(x)s $HOME \\'",
    "MARK\nand a second line,\r\n\ta third",
    "\x1b[31mMARK\x1b[0m <b>&amp;</b>",
)


@dataclass(frozen=True)
class Plant:
    """What was planted in one field of the inputs.

    passes: the columns below staging that may hold it. is_published: whether they do so in the
    published database too. is_told: whether examples, and so the console and logs, may hold it.
    """

    mark: str
    passes: frozenset[str] = frozenset()
    is_published: bool = False
    is_told: bool = False


@dataclass
class Garden:
    """Inputs, and what was planted in them: what people type, in all personal columns."""

    raw: dict[str, list[dict]] = field(default_factory=clean)
    plants: list[Plant] = field(default_factory=list)

    def __post_init__(self):
        for row, typed in enumerate(TYPED, start=20):
            self.plant("raw_customers", row, "email", typed)
            self.plant("raw_customers", row, "full_name", typed)
            self.plant("raw_surveys", row, "comment", typed)

    def plant(self, name: str, row: int, column: str, typed: str, **allowed) -> str:
        """Write something into a field, and return it. row: as a spreadsheet counts."""
        tens, ones = divmod(len(self.plants), 10)
        mark = f"zq{'bcdfghklmn'[tens]}{'bcdfghklmn'[ones]}xj"
        foreign = f"щю{chr(0x4E00 + tens)}{chr(0x4E10 + ones)}"
        text = typed.replace("MARK", mark).replace("ZEICHEN", foreign)
        self.raw[name][row - 2][column] = text
        self.plants.append(Plant(foreign if foreign in text else mark, **allowed))
        return text


def found_in(plants: Iterable[Plant], data: bytes) -> set[str]:
    """Return the marks that bytes hold, spelt as text, as an escape or as a part of an address."""
    data = data.lower()
    return {
        one.mark
        for one in plants
        for spelling in (one.mark, json.dumps(one.mark)[1:-1], quote(one.mark).lower())
        if spelling.encode() in data
    }


def columns_of(database: str) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield (schema, table, column, all of its text) for all tables and views of a database."""
    with duckdb.connect(database, read_only=True) as con:
        tables = con.execute("select table_schema, table_name from information_schema.tables")
        for schema, table in tables.fetchall():
            rows = rows_of(con, f'select columns(*)::varchar from "{schema}"."{table}"')
            for column in rows[0] if rows else ():
                text = "\n".join(row[column] or "" for row in rows)
                yield schema, table, column, text.encode()


def assert_kept(run: DbtRun, plants: list[Plant]) -> None:
    """Look for every plant in all that a command left behind."""
    staged: set[str] = set()
    for schema, table, column, text in columns_of(run.warehouse):
        if schema in STAGING:
            staged |= found_in(plants, text)
            continue
        is_told = column == "examples" and table in ("gx_staged_results", "gx_validation_results")
        kept = [one for one in plants if column not in one.passes and not (is_told and one.is_told)]
        assert not found_in(kept, text), f"{schema}.{table}.{column}"
    assert staged == {one.mark for one in plants}

    if Path(run.published).exists():
        kept = [one for one in plants if not one.is_published]
        for schema, table, column, text in columns_of(run.published):
            assert not found_in([one for one in kept if not one.is_told], text), (table, column)
            assert column == "examples" or not found_in(kept, text), (schema, table, column)

    # The output, the logs, what dbt compiled and noted down, the bytes of the published file.
    kept = [one for one in plants if not one.is_told]
    assert not found_in(kept, run.output.encode()), run.output
    # The log of what is not in the working database's file yet is a part of it.
    working = (Path(run.warehouse), Path(f"{run.warehouse}.wal"))
    files = [path for path in Path(run.warehouse).parent.rglob("*") if path.is_file()]
    files = [path for path in files if path not in working]
    assert {"dbt.log", "run_results.json", "manifest.json"} <= {path.name for path in files}
    for path in files:
        of_marts = path == Path(run.published)
        kept = [one for one in plants if not one.is_told and not (of_marts and one.is_published)]
        assert not found_in(kept, path.read_bytes()), path


def test_personal_columns_are_tagged_and_end_in_staging(project):
    tagged = {
        (node.name, column.name)
        for node in project.manifest.nodes.values()
        for column in node.columns.values()
        if column.config.meta.get("personal")
    }
    with open_marts(project.sql({}), clean()) as con:
        columns = con.execute(
            "select table_schema, table_name, column_name from information_schema.columns"
        ).fetchall()
    personal = [(schema, table, column) for schema, table, column in columns if column in PERSONAL]
    assert {(table, column) for _, table, column in personal} == tagged
    assert {column for _, column in tagged} == PERSONAL
    assert {schema for schema, *_ in personal} == set(STAGING)


def test_no_sql_below_staging_names_a_personal_column(project):
    code = {
        model.relation: model.sql
        for model in project.sql({})
        if model.relation.split(".")[-2].strip('"') not in STAGING
    }
    assert len(code) > 20
    # What reads no table of the warehouse's own, or none at all.
    for node in project.manifest.nodes.values():
        if node.resource_type != "seed" and node.fqn[1] != "staging":
            code[node.unique_id] = node.raw_code
    named = re.compile(rf"\b({'|'.join(PERSONAL)})\b", re.IGNORECASE)
    assert [name for name, sql in code.items() if named.search(sql)] == []


def test_a_build_that_passes_keeps_personal_data_in_staging(dbt, tmp_path):
    """All that is dirty are rules that warn."""
    garden = Garden()
    segment = {"passes": SEGMENTS, "is_published": True}
    garden.plant("raw_customers", 30, "country_code", "MARK Virtanen", **segment)
    garden.plant("raw_customers", 31, "language_code", "ZEICHEN 山田", **segment)
    garden.plant("raw_customers", 32, "acquisition_channel", "O'MARK; --", **segment)
    garden.plant("raw_surveys", 30, "channel", "MARK@example.com", **segment)
    garden.plant("raw_surveys", 31, "language_code", "MARK Virtanen", **segment)
    # Ids of rows that a rule warns of, so that they are examples.
    for row, typed in enumerate(("MARK@example.com", "ZEICHEN\u00a0山田", "MARK, Maria"), start=33):
        id_ = garden.plant("raw_customers", row, "customer_id", typed, passes=IDS)
        garden.raw["raw_customers"][row - 2]["country_code"] = "XX"
        garden.raw["raw_orders"][row - 2]["customer_id"] = id_
        garden.raw["raw_surveys"][row - 2]["customer_id"] = id_
        garden.raw["raw_subscriptions"][row - 2]["customer_id"] = id_
    garden.plant("raw_orders", 20, "order_id", "MARK Virtanen", passes=IDS)
    garden.raw["raw_orders"][18] |= {"ordered_at": "2023-12-31", "currency_code": "EUR"}
    garden.plant("raw_surveys", 20, "response_id", "ZEICHEN@пример.рф", passes=IDS)
    garden.raw["raw_surveys"][18]["language_code"] = "xx"
    garden.plant("raw_subscriptions", 20, "subscription_id", "MARK Virtanen", passes=IDS)
    # One word may be an id, which is shown.
    garden.plant("raw_customers", 5, "customer_id", "MARK", passes=IDS, is_told=True)
    garden.raw["raw_customers"][3]["country_code"] = "XX"
    garden.raw["raw_surveys"] = [
        row for row in garden.raw["raw_surveys"] if row["customer_id"] != "004"
    ]

    everything = ("--store-failures", "--debug")
    run = dbt("build", *everything, vars=write(tmp_path / "data", garden.raw))

    assert run.exit_code == 0, run.output
    examples = [text for *_, column, text in columns_of(run.published) if column == "examples"]
    assert b"customer_id looks like aaaaaa@aaaaaaa.aaa" in b"".join(examples)
    assert_kept(run, garden.plants)
    # What may pass did: it was worth looking.
    segments = {one.mark for one in garden.plants if one.is_published}
    texts = [
        text for _, table, _, text in columns_of(run.published) if table in ("customers", "nps")
    ]
    assert found_in(garden.plants, b"\n".join(texts)) == segments


def test_a_build_that_is_stopped_keeps_personal_data_in_staging(dbt, tmp_path):
    """A broken quote shifts names into every column beside them."""
    garden = Garden()
    shifted = {
        "raw_customers": ("signed_up_at",),
        "raw_orders": (
            "customer_id",
            "ordered_at",
            "status",
            "currency_code",
            "amount",
            "refunded_amount",
        ),
        "raw_surveys": (
            "customer_id",
            "survey_type",
            "responded_at",
            "score",
            "scale_min",
            "scale_max",
        ),
        "raw_exchange_rates": ("currency_code", "rate_date", "rate_to_reporting"),
        "raw_subscriptions": (
            "customer_id",
            "started_on",
            "ended_on",
            "monthly_amount",
            "currency_code",
        ),
    }
    number = 0
    for name, columns in shifted.items():
        for row, column in enumerate(3 * columns, start=4):
            # One word may be an id; in any other column it may be a name.
            typed = "MARK" if row < 4 + len(columns) else TYPED[number % len(TYPED)]
            is_id = column in IDS
            allowed = {"passes": IDS & {column}, "is_told": is_id and typed == "MARK"}
            garden.plant(name, row, column, typed, **allowed)
            number += 1
    # Ids that appear twice are shown by another query.
    for name, column in (("raw_customers", "customer_id"), ("raw_orders", "order_id")):
        twice = garden.plant(name, 38, column, "MARK Virtanen", passes=IDS)
        garden.raw[name][37][column] = twice
    # One word, but not an id that is shown.
    garden.plant("raw_orders", 30, "order_id", "ZEICHEN", passes=IDS)
    garden.plant("raw_orders", 31, "order_id", "\x1b[31mMARK", passes=IDS)
    for row in (30, 31):
        garden.raw["raw_orders"][row - 2]["refunded_amount"] = "-1"
    # A rate is named by its currency: another row, for another rule.
    garden.plant("raw_exchange_rates", 20, "currency_code", "MARK")
    garden.raw["raw_exchange_rates"][18]["rate_to_reporting"] = ""

    run = dbt("build", "--debug", vars=write(tmp_path / "data", garden.raw))

    assert run.exit_code != 0
    assert "The gate is closed" in run.output
    # Nothing that a terminal obeys comes from the data.
    assert re.search(r"[^\n -~ -\U0010ffff]", run.output) is None
    assert_kept(run, garden.plants)


def test_a_customer_is_forgotten_as_the_page_says(dbt, tmp_path):
    raw = clean()
    raw["raw_customers"][-1] |= {"customer_id": "00042", "full_name": "MARK Virtanen"}
    run = dbt("build", vars=write(tmp_path / "data", raw))
    assert run.exit_code == 0, run.output
    del raw["raw_customers"][-1]
    page = (PROJECT / "docs" / "customer_history.md").read_text("utf-8")
    [steps] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    new = tmp_path / "dbt" / "new.duckdb"
    steps = steps.replace("warehouse/new.duckdb", str(new))
    exec(steps.replace("warehouse/loyalty.duckdb", run.warehouse), names := {})
    key = names["key"].encode()
    assert key in Path(run.warehouse).read_bytes()

    new.rename(run.warehouse)
    again = dbt("build", vars=write(tmp_path / "data", raw))

    assert again.exit_code == 0, again.output
    for database in (again.warehouse, again.published):
        left = [text for *_, text in columns_of(database)] + [Path(database).read_bytes()]
        assert not any(word in text for text in left for word in (key, b"MARK", b"00042"))
    with duckdb.connect(again.warehouse, read_only=True) as con:
        [history] = rows_of(con, "select count(*) as rows from snapshots.customer_history")
    assert history["rows"] == len(raw["raw_customers"])
