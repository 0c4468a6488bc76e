"""Accidents of a build: killed, out of disk, out of memory, not allowed to write any more.

After each the published database is whole, and is the one before or the new one; the next build
succeeds with no hand at it, and cleans up what was left.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.publish.database_file import BUILD_ID
from customer_loyalty.publish.publication import MARTS
from faults import clean
from forks import Fork, begin
from test_gate import write
from warehouse import dbt_command, start_dbt

Build = Fork | subprocess.Popen
# Root may write everywhere, unless it gives that up: 24 is PR_CAPBSET_DROP, 1 CAP_DAC_OVERRIDE.
OBEY = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)
# Seconds after which a build hangs, on a machine that has much else to do too.
PATIENCE = 900
# A disk of its own for a command, seen by nobody else and gone with it.
ON_A_SMALL_DISK = 'mount -t tmpfs -o size=200m tmpfs "$0" && exec "$@"'


class Shop:
    """A shop that is built again and again in one folder.

    fresh: each build is a process that starts with nothing.
    """

    def __init__(self, home: Path, fresh: bool = False):
        self.home = home
        self.fresh = fresh
        self.published = home / "dashboards.duckdb"
        self.vars = write(home / "data", clean())
        self.seconds = 0.0
        self.build()
        _, *self.marts = read_published(self.published)

    def start(self, vars: dict | None = None, fresh: bool = False) -> Build:
        vars = self.vars | (vars or {})
        if not (fresh or self.fresh):
            return start_dbt(self.home, "build", vars=vars)
        command, environment = dbt_command(self.home, "build", vars=vars)
        return subprocess.Popen(
            [sys.executable, "-c", OBEY, *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    def build(self, vars: dict | None = None) -> None:
        """Build, with no hand at what is there; nothing but databases may be left."""
        start = time.monotonic()
        process = self.start(vars)
        output, _ = process.communicate(timeout=PATIENCE)
        self.seconds = time.monotonic() - start
        assert process.returncode == 0, output
        kept = re.compile(rf"dashboards\.{BUILD_ID}\.duckdb")
        left = {path.name for path in self.home.iterdir() if not kept.fullmatch(path.name)}
        databases = {"loyalty.duckdb", "dashboards.duckdb", ".dashboards.duckdb.lock"}
        assert left == databases | {"data", "profiles", "target", "logs"}

    def build_id(self) -> str:
        """Return which build is published, after a look whether all of it is there."""
        paths = sorted(self.home.glob("dashboards.*duckdb"))
        for path in paths:
            with duckdb.connect(str(path), read_only=True) as con:
                for mart in MARTS:
                    [(rows, recorded)] = con.execute(
                        f"select count(*), max(rows_{mart}) from marts.{mart}"
                        " cross join marts.published_build"
                    ).fetchall()
                    assert rows == (recorded or 0), (path, mart)
        [[(build_id, *_)], *marts] = read_published(self.published)
        assert marts == self.marts
        return build_id


def read_published(path: Path) -> list[list[tuple]]:
    """Return the rows of ``published_build``, then those of each mart."""
    with duckdb.connect(str(path), read_only=True) as con:
        return [
            con.execute(f"select * from marts.{table}").fetchall()
            for table in ("published_build", *MARTS)
        ]


# --- accidents: what is done to a build that runs, and how it is undone ---------------------------


@contextmanager
def killed(shop: Shop, process: Build) -> Iterator[None]:
    process.send_signal(signal.SIGKILL)
    yield


@contextmanager
def disk_full(shop: Shop, process: Build) -> Iterator[None]:
    ballast = shop.home / "data" / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def files_may_not_grow(shop: Shop, process: Build) -> Iterator[None]:
    with suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    yield


@contextmanager
def memory_may_not_grow(shop: Shop, process: Build) -> Iterator[None]:
    with suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (1 << 26, 1 << 26))
    # dbt waits for ever for a thread that could not begin: somebody will end it then.
    end = threading.Timer(120, process.kill)
    end.start()
    try:
        yield
    finally:
        end.cancel()


@contextmanager
def folder_is_read_only(shop: Shop, process: Build) -> Iterator[None]:
    shop.home.chmod(0o500)
    try:
        yield
    finally:
        shop.home.chmod(0o700)


def in_the_build(shop: Shop, process: Build, draw: random.Random) -> None:
    """Wait for a random moment of a build."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, 0.9 * shop.seconds))


