"""A server, started and stopped."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.serving import tree
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, WrongAnswer, connect, request
from benchmarks.serving.servers import Calls, Launch, Server, Site, free_port

START_TIMEOUT = 180.0
"""Seconds until a server must be ready."""

LOG_TAIL = 400
"""Characters of a server's log that tell why it did not start."""


class NotStarted(Exception):
    """The text is the end of the server's log."""


class Running:
    """A server that takes requests; `connection` is for single ones."""

    def __init__(
        self, port: int, calls: Calls, artifacts: Artifacts, connection: Connection
    ) -> None:
        self.port = port
        self.calls = calls
        self.artifacts = artifacts
        self.connection = connection

    async def open(self, name: str) -> None:
        """Loads a model and has it answer, rightly. Raises WrongAnswer."""
        if self.calls.load is not None:
            await self.connection.ask(self.calls.load(name))
        self.check(name, await self.connection.ask(self.calls.invoke(name)))

    def check(self, name: str, answer: bytes) -> None:
        """Of an invocation. Raises WrongAnswer unless the label is right."""
        scores = self.calls.scores(answer)
        label = self.artifacts.golden[name].label
        if (best := max(range(len(scores)), key=scores.__getitem__)) != label:
            raise WrongAnswer(f"{name}: label {best} instead of {label}")


@asynccontextmanager
async def running(server: Server, artifacts: Artifacts, room: int) -> AsyncIterator[Running]:
    """`room`: models that it may keep where it chooses them itself.

    Its processes and files are gone afterwards. Raises NotSetUp, NotStarted.
    """
    with TemporaryDirectory(prefix="facet-", ignore_cleanup_errors=True) as folder:
        scratch, log = Path(folder) / "s", Path(folder) / "log"
        scratch.mkdir()
        site = Site(free_port(), artifacts, scratch, room)
        launch = server.launch(site)
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
            connection = await _ready(child, launch, site.port, log)
            calls = server.calls(site)
            yield Running(site.port, calls, artifacts, connection)
            connection.close()
        finally:
            tree.end(child)


async def _ready(
    child: "subprocess.Popen[bytes]", launch: Launch, port: int, log: Path
) -> Connection:
    """A connection to it, once it says that it is ready. Raises NotStarted."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while child.poll() is None:
                if connection := await _asked(port, launch.ready):
                    return connection
                await asyncio.sleep(0.1)
        reason = f"it ended with status {child.returncode}"
    except TimeoutError:
        reason = f"not ready after {START_TIMEOUT:g} seconds"
    words = log.read_text(errors="replace")[-LOG_TAIL:].split()
    raise NotStarted(f"{reason}: {' '.join(words)}")


async def _asked(port: int, path: str) -> Connection | None:
    """A connection that has been answered."""
    try:
        connection = await connect(port)
    except OSError:
        return None
    try:
        await connection.ask(request("GET", path))
    except WrongAnswer:
        connection.close()
        return None
    return connection
