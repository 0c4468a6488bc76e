"""Time a whole build of a generated shop, folder by folder of models: make benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import duckdb
from generate import generate

PROJECT = Path(__file__).parent.parent
HOME = PROJECT / "target" / "benchmark"
# What belongs to no model of ours, by type of node.
OTHERS = {"test": "data tests", "seed": "seeds", "snapshot": "snapshots", "operation": "hooks"}


def main(orders: int) -> int:
    """Generate, build and report. Returns the exit code of the build."""
    data = HOME / f"{orders}"
    if not (data / "raw_subscriptions.parquet").exists():
        rows = generate(data, orders)
        print("Generated " + ", ".join(f"{count:,} {name}" for name, count in rows.items()))
    warehouse = HOME / "loyalty.duckdb"
    for path in (warehouse, HOME / "published.duckdb"):
        path.unlink(missing_ok=True)
    environment = os.environ | {
        "LOYALTY_WAREHOUSE": str(warehouse),
        "LOYALTY_PUBLISHED": str(HOME / "published.duckdb"),
        "DBT_TARGET_PATH": str(HOME / "target"),
        "DBT_LOG_PATH": str(HOME / "logs"),
    }
    program = str(Path(sys.executable).with_name("customer-loyalty"))
    command = [program, "build", "--raw-data", str(data)]
    began = time.monotonic()
    with (HOME / "build.log").open("w") as log:
        build = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdout=log,
            stderr=log,
        )
        _, status, used = os.wait4(build.pid, 0)
    wall = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    if code:
        print((HOME / "build.log").read_text())
        return code
    report(orders, data, warehouse, wall, used)
    return 0


def report(
    orders: int, data: Path, warehouse: Path, wall: float, used: resource.struct_rusage
) -> None:
    """Print what a build cost: in all, and the seconds that each folder's nodes took."""
    # In kilobytes on Linux, in bytes on macOS.
    memory = used.ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    typed = typed_size(data)
    print(
        f"customer_loyalty {version('customer-loyalty')}, dbt-core {version('dbt-core')}, DuckDB"
        f" {duckdb.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores,"
        f" {platform.machine()}\n\n"
        f"| orders | wall s | CPU s | memory GB | working database GB | of the typed data |\n"
        f"| --- | --- | --- | --- | --- | --- |\n"
        f"| {orders:,} | {wall:.1f} | {used.ru_utime + used.ru_stime:.1f} | {memory / 1e9:.2f}"
        f" | {warehouse.stat().st_size / 1e9:.2f} | {warehouse.stat().st_size / typed:.2f} |\n\n"
        f"| folder | seconds | slowest |\n| --- | --- | --- |"
    )
    nodes = json.loads((HOME / "target" / "manifest.json").read_text())["nodes"]
    seconds, slowest = Counter(), {}
    for result in json.loads((HOME / "target" / "run_results.json").read_text())["results"]:
        kind, _, *name = result["unique_id"].split(".")
        folder = OTHERS.get(kind) or nodes[result["unique_id"]]["fqn"][1]
        took = result["execution_time"]
        seconds[folder] += took
        if took >= slowest.get(folder, ("", 0))[1]:
            slowest[folder] = (name[0], took)
    for folder, total in seconds.most_common():
        name, took = slowest[folder]
        print(f"| {folder} | {total:.1f} | {name} {took:.1f} |")


def typed_size(data: Path) -> int:
    """The size of a database with nothing but the inputs, in their types."""
    path = HOME / "typed.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as con:
        for file in data.glob("*.parquet"):
            name = str(file).replace("'", "''")
            con.execute(f"create table {file.stem} as select * from '{name}'")
    size = path.stat().st_size
    path.unlink()
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("orders", type=int, help="about how many orders the shop has")
    sys.exit(main(parser.parse_args().orders))
