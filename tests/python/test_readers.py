"""Readers of the published database meet no error, and never see two builds together."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections import Counter
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path

import pytest

from customer_loyalty.publish.database_file import roll_back
from test_crashes import Shop, read_published
from test_publish import publish_build, working_database


def read_on(path: Path, stop, results) -> None:
    """Open, read and close until it is enough; report what was seen how often, and the errors."""
    seen, errors = Counter(), Counter()
    # As dashboards do, and not so fast that the build has no processor left.
    while not stop.wait(0.1) and parent_process().is_alive():
        try:
            seen[fingerprint(path)] += 1
        except Exception as error:
            errors[str(error)] += 1
    results.put((seen, errors))


def fingerprint(path: Path) -> tuple[str, str]:
    """Return the id of a build, and a hash of all its marts."""
    [[(build_id, *_)], *marts] = read_published(path)
    return build_id, hashlib.sha256(repr(marts).encode()).hexdigest()


@contextmanager
def readers(path: Path, seen: Counter, errors: Counter):
    """Let two processes read all the while."""
    spawn = get_context("spawn")
    stop, results = spawn.Event(), spawn.Queue()
    both = [spawn.Process(target=read_on, args=(path, stop, results)) for _ in range(2)]
    for one in both:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for _ in both:
            for counted, more in zip((seen, errors), results.get(timeout=60), strict=True):
                counted.update(more)
        for one in both:
            one.join()


def test_readers_see_one_build_or_the_next(tmp_path):
    published = tmp_path / "published.duckdb"
    seen, errors = Counter(), Counter()
    with working_database(tmp_path / "loyalty.duckdb") as con:
        whole = {fingerprint(publish_build(con, published, 0))}
        with readers(published, seen, errors):
            for number in range(1, 21):
                whole.add(fingerprint(publish_build(con, published, number)))
                time.sleep(0.1)
                if number % 5 == 0:
                    roll_back(published)
                    assert fingerprint(published) in whole
    assert not errors and set(seen) <= whole and len(seen) > 2, (errors, seen)


def many_builds(shop: Shop, builds: int) -> tuple[Counter, list[float], list[int]]:
    """Build again and again under readers; return what they saw, and each build's cost and size."""
    seen, errors, seconds, sizes = Counter(), Counter(), [], []
    whole = {fingerprint(shop.published)}
    with readers(shop.published, seen, errors):
        for number in range(builds):
            # Other marts each time.
            before = os.times()
            shop.build({"activity_window_days": 30 + number})
            after = os.times()
            seconds.append(sum(after[2:4]) - sum(before[2:4]))
            sizes.append((shop.home / "loyalty.duckdb").stat().st_size)
            whole.add(fingerprint(shop.published))
    assert len(whole) == builds + 1
    assert not errors and set(seen) <= whole, (errors, set(seen) - whole)
    return seen, seconds, sizes


def test_builds_in_a_row_under_readers(tmp_path):
    seen, _, sizes = many_builds(Shop(tmp_path), 2)
    assert len(seen) > 1 and max(sizes) <= 1.5 * sizes[0]


@pytest.mark.long
def test_a_hundred_builds_in_a_row(long_run, tmp_path, capsys):
    """Not for so many minutes, but BUILDS times."""
    builds = int(os.environ.get("BUILDS") or 100)
    seen, seconds, sizes = many_builds(Shop(tmp_path, fresh=True), builds)
    tenth = max(builds // 10, 3)
    first, last = (statistics.median(part) for part in (seconds[:tenth], seconds[-tenth:]))
    with capsys.disabled():
        print(
            f"{builds} builds, {seen.total()} reads of {len(seen)} builds, no error;"
            f" CPU of a build {first:.1f} s in the beginning, {last:.1f} s in the end; working"
            f" database {sizes[0]:,} bytes, at most {max(sizes):,}, in the end {sizes[-1]:,}"
        )
    assert len(seen) > builds / 2
    assert max(sizes) <= 2 * max(sizes[:tenth])
    assert last <= 1.3 * first
