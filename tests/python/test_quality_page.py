"""docs/quality.md: its tables of rules and faults are those of the gate.

``python tests/python/test_quality_page.py`` writes them anew.
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
    """Every fault of a row with the rule that finds it, what is done, and what is told."""
    monkeypatch.setattr(examples, "EXAMPLES", 1000)
    raw, _ = all_at_once()
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql({}), raw)
        results = {one.rule: one for one in gate.validate(DuckDBEngine(con), RUN)}
    told = {rule: iter(one.examples.split("; ")) for rule, one in results.items() if one.examples}
    lines = ["| fault | found by | action | message |", "| --- | --- | --- | --- |"]
    for fault in FAULTS:
        # In the order in which they were written into the rows.
        first, *others = [next(told[rule]) for rule in fault.rules]
        assert all(first.partition(":")[0] in other for other in others)
        rule = results[fault.rules[0]]
        lines.append(f"| {fault.name} | `{rule.rule}` | {rule.action} | {rule.says} {first} |")
    return lines


def faults_of_files() -> list[str]:
    """Every fault of a file with the rule that finds it."""
    return [
        "| fault | found by | action | what to do |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | `{case.rule}` | stop | {FILE_RULES[case.rule][1]} |"
            for name, case in REFUSED.items()
        ),
    ]


def no_faults() -> list[str]:
    """What is odd in a file and read as it is."""
    return ["; ".join(READ) + "."]


def rules_of(name: str) -> list[str]:
    """The rules of an input."""
    lines = ["| rule | action | says | what to do |", "| --- | --- | --- | --- |"]
    for rule in rules.load_suite(name)["expectations"]:
        meta = rule["meta"]
        lines.append(f"| `{meta['rule']}` | {meta['action']} | {meta['says']} | {meta['remedy']} |")
    return lines


def rules_of_files() -> list[str]:
    """The rules of files, which all stop."""
    lines = ["| rule | says | what to do |", "| --- | --- | --- |"]
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
