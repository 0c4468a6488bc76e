"""dbt commands in forks of a process that has loaded dbt, Great Expectations and the project.

To start dbt costs ten times what most commands of the tests do. The server is a fresh process, one
for each process of pytest, so that nothing of the tests is open in it; each command is a fork of
it, with a working directory, an environment and an output of its own, that ends as dbt ends.
"""

from __future__ import annotations

import atexit
import contextlib
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
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).resolve().parents[2]
NAME = "customer_loyalty"
# The settings that a parse reads: they enable models, or are in the YAML of them. All others are
# read when a model is compiled, and never change what is parsed.
PARSED_SETTINGS = ("sources", "raw_data", "raw_schema")
# Where a parse is reused for another folder, that folder takes the place of this one.
ANY_FOLDER = "/the folder of raw_data"
# What a build imports, of this project as well.
LOADED = ("dbt.adapters.duckdb", "dbt.cli.main", "dbt.task.build", "great_expectations", "daff")
LOADED += ("customer_loyalty.dbt_models", "customer_loyalty.plugin", "customer_loyalty.gate.judge")
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
        self._output.seek(0)
        return self._output.read().decode()


@dataclass(frozen=True)
class Request:
    """A command: of dbt, or of pytest where it has no settings.

    arguments: what follows its name on the command line, the settings included.
    changes: what takes the place of what in a file of models or macros, for this command only.
    """

    arguments: list[str]
    project: str
    settings: dict[str, Any] | None
    cwd: str
    env: dict[str, str]
    changes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

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


@cache
def _server() -> str:
    """Start the server, which ends with this process, and return its address."""
    # A short path: the address of a socket has room for a hundred characters.
    folder = tempfile.mkdtemp(prefix="dbt-")
    address = f"{folder}/socket"
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout.readline(), "the server of dbt did not start"
    # As long as this process lives.
    _server.process = server
    return address


# --- in the server ---------------------------------------------------------------------------


def serve(address: str) -> None:
    """Fork for each request, until nobody holds the other end of stdin."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print("ready", flush=True)
    events = selectors.DefaultSelector()
    events.register(server, selectors.EVENT_READ)
    events.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in events.select():
            if key.fileobj is sys.stdin:
                return
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
    code = run_pytest(request) if request.settings is None else run_dbt(request, manifest)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without a wait for the threads of libraries, which a fork has not.
    os._exit(code)


def run_dbt(request: Request, manifest: Manifest | None) -> int:
    """Run a dbt command, and return its exit code."""
    from dbt.cli.main import cli

    for node in manifest.nodes.values() if manifest else []:
        if node.config.get("raw_data") == ANY_FOLDER:
            node.config["raw_data"] = request.settings["raw_data"]
    for file, changes in request.changes.items():
        change(manifest, file, changes)
    sys.argv = ["dbt", *request.arguments]
    try:
        cli.main(prog_name="dbt", obj={"manifest": manifest})
    except SystemExit as end:
        return end.code


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


def run_pytest(request: Request) -> int:
    """Run tests of a copy of the project and its package, and return the exit code."""
    import pytest

    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]
    sys.path.insert(0, request.cwd)
    return pytest.main(request.arguments)


manifests: dict[str, Manifest | None] = {}


def parsed(request: Request) -> Manifest | None:
    """Return the project as it is parsed for a request, None where its fork has to parse itself.

    That is for pytest, for commands that do it anyway, for changed copies of the project, and for
    what is wrong or strange enough to be found while dbt parses.
    """
    if request.settings is None:
        return None
    settings = {x: y for x, y in request.settings.items() if x in PARSED_SETTINGS}
    environment = {x: y for x, y in request.env.items() if x in PARSED_ENVIRONMENT}
    folder = settings.get("raw_data")
    if (
        request.project != str(PROJECT)
        or request.arguments[0] in ("parse", "retry")
        or "--no-partial-parse" in request.arguments
        or not isinstance(folder, str | None)
        or "{" in (folder or "")
    ):
        return None
    if folder:
        settings["raw_data"] = ANY_FOLDER
    # The name of the database that the models are in.
    environment["LOYALTY_WAREHOUSE"] = Path(request.env["LOYALTY_WAREHOUSE"]).name
    key = json.dumps([settings, environment], sort_keys=True)
    if key not in manifests:
        manifests[key] = parse(settings, environment)
        # Garbage is not looked for in it: to look would copy it, in each fork.
        gc.collect()
        gc.freeze()
    return manifests[key]


def parse(settings: dict, environment: dict[str, str]) -> Manifest | None:
    """Parse the project; None where that fails."""
    from dbt.cli.main import dbtRunner
    from dbt_common.clients.jinja import template_cache

    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(PROJECT / "profiles.example.yml", f"{home}/profiles.yml")
        os.environ.update(environment)
        options = [f"--project-dir={PROJECT}", f"--profiles-dir={home}", f"--target-path={home}"]
        options += ["--quiet", "--log-level-file=none", "--vars", json.dumps(settings)]
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
