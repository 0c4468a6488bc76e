"""docs/quality.md: its tables of rules and faults match the gate.

``python tests/python/test_quality_page.py`` regenerates them.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.gate import check as gate
from customer_loyalty.gate import examples, rules
from customer_loyalty.inputs.faults import FILE_RULES
from faults import FAULTS
from test_files import READ, REFUSED
from test_gate import RUN, all_at_once
from warehouse import PROJECT, Project, stage

PAGE = PROJECT / "docs" / "quality.md"
TABLE = "<!-- {name} -->\n\n{lines}\n\n<!-- end -->"


def faults_of_rows(project, monkeypatch) -> list[str]:
    """Every rule that finds a fault of a row: its action, its faults, and a row in the message."""
    monkeypatch.setattr(examples, "EXAMPLES", 1000)
    raw, _ = all_at_once()
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql({}), raw)
        results = {one.rule: one for one in gate.validate(DuckDBEngine(con), RUN)}
    shown = {rule: iter(one.examples.split("; ")) for rule, one in results.items() if one.examples}
    found: dict[str, list[str]] = {}
    rows: dict[str, str] = {}
    for fault in FAULTS:
        # In the order in which they were written into the rows.
        first, *others = [next(shown[rule]) for rule in fault.rules]
        assert all(first.partition(":")[0] in other for other in others)
        found.setdefault(fault.rules[0], []).append(fault.name)
        rows.setdefault(fault.rules[0], first)
    return [
        "| rule | action | faults | the first one in the message |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{rule}` | {results[rule].action} | {'; '.join(names)} | {rows[rule]} |"
            for rule, names in found.items()
        ),
    ]


def faults_of_files() -> list[str]:
    """Every rule for files with the faults that it finds."""
    found: dict[str, list[str]] = {rule: [] for rule in FILE_RULES}
    for name, case in REFUSED.items():
        found[case.rule].append(name)
    return [
        "| rule | faults |",
        "| --- | --- |",
        *(f"| `{rule}` | {'; '.join(names)} |" for rule, names in found.items() if names),
    ]


def no_faults() -> list[str]:
    """Oddities of files that are not faults."""
    return ["; ".join(READ) + "."]


def rules_of(name: str) -> list[str]:
    """The rules of an input."""
    lines = ["| rule | action | what it requires | what to do |", "| --- | --- | --- | --- |"]
    for rule in rules.load_suite(name):
        lines.append(f"| `{rule.name}` | {rule.action} | {rule.says} | {rule.remedy} |")
    return lines


def rules_of_files() -> list[str]:
    """The rules of files, which all stop."""
    lines = ["| rule | what it requires | what to do |", "| --- | --- | --- |"]
    return lines + [f"| `{rule}` | {says} | {do} |" for rule, (says, do) in FILE_RULES.items()]


def tables(project, monkeypatch) -> dict[str, list[str]]:
    """The tables of the page by name."""
    return {
        **{f"rules of {name}": rules_of(name) for name in rules.SUITES},
        "rules of files": rules_of_files(),
        "faults of rows": faults_of_rows(project, monkeypatch),
        "faults of files": faults_of_files(),
        "no faults": no_faults(),
    }


def filled(page: str, found: dict[str, list[str]]) -> str:
    """The page with its tables as they should be."""

    def fill(match: re.Match) -> str:
        return TABLE.format(name=match[1], lines="\n".join(found.pop(match[1])))

    page = re.sub(r"<!-- ([a-z_ ]+) -->\n(?s:.*?)<!-- end -->", fill, page)
    assert not found, f"docs/quality.md has no place for {', '.join(found)}"
    return page


def test_the_tables_are_those_of_the_gate(project, monkeypatch):
    page = PAGE.read_text("utf-8")
    right = filled(page, tables(project, monkeypatch))
    missing = set(right.splitlines()) - set(page.splitlines())
    assert page == right, f"run python {Path(__file__).relative_to(PROJECT)}; it lacks {missing}"


def test_there_are_more_than_eighty_faults():
    assert len({fault.name for fault in FAULTS} | REFUSED.keys()) == len(FAULTS) + len(REFUSED) > 80


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        found = tables(Project(Path(tempfile.mkdtemp())), patch)
    PAGE.write_text(filled(PAGE.read_text("utf-8"), found), "utf-8")
