"""dbt commands in forks of a process that has loaded dbt, Great Expectations and the project.

To start dbt costs ten times what most commands of the tests do. The server is a fresh process, one
for all workers of pytest, so that nothing of the tests is open in it; each command is a fork of it,
with a working directory, an environment and an output of its own, that ends as dbt ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).resolve().parents[2]
NAME = "customer_loyalty"
# The environment variable by which the processes of a test run find their server.
FOLDER = "FOLDER_OF_FORKS"
# The settings that a parse reads: they enable models, or are in the YAML of them. All others are
# read when a model is compiled, and never change what is parsed.
PARSED_SETTINGS = ("sources", "raw_data", "raw_schema")
# Where a parse is reused for another folder, that folder takes the place of this one.
ANY_FOLDER = "/the folder of raw_data"
# What a build imports, of this project as well.
LOADED = ("dbt.adapters.duckdb", "dbt.cli.main", "dbt.task.build", "great_expectations", "daff")
LOADED += ("customer_loyalty.dbt_models", "customer_loyalty.plugin", "customer_loyalty.gate.judge")
# The command of the package that runs dbt.
BUILD = ["customer-loyalty", "build"]
# The database that the models are in is part of what is parsed.
PARSED_ENVIRONMENT = ("LOYALTY_TARGET", "LOYALTY_WAREHOUSE", "PGDATABASE")


# --- in the process of the tests -------------------------------------------------------------


class Fork:
    """A command that runs in a fork of the server: as much of a Popen as the tests need."""

    def __init__(self, connection: socket.socket, output: IO[bytes]) -> None:
        self._answers = connection.makefile("r", encoding="utf-8")
        self._connection = connection
        self._output = output
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self._connection.recv(1, socket.MSG_PEEK)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0) from None
            self._connection.settimeout(None)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, None where it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def output(self) -> str:
        """What it has printed so far, errors included."""
        # Not by read, which would move the place where it writes on.
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for its end, and return what it has printed."""
        self.wait(timeout)
        return self.output(), None


@dataclass(frozen=True)
class Request:
    """A command.

    program: one of PROGRAMS.
    arguments: what follows its name on the command line.
    project: the folder of the dbt project, or of the one that it is an unchanged copy of.
    changes: what takes the place of what in a file of models or macros, for this command only.
    """

    program: str
    arguments: list[str]
    cwd: str
    env: dict[str, str]
    project: str = str(PROJECT)
    changes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def option(self, name: str) -> list[str]:
        """Return an option and its value, nothing where it is not given."""
        at = self.arguments.index(name) if name in self.arguments else len(self.arguments)
        return self.arguments[at : at + 2]

    @property
    def settings(self) -> dict[str, Any]:
        """What --vars and --raw-data say."""
        [_, given] = self.option("--vars") or ("", "{}")
        folder = {"raw_data": self.option("--raw-data")[1]} if self.option("--raw-data") else {}
        return json.loads(given) | folder

    def run(self, timeout: float = 600) -> tuple[int, str]:
        """Run it in a fork; return its exit code, and what it printed."""
        fork = self.start()
        try:
            return fork.wait(timeout), fork.output()
        except subprocess.TimeoutExpired:
            fork.kill()
            raise

    def start(self) -> Fork:
        """Start it in a fork."""
        output = tempfile.TemporaryFile()  # noqa: SIM115
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(_server())
        socket.send_fds(connection, [b"."], [output.fileno()])
        connection.sendall(json.dumps(asdict(self)).encode())
        connection.shutdown(socket.SHUT_WR)
        return Fork(connection, output)


def begin() -> None:
    """Let this process and those that it starts have one server, which ends when this one does."""
    # A short path: the address of a socket has room for a hundred characters.
    os.environ[FOLDER] = tempfile.mkdtemp(prefix=f"dbt-{os.getpid()}-")


def end() -> None:
    """Leave nothing behind. The server ends with this process."""
    shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)


