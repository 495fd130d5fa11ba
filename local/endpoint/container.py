"""The endpoint's container: one `python -m serving` process, watched and started again."""

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
from pathlib import Path

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout

from local.endpoint.connections import connections

log = logging.getLogger(__name__)

START_TIMEOUT = 60.0  # seconds until it must answer /ping
STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before it is started again
LONG_RUN = 10.0  # seconds after which a process that ends is no failed start
LOST_TIMEOUT = 5.0  # seconds until a process that refuses connections must have ended
SERVING = (sys.executable, "-m", "serving", "serve")


class ContainerDown(Exception):
    """There is no container to ask; the request was not sent."""


class ContainerLost(Exception):
    """The container ended while it had the request."""


class ContainerTimeout(Exception):
    """The container did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """Of the container. headers: by names in any case.  seconds: that it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        """The body, whatever it is."""
        return self.body.decode(errors="replace")


class Container:
    """A child process that speaks the container's contract. To be used on one event loop.

    generation: which process it is; models that an earlier one loaded are gone.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        log_file: Path,
        command: Sequence[str] = SERVING,
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
        self._running: asyncio.Task[None] | None = None

    @cached_property
    def _http(self) -> ClientSession:
        return connections()

    def start(self) -> None:
        """Begin to run it; `ready` waits for it."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it; requests in flight are answered if that takes no longer than STOP_TIMEOUT."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self._http.close()

    async def ready(self) -> int:
        """The generation that answers now. Raises ContainerDown after START_TIMEOUT."""
        try:
            await asyncio.wait_for(self._up.wait(), START_TIMEOUT)
        except TimeoutError as error:
            raise ContainerDown(f"container of {self._name} does not start") from error
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
        """Raises ContainerDown, ContainerLost, ContainerTimeout."""
        await self.ready()
        began = time.perf_counter()
        limit = ClientTimeout(total=timeout)
        try:
            async with self._http.request(
                method, self._url + path, headers=headers, data=content, timeout=limit
            ) as answer:
                body = await answer.read()
                return Answer(answer.status, answer.headers, body, time.perf_counter() - began)
        except TimeoutError as error:
            raise ContainerTimeout(f"no answer in {timeout:g} seconds") from error
        except ClientConnectorError as error:
            await self._noticed()
            raise ContainerDown(f"container of {self._name} refuses connections") from error
        except ClientError as error:
            await self._noticed()
            raise ContainerLost("the container ended before it had answered") from error

    async def _noticed(self) -> None:
        """The process is ending: wait until this is known here too."""
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
                "container of %s ended with status %s, see %s; starting it again",
                *(self._name, status, self._log_file),
            )
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """From start to end of one process; its exit status."""
        port = _free_port()
        process = await self._spawn(port)
        try:
            self._url = f"http://127.0.0.1:{port}"
            if await self._answers(process):
                self.pid = process.pid
                self._down.clear()
                self._up.set()
            return await process.wait()
        finally:
            self._up.clear()
            self._down.set()
            self.generation += 1
            await _end(process)

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
        """Wait for the first /ping; False where the process ends or hangs instead."""
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
    """SIGTERM, then SIGKILL, to the process and those it started."""
    for number, patience in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
