"""The pages: what they show comes out, their links lead somewhere, dbt speaks with their words."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from customer_loyalty.cli import read_vars, show
from customer_loyalty.publish.publication import MARTS
from warehouse import PROJECT, open_marts, read_folder

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
INDEX = PROJECT / "docs" / "README.md"
COMMAND = ".venv/bin/customer-loyalty query "
# A fenced block: the settings of a build, if any, then a query of the published database (or of the
# working one) and the table that it prints.
EXAMPLE = re.compile(
    r"^```\w*\n"
    r"(?:\$ make build VARS='(?P<vars>[^']+)'\n)?"
    r"\$ (?P<working>LOYALTY_PUBLISHED=warehouse/loyalty\.duckdb )?"
    rf'{re.escape(COMMAND)}"(?P<sql>[^"]+)"\n'
    r"(?P<table>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found, seen = set(), Counter()
    for heading in HEADING.findall(FENCED.sub("", page.read_text("utf-8"))):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def links(page: Path) -> list[tuple[Path, str]]:
    """Return where a page's relative links lead, with their anchors."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text("utf-8")))
    return [
        ((page.parent / link["path"]).resolve() if link["path"] else page, link["anchor"] or "")
        for link in LINK.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_shows_the_actual_output(page, request):
    text = page.read_text("utf-8")
    examples = list(EXAMPLE.finditer(text))
    assert len(examples) == text.count(COMMAND), "an example that nothing runs"
    for example in examples:
        if example["vars"]:
            printed = under_settings(request.getfixturevalue("project"), example)
        else:
            build = request.getfixturevalue("demo_build")
            database = build.warehouse if example["working"] else build.published
            printed = queried(database, example["sql"])
        assert printed.strip() == example["table"].strip()


def queried(database: str, sql: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "customer_loyalty", "query", sql],
        env={**os.environ, "LOYALTY_PUBLISHED": database},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def under_settings(project, example: re.Match) -> str:
    """Return what the query prints after a build of the demo with the settings above it."""
    models = project.sql(read_vars("", example["vars"], PROJECT))
    raw = {
        name: [row | {"source_system": "demo"} for row in rows]
        for name, rows in read_folder(PROJECT / "seeds").items()
    }
    with open_marts(models, raw) as con, redirect_stdout(io.StringIO()) as printed:
        show(con, example["sql"])
    return printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_are_not_broken(page):
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert not broken, "\n".join(broken)


def test_every_doc_block_is_used(project):
    manifest = project.manifest
    used = set()
    for node in [*manifest.nodes.values(), *manifest.sources.values()]:
        used.update(node.doc_blocks, *(column.doc_blocks for column in node.columns.values()))
    # dbt shows the overview of itself.
    used.add("doc.customer_loyalty.__overview__")
    blocks = {name for name in manifest.docs if name.startswith("doc.customer_loyalty.")}
    assert blocks and sorted(blocks - used) == []


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_is_described_by_its_page(project, mart):
    node = project.marts[mart]
    page = PROJECT / "docs" / "metrics" / f"{node.name}.md"
    [block] = node.doc_blocks
    assert project.manifest.docs[block].original_file_path == name_of(page)
    assert [name for name, column in node.columns.items() if not column.doc_blocks] == []
    assert EXAMPLE.search(page.read_text("utf-8")), "no numbers of the demo shop"


def test_every_mart_is_listed(project):
    overview = project.manifest.docs["doc.customer_loyalty.__overview__"].block_contents
    readme = (PROJECT / "README.md").read_text("utf-8")
    published = project.manifest.nodes["model.customer_loyalty.published_build"].columns
    for mart in MARTS:
        name = project.marts[mart].name
        assert re.search(rf"model\.customer_loyalty\.{name}[.)]", overview), f"overview: {name}"
        assert f"[`{name}`](docs/metrics/{name}.md)" in readme, f"README: {name}"
        assert f"rows_{mart}" in published, f"_published__models.yml: rows_{mart}"


def test_every_page_is_in_the_index():
    listed = {target for target, _ in links(INDEX)}
    pages = {page for page in PAGES if INDEX.parent in page.parents}
    assert sorted(pages - listed) == [INDEX]
