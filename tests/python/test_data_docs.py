"""The page of the gate's results: it shows all faults, loads nothing, and escapes all text."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import astuple, fields, replace
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from customer_loyalty.cli import main
from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.duckdb import DuckDBTarget
from customer_loyalty.gate import check as gate
from customer_loyalty.gate.page import latest_check, render
from customer_loyalty.gate.results import LEDGER, RESULT_COLUMNS, Result, closes_gate
from faults import clean
from test_gate import write

RESULTS = "quality.gx_validation_results"
LEDGER = f"quality.{LEDGER}"
RUN = "0b3a4d0e-5d0c-4a63-9a50-3d2b6c1f7e11"
STAGED_BY = "the run that staged"
VOID = {"meta", "input", "wbr", "br", "hr", "link", "img"}

AMOUNT = {
    "unexpected_count": 3,
    "examples": "order_id o5 (raw_orders.csv row 6: amount -3); order_id o6 (raw_orders.csv row 7)",
}
COUNTRY = {"unexpected_count": 1200, "examples": "customer_id 006 (raw_customers.csv row 7)"}
TWICE = {"unexpected_count": 2, "examples": "order_id o9 (a.csv row 2); order_id o9 (b.csv row 2)"}


class Page(HTMLParser):
    """A parsed page, whose every element was opened and closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        # As SVG's elements are; HTML's own would stay open.
        assert "svg" in self.open, tag
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        # To every open element, the latest of its kind.
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def of(self, tag: str) -> list[str]:
        """The text of every element of a kind, with its blanks collapsed."""
        return [" ".join(text.split()) for text in self.texts.get(tag, [])]

    def values(self, attribute: str) -> list[str]:
        return [given[attribute] or "" for _, given in self.elements if attribute in given]


def results(**changes: dict) -> list[Result]:
    """The results of every rule there is, kept but for those that are named."""
    found = [
        Result(
            run_id=RUN,
            checked_at=datetime(2025, 6, 1, 12, 30, 5),
            input=name,
            column_name=rule.column,
            rule=rule.name,
            expectation=rule.type,
            action=rule.action,
            success=rule.name not in changes,
            element_count=4000,
            unexpected_count=0,
            examples=None,
            says=rule.says,
            remedy=rule.remedy,
            staged_by=STAGED_BY,
        )
        for name in INPUTS
        for rule in gate.load_suite(name)
    ]
    assert set(changes) <= {result.rule for result in found}
    return [replace(result, **changes.get(result.rule, {})) for result in found]


def warehouse(
    folder: Path, found: list[Result], *more: str, orders: tuple[int, int, int] = (0, 0, 40)
) -> str:
    """A working database with the gate's tables alone.

    more: SQL to run on it. orders: of the rows of raw_orders those that break a rule, that go with
    their customer, and that may break one.
    """
    path = folder / "loyalty.duckdb"
    path.unlink(missing_ok=True)
    quarantined, followed, most = orders
    over_limit = {"raw_orders"} if quarantined > most else set()
    found = [replace(one, closes_gate=closes_gate(one, over_limit)) for one in found]
    with duckdb.connect(str(path)) as con:
        con.execute("create schema quality")
        typed = ", ".join(map(" ".join, RESULT_COLUMNS.items()))
        con.execute(f"create table {RESULTS} ({typed})")
        con.executemany(
            f"insert into {RESULTS} values ({', '.join('?' * len(fields(Result)))})",
            [astuple(result) for result in found],
        )
        con.execute(f"create table {LEDGER} as select distinct input, staged_by from {RESULTS}")
        con.execute(
            f"""
            create table quality.input_summary as
            select input, 4000 as rows_in, broke + followed as rows_left_out,
                broke as rows_quarantined, followed as rows_followed,
                4000 - broke - followed as rows_used, {most} as max_rows_quarantined,
                broke > {most} as is_over_limit, staged_by
            from (
                select
                    input,
                    staged_by,
                    if(input = 'raw_orders', {quarantined}, 0) as broke,
                    if(input = 'raw_orders', {followed}, 0) as followed
                from {LEDGER}
            )
            """
        )
        for sql in more:
            con.execute(sql)
    return str(path)


