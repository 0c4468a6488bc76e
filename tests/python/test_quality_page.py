"""docs/quality.md: its tables of rules and faults match the gate.

``python tests/python/test_quality_page.py`` regenerates them.
"""

from __future__ import annotations

import re
from pathlib import Path

from customer_loyalty.gate import rules
from customer_loyalty.inputs.faults import FILE_RULES
from faults import FAULTS
from test_files import READ, REFUSED
from warehouse import PROJECT

PAGE = PROJECT / "docs" / "quality.md"
TABLE = "<!-- {name} -->\n\n{lines}\n\n<!-- end -->"


def table_of_faults(found: dict[str, list[str]]) -> list[str]:
    """The faults that each rule reports."""
    return [
        "| rule | faults |",
        "| --- | --- |",
        *(f"| `{rule}` | {'; '.join(names)} |" for rule, names in found.items() if names),
    ]


def faults_of_rows() -> list[str]:
    """Every rule that reports faults of rows."""
    found: dict[str, list[str]] = {}
    for fault in FAULTS:
        found.setdefault(fault.rules[0], []).append(fault.name)
    return table_of_faults(found)


def faults_of_files() -> list[str]:
    """Every rule that reports faults of files."""
    found: dict[str, list[str]] = {rule: [] for rule in FILE_RULES}
    for name, case in REFUSED.items():
        found[case.rule].append(name)
    return table_of_faults(found)


def no_faults() -> list[str]:
    """Oddities of files that are not faults."""
    return ["; ".join(READ) + "."]


def rules_of(name: str) -> list[str]:
    """The rules of an input, without those on shrinkage, which have a section of their own."""
    lines = ["| rule | action | what it requires | what to do |", "| --- | --- | --- | --- |"]
    for rule in rules.load_suite(name):
        if "_not_shrunk" not in rule.name:
            lines.append(f"| `{rule.name}` | {rule.action} | {rule.says} | {rule.remedy} |")
    return lines


def rules_of_files() -> list[str]:
    """The rules of files, which all stop."""
    lines = ["| rule | what it requires | what to do |", "| --- | --- | --- |"]
    return lines + [f"| `{rule}` | {says} | {do} |" for rule, (says, do) in FILE_RULES.items()]


def tables() -> dict[str, list[str]]:
    """The tables of the page by name."""
    return {
        **{f"rules of {name}": rules_of(name) for name in rules.SUITES},
        "rules of files": rules_of_files(),
        "faults of rows": faults_of_rows(),
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


def test_the_tables_match_the_gate():
    page = PAGE.read_text("utf-8")
    right = filled(page, tables())
    missing = set(right.splitlines()) - set(page.splitlines())
    assert page == right, f"run python {Path(__file__).relative_to(PROJECT)}; it lacks {missing}"


def test_there_are_more_than_eighty_faults():
    assert len({fault.name for fault in FAULTS} | REFUSED.keys()) == len(FAULTS) + len(REFUSED) > 80


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8"), tables()), "utf-8")
