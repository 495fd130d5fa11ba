"""The endpoint's container: one `python -m serving` process.

It is restarted whenever it ends, and replaced when it does not answer `/ping` with 200.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout

from local.endpoint.connections import connections

log = logging.getLogger(__name__)

START_TIMEOUT = 60.0  # seconds until the process must answer /ping
STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before a restart; doubles after failed starts
LONG_RUN = 10.0  # seconds; a process that ends sooner counts as a failed start
LOST_TIMEOUT = 10.0  # seconds that a process which refuses requests may take to end
PING_EVERY, PING_TIMEOUT = 5.0, 20.0  # seconds
PING_FAILURES = 3  # in a row, after which the process is replaced; SageMaker does so, too
SERVING = (sys.executable, "-m", "serving", "serve")


class ContainerDown(Exception):
    """No container is running; the request was not sent."""


class ContainerLost(Exception):
    """The container ended before it answered the request, or is about to."""


class ContainerTimeout(Exception):
    """The container did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """A response of the container. headers: case-insensitive.  seconds: until it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode(errors="replace")


class Container:
    """A child process with the container's HTTP interface. For use on one event loop.

    generation: counts processes; the models that an earlier process loaded are gone.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        log_file: Path,
        command: Sequence[str] = SERVING,
        ping_every: float = PING_EVERY,
    ) -> None:
        self.generation = 1
        self.pid: int | None = None
        self._name = name
        self._environment = environment
        self._log_file = log_file
        self._url = ""
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._command = command
        self._ping_every = ping_every
        self._running: asyncio.Task[None] | None = None

    @cached_property
    def _http(self) -> ClientSession:
        return connections()

    def start(self) -> None:
        """Start the process in the background; `ready` waits until it answers."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the process. Requests in flight have STOP_TIMEOUT to be answered."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self._http.close()

    async def ready(self) -> int:
        """Wait for a process, and return its generation. ContainerDown after START_TIMEOUT."""
        try:
            await asyncio.wait_for(self._up.wait(), START_TIMEOUT)
        except TimeoutError as error:
            raise ContainerDown(f"the container of {self._name} does not start") from error
        return self.generation

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> Answer:
        """Send a request. Raises ContainerDown, ContainerLost, ContainerTimeout."""
        await self.ready()
        began = time.perf_counter()
        limit = ClientTimeout(total=timeout)
        try:
            async with self._http.request(
                method, self._url + path, headers=headers, data=content, timeout=limit
            ) as answer:
                body = await answer.read()
                found = Answer(answer.status, answer.headers, body, time.perf_counter() - began)
        except TimeoutError as error:
            raise ContainerTimeout(f"no answer in {timeout:g} seconds") from error
        except ClientConnectorError as error:
            await self._wait_for_end()
            raise ContainerDown(f"the container of {self._name} refuses connections") from error
        except ClientError as error:
            await self._wait_for_end()
            raise ContainerLost("the container ended before it answered") from error
        if found.status == HTTPStatus.SERVICE_UNAVAILABLE:
            await self._wait_for_end()
            raise ContainerLost(found.text)
        return found

    async def _wait_for_end(self) -> None:
        """Wait until `_run_once` has seen the process end, so that `ready` waits for the next."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._down.wait(), LOST_TIMEOUT)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            status = await self._run_once()
            quick = time.monotonic() - started < LONG_RUN
            pause = min(2 * pause, LONGEST_PAUSE) if quick else FIRST_PAUSE
            log.warning(
                "container of %s ended with status %s, see %s; restarting it",
                *(self._name, status, self._log_file),
            )
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """Run one process from start to end, and return its exit status."""
        port = _free_port()
        process = await self._spawn(port)
        try:
            self._url = f"http://127.0.0.1:{port}"
            if await self._answers(process):
                self.pid = process.pid
                self._down.clear()
                self._up.set()
                await self._wait_while_healthy(process)
            return await process.wait()
        finally:
            self._up.clear()
            self._down.set()
            self.generation += 1
            await _end(process)

    async def _wait_while_healthy(self, process: asyncio.subprocess.Process) -> None:
        """Return when the process has ended, of itself or because its pings failed."""
        failures = 0
        while process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._ping_every)
                return
            failures = 0 if await self._is_healthy() else failures + 1
            if failures == PING_FAILURES:
                log.warning("container of %s fails its pings; replacing it", self._name)
                await _end(process)

    async def _is_healthy(self) -> bool:
        try:
            limit = ClientTimeout(total=PING_TIMEOUT)
            async with self._http.get(f"{self._url}/ping", timeout=limit) as answer:
                return answer.status == HTTPStatus.OK
        except (ClientError, TimeoutError):
            return False

    async def _spawn(self, port: int) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            **self._environment,
            "SAGEMAKER_MULTI_MODEL": "true",
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "FACET_SERVING_HOST": "127.0.0.1",
            "FACET_SERVING_PARENT": str(os.getpid()),
        }
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        """Wait for the first answer to /ping; False if the process ends or hangs instead."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while process.returncode is None:
                    with contextlib.suppress(ClientError):
                        async with self._http.get(f"{self._url}/ping"):
                            return True
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await _end(process)
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    """Send SIGTERM, then SIGKILL, to the process and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