def page(*args, **options) -> Page:
    return Page(rendered(warehouse(*args, **options)))


def rendered(path: str) -> str:
    """Return the page on the latest check in a working database."""
    return render(latest_check(DuckDBTarget(None, path, "nothing is published")))


def row_of(found: Page, name: str) -> str:
    """An input's row of the table of inputs."""
    return next(row for row in found.of("tr") if row.startswith(name))


# --- what it shows ---------------------------------------------------------------------------


def test_a_closed_gate_shows_what_is_wrong_where_and_what_to_do(tmp_path):
    broken = {
        "country_code_is_iso": COUNTRY,
        "amount_not_negative": AMOUNT,
        "order_id_unique": TWICE,
        "customers_not_empty": {"element_count": 0},
    }
    found = page(tmp_path, results(**broken))

    assert found.of("h1") == ["The gate is closed"]
    assert (
        "2 broken rules stop the build, in raw_customers and raw_orders." in found.of("header")[0]
    )
    assert "2025-06-01 12:30:05 UTC" in found.of("dl")[0] and RUN in found.of("dl")[0]
    articles = found.of("article")
    rules = {result.rule: result for result in results(**broken)}
    # The worst first.
    order = ["customers_not_empty", "order_id_unique", "amount_not_negative", "country_code_is_iso"]
    rows = ["The input as a whole", "2 of 4,000 rows", "3 of 4,000 rows", "1,200 of 4,000 rows"]
    does = ["Stops the build"] * 2 + ["The rows are left out", "Warning only"]
    places = ["raw_customers", "raw_orders.order_id", "raw_orders.amount"]
    places.append("raw_customers.country_code")
    assert len(articles) == len(order)
    for article, name, *texts in zip(articles, order, rows, does, places, strict=True):
        rule = rules[name]
        examples = (rule.examples or "").split("; ")
        for text in (name, rule.says, rule.remedy, rule.action, *texts, *examples):
            assert text in article, (name, text)
    assert "4,000" in row_of(found, "raw_orders")
    for name, number in (("raw_customers", 2), ("raw_surveys", 0)):
        rules = len(gate.load_suite(name))
        assert f"{number} of {rules}" in row_of(found, name)


def test_an_open_gate_shows_its_warnings(tmp_path):
    found = page(tmp_path, results(country_code_is_iso=COUNTRY))
    assert found.of("h1") == ["The gate is open, with warnings"]
    header = found.of("header")[0]
    assert "1 rule is broken, in raw_customers. These are only warnings" in header
    [article] = found.of("article")
    for text in ("Warning only", "1,200 of 4,000 rows", COUNTRY["examples"], "Map the code"):
        assert text in article


def test_an_open_gate_shows_every_rule_that_was_kept(tmp_path):
    found = page(tmp_path, results())
    does = {
        "stop": "Stops the build",
        "quarantine": "The rows are left out",
        "warn": "Warning only",
    }
    assert found.of("h1") == ["The gate is open"]
    assert found.of("article") == []
    details = found.of("details")
    assert len(details) == len(INPUTS)
    for result in results():
        row = f"{result.rule}{result.says}{does[result.action]}{result.expectation}"
        assert found.of("tr").count(row) == 1
    assert "open" not in {
        name for tag, given in found.elements if tag == "details" for name in given
    }


def test_rows_left_out_are_shown(tmp_path):
    found = page(tmp_path, results(amount_not_negative=AMOUNT), orders=(3, 1001, 40))
    assert found.of("h1") == ["The gate is open, with warnings"]
    assert "1,004 rows are left out" in found.of("header")[0]
    row = row_of(found, "raw_orders")
    for text in ("1,004", "2,996", "The rows are left out"):
        assert text in row, text
    assert "3 rows break a rule, at most 40 allowed" in row
    assert "1,001 rows belong to customers left out" in row
    assert "The rows are left out" in found.of("article")[0]