@cache
def _server() -> str:
    """Return the address of the server. The first to need it starts it, and the others wait."""
    if FOLDER not in os.environ:
        begin()
    folder = Path(os.environ[FOLDER])
    address = folder / "socket"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            # Kept, for it is not to be waited for.
            _server.process = subprocess.Popen(
                [sys.executable, __file__, address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert _server.process.stdout.readline(), "the server of dbt did not start"
    return str(address)


# --- in the server ---------------------------------------------------------------------------


def serve(address: str) -> None:
    """Fork for each request, as long as the process lives that began."""
    folder = Path(address).parent
    first = int(folder.name.split("-")[1])
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print("ready", flush=True)
    events = selectors.DefaultSelector()
    events.register(server, selectors.EVENT_READ)
    while is_alive(first):
        for key, _ in events.select(timeout=2):
            if key.fileobj is server:
                connection, _ = server.accept()
                ended, pid = fork(connection)
                events.register(ended, selectors.EVENT_READ, (connection, pid))
            else:
                events.unregister(key.fileobj)
                os.close(key.fileobj)
                connection, pid = key.data
                _, status = os.waitpid(pid, 0)
                with connection, contextlib.suppress(BrokenPipeError):
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    shutil.rmtree(folder, ignore_errors=True)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def fork(connection: socket.socket) -> tuple[int, int]:
    """Fork for a request, and return a pipe that closes when the fork ends, and its process id."""
    _, [output], _, _ = socket.recv_fds(connection, 1, 1)
    with connection.makefile("rb") as sent:
        request = Request(**json.loads(sent.read()))
    manifest = parsed(request)
    ended, alive = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        run(request, manifest)
    os.close(alive)
    os.close(output)
    connection.sendall(b"%d\n" % pid)
    return ended, pid


def run(request: Request, manifest: Manifest | None) -> NoReturn:
    """Be the command of a request."""
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    for node in manifest.nodes.values() if manifest else []:
        if node.config.get("raw_data") == ANY_FOLDER:
            node.config["raw_data"] = request.settings["raw_data"]
    for file, changes in request.changes.items():
        change(manifest, file, changes)
    if request.program != "pytest" and "--debug" not in request.arguments:
        make_no_debug_events()
    sys.argv = [request.program, *request.arguments]
    try:
        code = PROGRAMS[request.program](request, manifest)
    except SystemExit as end:
        code = end.code
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without a wait for the threads of libraries, which a fork has not.
    os._exit(code)


def make_no_debug_events() -> None:
    """Leave out dbt's debug events, which nobody reads: to make them is a fifth of a build."""
    from dbt_common.events.base_types import BaseEvent, DebugLevel
    from dbt_common.events.event_manager import EventManager

    def remember(event: DebugLevel, **values: Any) -> None:
        event.__dict__["values"] = values

    def fire(manager: EventManager, event: BaseEvent, level: Any = None, **options: Any) -> None:
        if isinstance(event, DebugLevel):
            if level is None:
                return
            # To be shown after all.
            BaseEvent.__init__(event, **event.__dict__.pop("values"))
        fire_event(manager, event, level, **options)

    fire_event = EventManager.fire_event
    DebugLevel.__init__ = remember
    EventManager.fire_event = fire


def run_dbt(request: Request, manifest: Manifest | None) -> NoReturn:
    from dbt.cli.main import cli

    cli.main(prog_name="dbt", obj={"manifest": manifest})


def run_build_and_retry(request: Request, manifest: Manifest | None) -> int:
    """Run a build that fails, and its retry once a file is gone, the last of the arguments.

    In one process, as orchestrators do that call dbt from Python.
    """
    from dbt.cli.main import dbtRunner

    *build, in_the_way = request.arguments
    dbt = dbtRunner(manifest)
    assert not dbt.invoke(build).success
    Path(in_the_way).unlink()
    assert dbt.invoke(["retry"]).success
    return 0


def run_customer_loyalty(request: Request, manifest: Manifest | None) -> NoReturn:
    """Run the package's command, which calls dbt in its own process."""
    import dbt.cli.main

    from customer_loyalty.cli import main

    dbt.cli.main.dbtRunner = partial(dbt.cli.main.dbtRunner, manifest)
    main(prog_name="customer-loyalty")


def change(manifest: Manifest, file: str, changes: list[tuple[str, str]]) -> None:
    """Put changes into what was parsed of a file, where each must be found once."""
    parsed_of_file = [
        (one, name)
        for many, name in ((manifest.nodes, "raw_code"), (manifest.macros, "macro_sql"))
        for one in many.values()
        if one.original_file_path == file and one.package_name == NAME
    ]
    for old, new in changes:
        [(one, name)] = [pair for pair in parsed_of_file if old in getattr(*pair)]
        assert getattr(one, name).count(old) == 1, f"{file} has {old!r} more than once"
        setattr(one, name, getattr(one, name).replace(old, new))


def run_dbt_on_spark(request: Request, manifest: Manifest | None) -> NoReturn:
    """Run a dbt command in a process in which PyHive is mended as a build does it."""
    from customer_loyalty.engines.spark import run_python_models_here

    run_python_models_here(None)
    run_dbt(request, manifest)


def run_pytest(request: Request, manifest: None) -> int:
    """Run tests of a copy of the project and its package; return the exit code."""
    import pytest

    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]
    sys.path.insert(0, request.cwd)
    return pytest.main(request.arguments)


PROGRAMS = {
    "dbt": run_dbt,
    "dbt on Spark": run_dbt_on_spark,
    "dbt build, then retry": run_build_and_retry,
    "customer-loyalty": run_customer_loyalty,
    "pytest": run_pytest,
}


manifests: dict[str, Manifest | None] = {}


def parsed(request: Request) -> Manifest | None:
    """Return the project as it is parsed for a request, None where its fork has to parse itself.

    That is for pytest, for commands that do it anyway, for changed copies of the project, and for
    what is wrong or strange enough to be found while dbt parses.
    """
    is_dbt = request.program.startswith("dbt")
    if (
        request.project != str(PROJECT)
        or not (is_dbt or [request.program, *request.arguments][:2] == BUILD)
        or request.arguments[0] in ("parse", "retry")
        or "--no-partial-parse" in request.arguments
    ):
        return None
    try:
        settings = {x: y for x, y in request.settings.items() if x in PARSED_SETTINGS}
    except json.JSONDecodeError:
        return None
    environment = {x: y for x, y in request.env.items() if x in PARSED_ENVIRONMENT}
    folder = settings.get("raw_data")
    if folder and not (isinstance(folder, str) and folder[0] == "/" and "{" not in folder):
        return None
    if folder:
        settings["raw_data"] = ANY_FOLDER
    # The name of the database that the models are in.
    if file := environment.get("LOYALTY_WAREHOUSE"):
        environment["LOYALTY_WAREHOUSE"] = Path(file).name
    target = request.option("--target")
    key = json.dumps([settings, environment, target], sort_keys=True)
    if key not in manifests:
        manifests[key] = parse(settings, environment, *target)
        # Garbage is not looked for in it: to look would copy it, in each fork.
        gc.collect()
        gc.freeze()
    return manifests[key]


def parse(settings: dict, environment: dict[str, str], *target: str) -> Manifest | None:
    """Parse the project; None where that fails."""
    from dbt.cli.main import dbtRunner
    from dbt_common.clients.jinja import template_cache

    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(PROJECT / "profiles.example.yml", f"{home}/profiles.yml")
        os.environ.update(environment)
        options = [f"--project-dir={PROJECT}", f"--profiles-dir={home}", f"--target-path={home}"]
        options += ["--quiet", "--log-level-file=none", "--vars", json.dumps(settings)]
        options += target
        # It has threads of its own, for which a fork that parses as well would wait for ever.
        options += ["--no-static-parser"]
        done = dbtRunner().invoke(["parse", *options])
        os.environ.clear()
        os.environ.update(before)
    if not done.success:
        return None
    for macro in done.result.macros.values():
        template_cache.get_node_template(macro)
    return done.result


if __name__ == "__main__":
    for module in LOADED:
        importlib.import_module(module)

    # As the command dbt, it finds no modules beside itself.
    sys.path.remove(str(Path(__file__).parent))
    serve(sys.argv[1])