def in_the_publish(shop: Shop, process: Build, draw: random.Random) -> None:
    """Wait for the new file, and for a random moment on the way to its rename or after it."""
    new = shop.home / "dashboards.duckdb.new"
    while process.poll() is None and not new.exists():
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.4))


def suffer(shop: Shop, accident: Callable, moment: Callable, draw: random.Random) -> str:
    """Build, with an accident; return which build is published then: the old, or the new one."""
    before = shop.build_id()
    # Rights are given up where a program begins, and a fork prints to a file that may not grow.
    process = shop.start(fresh=accident in (folder_is_read_only, files_may_not_grow))
    moment(shop, process, draw)
    with accident(shop, process):
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"The build hangs: {process.communicate()[0]}")
    is_new = shop.build_id() != before
    if process.returncode == 0:
        assert is_new, output
        return "too late"
    assert "PUBLISHED: " not in output.replace("NOT PUBLISHED: ", "") or is_new, output
    assert not is_new or "NOT PUBLISHED: " not in output, output
    return "new" if is_new else "old"


def suffer_often(
    home: Path, accident: Callable, times: int, seed: str, fresh: bool = False
) -> Counter:
    """Let each moment have an accident so many times, with a recovery after each."""
    shop, draw = Shop(home, fresh), random.Random(seed)
    became = Counter()
    for moment in (in_the_build, in_the_publish) * times:
        became[suffer(shop, accident, moment, draw)] += 1
        shop.build()
    return became


def test_an_accident_leaves_one_build_or_the_other(tmp_path):
    """A few; make test-long has all of them, in many moments."""
    shop, draw = Shop(tmp_path), random.Random(0)
    for accident, moment in (
        (killed, in_the_publish),
        (files_may_not_grow, in_the_publish),
        (killed, in_the_build),
    ):
        suffer(shop, accident, moment, draw)
    shop.build()


def on_a_small_disk(home: Path, times: int, seed: str) -> Counter:
    """Fill a disk, in a process of its own."""
    home.mkdir()
    trial = ["unshare", "--mount", "sh", "-c", ON_A_SMALL_DISK, home, "true"]
    if not shutil.which("unshare") or subprocess.run(trial, check=False).returncode:
        pytest.skip("no disk can be mounted here; the limit on the size of files stands for it")
    command = [sys.executable, __file__, str(home), str(times), seed]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", ON_A_SMALL_DISK, home, *command],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return Counter(json.loads(done.stdout))


@pytest.mark.long
def test_any_accident_leaves_one_build_or_the_other(long_run, tmp_path, capsys):
    """Not for so many minutes, but KILLS times; a fourth of that for each other accident."""
    kills = int(os.environ.get("KILLS") or 200)

    def kill(moment: Callable) -> Counter:
        shop, draw = Shop(tmp_path / moment.__name__, fresh=True), random.Random(long_run.seed)
        became = Counter()
        while became["old"] + became["new"] < kills / 2:
            became[suffer(shop, killed, moment, draw)] += 1
            shop.build()
        return became

    with ThreadPoolExecutor(2) as two:
        jobs = {
            two.submit(kill, moment): f"killed {moment.__name__}"
            for moment in (in_the_build, in_the_publish)
        }
        for accident in (files_may_not_grow, memory_may_not_grow, folder_is_read_only):
            home = tmp_path / accident.__name__
            job = two.submit(suffer_often, home, accident, kills // 8, long_run.seed, True)
            jobs[job] = accident.__name__
        job = two.submit(on_a_small_disk, tmp_path / "disk", kills // 8, long_run.seed)
        jobs[job] = disk_full.__name__
        for job in as_completed(jobs):
            with capsys.disabled():
                print(f"{jobs[job]}: {dict(job.result())}, each with a recovery")


if __name__ == "__main__":
    # What was begun before does not see this disk.
    begin()
    disk, times, seed = sys.argv[1:]
    print(json.dumps(suffer_often(Path(disk) / "home", disk_full, int(times), seed)))