def test_too_many_rows_to_leave_out_close_the_gate(tmp_path):
    found = page(tmp_path, results(amount_not_negative=AMOUNT), orders=(3, 0, 2))
    assert found.of("h1") == ["The gate is closed"]
    limit = "at most 2 may be quarantined (max_quarantined_share)."
    assert f"3 rows of raw_orders break a rule, and {limit}" in found.of("header")[0]
    assert "Stops the build" in found.of("article")[0]


@pytest.mark.parametrize(
    ("rule", "found", "message"),
    [
        (
            "orders_not_empty",
            {"success": True},
            "Broken by the remaining rows, after others were left out",
        ),
        ("amount_not_negative", AMOUNT, "Also broken by rows that were not left out"),
    ],
)
def test_a_rule_broken_by_remaining_rows_closes_the_gate(tmp_path, rule, found, message):
    found = page(tmp_path, results(**{rule: {**found, "left_success": False}}))
    assert found.of("h1") == ["The gate is closed"]
    [article] = found.of("article")
    for text in ("Stops the build", rule, message):
        assert text in article


def test_a_warning_broken_by_remaining_rows_does_not_close_the_gate(tmp_path):
    broken = {**COUNTRY, "left_success": False}
    found = page(tmp_path, results(country_code_is_iso=broken), orders=(1, 0, 40))
    assert found.of("h1") == ["The gate is open, with warnings"]


@pytest.mark.parametrize("table", [LEDGER, "quality.input_summary"])
def test_an_input_staged_again_is_reported(tmp_path, table):
    staged_again = f"update {table} set staged_by = 'another run' where input = 'raw_orders'"
    found = page(tmp_path, results(), staged_again)
    assert found.of("h1") == ["The gate is closed"]
    assert "raw_orders was staged again after this check." in found.of("header")[0]


# --- how it is made --------------------------------------------------------------------------


@pytest.fixture(params=["closed", "warned", "open", "quarantine"])
def any_page(request, tmp_path) -> Page:
    broken = {"country_code_is_iso": COUNTRY, "amount_not_negative": AMOUNT}
    return {
        "closed": lambda: page(tmp_path, results(**broken), orders=(3, 1, 2)),
        "warned": lambda: page(tmp_path, results(country_code_is_iso=COUNTRY)),
        "open": lambda: page(tmp_path, results()),
        "quarantine": lambda: page(tmp_path, results(**broken), orders=(3, 1, 40)),
    }[request.param]()


def test_the_page_loads_nothing(any_page):
    [policy] = [given["content"] for _, given in any_page.elements if "http-equiv" in given]
    assert policy.startswith("default-src 'none'")
    loading = ("src", "srcset", "href", "xlink:href", "data", "poster", "action", "background")
    assert [value for name in loading for value in any_page.values(name)] == []
    for code in (*any_page.of("style"), *any_page.of("script"), *any_page.values("style")):
        assert not re.search(r"//|url\(|@import|image-set|fetch|import\(|https?:", code)
    assert "link" not in {tag for tag, _ in any_page.elements}


def test_the_page_is_accessible(any_page):
    tags = [tag for tag, _ in any_page.elements]
    assert dict(any_page.elements)["html"]["lang"] == "en"
    assert any_page.of("title")[0].startswith(any_page.of("h1")[0])
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in given for tag, given in any_page.elements if tag == "th")
    ids = any_page.values("id")
    assert len(ids) == len(set(ids))
    assert {*any_page.values("aria-labelledby"), *any_page.values("for")} <= set(ids)


