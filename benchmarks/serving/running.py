"""Starts a server, waits until it is ready, and stops it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.serving import process_tree
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, WrongAnswer, connect, request
from benchmarks.serving.servers import Calls, Launch, Server, ServerSetup, free_port

START_TIMEOUT = 180.0
"""Seconds in which a server must become ready."""

PROCESSORS = os.sched_getaffinity(0)
GENERATOR = {min(PROCESSORS)}
"""The load generator's processor while a server runs."""

LOG_TAIL = 400
"""Characters from the end of a server's log, for the error if it does not start."""


class NotStarted(Exception):
    """The server did not start; the message has the end of its log."""


class RunningServer:
    """A server that is ready; `connection` is for single requests."""

    def __init__(
        self, pid: int, port: int, calls: Calls, artifacts: Artifacts, connection: Connection
    ) -> None:
        self.pid = pid
        self.port = port
        self.calls = calls
        self.artifacts = artifacts
        self.connection = connection

    async def open(self, name: str) -> None:
        """Loads a model and checks its answer. Raises WrongAnswer."""
        if self.calls.load is not None:
            await self.connection.send(self.calls.load(name))
        self.check(name, await self.connection.send(self.calls.invoke(name)))

    def processor_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return process_tree.processor_seconds([self.pid, *process_tree.descendants(self.pid)])

    def check(self, name: str, answer: bytes) -> None:
        """Checks the answer of an invocation. Raises WrongAnswer unless the label is right."""
        scores = self.calls.scores(answer)
        label = self.artifacts.golden[name].label
        if (best := max(range(len(scores)), key=scores.__getitem__)) != label:
            raise WrongAnswer(f"{name}: label {best} instead of {label}")


@asynccontextmanager
async def run_server(
    server: Server, artifacts: Artifacts, capacity: int
) -> AsyncIterator[RunningServer]:
    """Yields the server once it is ready; ends its processes and deletes its files afterwards.

    Meanwhile this process has one processor and the server all others, if there are several, so
    that the load generator takes no time from the server.
    `capacity` is the number of models that it may keep, if it evicts models itself. The end of one
    server is the end of all that run. Raises NotSetUp, NotStarted.
    """
    with TemporaryDirectory(prefix="facet-", ignore_cleanup_errors=True) as folder:
        scratch, log = Path(folder) / "s", Path(folder) / "log"
        scratch.mkdir()
        setup = ServerSetup(free_port(), artifacts, scratch, capacity)
        launch = server.launch(setup)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, PROCESSORS - GENERATOR or PROCESSORS)  # the server inherits it
        with log.open("wb") as output:
            child = subprocess.Popen(
                launch.command,
                cwd=scratch,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            os.sched_setaffinity(0, GENERATOR)
            connection = await _ready(child, launch, setup.port, log)
            calls = server.calls(setup)
            yield RunningServer(child.pid, setup.port, calls, artifacts, connection)
            connection.close()
        finally:
            os.sched_setaffinity(0, before)
            process_tree.end(child)


async def _ready(
    child: "subprocess.Popen[bytes]", launch: Launch, port: int, log: Path
) -> Connection:
    """Returns a connection once the server is ready. Raises NotStarted."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while child.poll() is None:
                if connection := await _connect_if_ready(port, launch.ready):
                    return connection
                await asyncio.sleep(0.1)
        reason = f"it exited with status {child.returncode}"
    except TimeoutError:
        reason = f"not ready after {START_TIMEOUT:g} seconds"
    tail = log.read_text(errors="replace")[-LOG_TAIL:].split()
    raise NotStarted(f"{reason}: {' '.join(tail)}")


async def _connect_if_ready(port: int, path: str) -> Connection | None:
    """Returns a connection if the server answers `path` with 200."""
    try:
        connection = await connect(port)
    except OSError:
        return None
    try:
        await connection.send(request("GET", path))
    except WrongAnswer:
        connection.close()
        return None
    return connection