def test_colours_have_contrast(tmp_path):
    [style] = page(tmp_path, results()).of("style")
    themes = [dict(re.findall(r"--(\w+): (#\w+);", block)) for block in style.split("@media")[:2]]
    for theme in themes:
        assert theme.keys() > {"paper", "ink", "soft", "stop", "quarantine", "warn", "kept"}
        for name in theme.keys() - {"paper", "line", "tint"}:
            lightest, darkest = sorted((luminance(theme[name]), luminance(theme["paper"])))[::-1]
            assert (lightest + 0.05) / (darkest + 0.05) >= 4.5, (name, theme)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("success", "shown"),
    [
        (False, ("run_id", "column_name", "rule", "examples", "says", "remedy")),
        (True, ("run_id", "rule", "expectation", "says")),
    ],
)
def test_no_text_is_markup(tmp_path, success, shown):
    evil = "</bdi></style></script><script>alert('{}')</script><!-- &lt; \"x\" {{{{ 7 }}}} \u202e"
    bad = {name: evil.format(name) for name in shown}
    rule = replace(results()[0], success=success, unexpected_count=0 if success else 5)
    found = page(tmp_path, [replace(rule, **bad)])
    assert found.of("script") == page(tmp_path, [rule]).of("script")
    for name in shown:
        # Set off from what is written around it, whatever its direction.
        assert any(bad[name] in text for text in found.texts["bdi"]), name


def test_the_same_check_gives_the_same_page(tmp_path):
    path = warehouse(tmp_path, results(amount_not_negative=AMOUNT))
    assert rendered(path) == rendered(path)


# --- the command -----------------------------------------------------------------------------


def data_docs(path: Path | str, output: Path):
    return CliRunner().invoke(
        main, ["data-docs", "--output", str(output)], env={"LOYALTY_WAREHOUSE": str(path)}
    )


def refused(path: Path | str, output: Path) -> str:
    """What the command says where it can't write the page: one line, no traceback."""
    run = data_docs(path, output)
    assert run.exit_code == 1 and isinstance(run.exception, SystemExit), run.output
    assert not output.exists()
    [line] = run.output.splitlines()
    assert line.startswith(f"Error: {path}: ")
    return line


def test_without_results_one_line_says_why(tmp_path):
    output = tmp_path / "page.html"
    assert "this database does not exist" in refused(tmp_path / "nothing.duckdb", output)
    assert "this database does not exist" in refused(tmp_path, output)
    (tmp_path / "text.duckdb").write_text("no database " * 1000)
    assert "can't be read" in refused(tmp_path / "text.duckdb", output)
    duckdb.connect(str(tmp_path / "new.duckdb")).close()
    assert "never checked" in refused(tmp_path / "new.duckdb", output)
    died = warehouse(tmp_path, results(), f"delete from {RESULTS}")
    assert "the last run ended before it checked them" in refused(died, output)
    for change in ("drop table quality.input_summary", f"alter table {RESULTS} drop left_success"):
        older = warehouse(tmp_path, results(), change)
        assert "built by an older version" in refused(older, output)


def test_a_database_open_for_writing_is_named(tmp_path):
    path = warehouse(tmp_path, results())
    hold = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        assert "another process is writing to it" in refused(path, tmp_path / "page.html")
        holder.communicate("\n")
    assert data_docs(path, tmp_path / "new" / "page.html").exit_code == 0


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    run = data_docs(warehouse(tmp_path, results()), tmp_path / "file" / "page.html")
    assert run.exit_code == 1 and run.output.startswith("Error: "), run.output


def test_the_page_of_a_build_agrees_with_the_gate(demo_build, tmp_path):
    assert data_docs(demo_build.warehouse, tmp_path / "page.html").exit_code == 0
    assert "The gate is open" in Page((tmp_path / "page.html").read_text("utf-8")).of("h1")[0]


def test_the_page_of_a_closed_gate_agrees_with_it(dbt, tmp_path):
    raw = clean()
    raw["raw_orders"].append(raw["raw_orders"][-1])
    run = dbt("build", "--select", "+quality_gate", vars=write(tmp_path / "bad", raw))
    assert "The gate is closed" in run.output
    assert data_docs(run.warehouse, tmp_path / "page.html").exit_code == 0
    found = Page((tmp_path / "page.html").read_text("utf-8"))
    assert found.of("h1") == ["The gate is closed"]
    [article] = found.of("article")
    for text in ("order_id_unique", "2 of 40 rows", "order_id o39 (raw_orders.csv row 41)"):
        assert text in article
