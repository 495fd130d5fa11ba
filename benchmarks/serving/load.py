"""The load generator: closed-loop clients over keep-alive HTTP/1.1, the same for every server."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"

PATIENCE = 180.0
"""Seconds beyond those of the measurement after which a server that is silent has failed."""

MOST = 200_000
"""Answers after which a measurement ends although its time has not."""


class WrongAnswer(Exception):
    """A server answered with an error, wrongly or not at all: nothing was measured."""


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 request; a body is JSON."""
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        fields["Content-Type"] = "application/json"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One client: a request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """The body of the answer, once it is there. Fails with WrongAnswer unless it is a 2xx."""
        assert self._transport is not None
        answer = self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._finish(WrongAnswer("the server closed the connection"))
        else:
            self._transport.write(request)
        return answer

    def close(self) -> None:
        """No request may follow."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's does not inherit

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._received += data
        head = self._received.find(HEAD_END)
        if head < 0:
            return
        length = LENGTH.search(self._received, 0, head)
        if length is None:
            self._finish(WrongAnswer(f"without Content-Length: {bytes(self._received[:head])!r}"))
            return
        body = head + len(HEAD_END)
        if len(self._received) < body + int(length[1]):
            return
        status, content = bytes(self._received[9:12]), bytes(self._received[body:])
        self._received.clear()
        if status[:1] == b"2":
            self._finish(content)
        else:
            self._finish(WrongAnswer(f"status {status.decode()}: {content.decode()}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._finish(WrongAnswer(f"the server closed the connection ({error})"))

    def _finish(self, result: bytes | WrongAnswer) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if isinstance(result, bytes):
            answer.set_result(result)
        else:
            answer.set_exception(result)


async def connect(port: int) -> Connection:
    """To 127.0.0.1. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection


@dataclass(frozen=True)
class Measured:
    """seconds: from the first request to the last answer.  latencies: seconds of each answer."""

    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in seconds that this share of the answers does not exceed."""
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    """By the nearest rank: the smallest value that is no less than `share` of all of them."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


Work = Callable[[Connection], Awaitable[object]]
"""One request of a client on its connection, as a user would count it."""


async def measure(
    port: int, work: Work, *, clients: int, seconds: float, most: int = MOST
) -> Measured:
    """As many clients as that, each at its next request as soon as it has its answer.

    Ends after `seconds` or `most` answers; requests on their way then are awaited and count.
    Raises WrongAnswer at the first wrong answer, or after PATIENCE.
    """
    connections = [await connect(port) for _ in range(clients)]
    latencies: list[float] = []
    begun = perf_counter()

    async def client(connection: Connection) -> None:
        sent = perf_counter()
        while sent < begun + seconds and len(latencies) < most:
            await work(connection)
            answered = perf_counter()
            latencies.append(answered - sent)
            sent = answered

    tasks = [asyncio.create_task(client(connection)) for connection in connections]
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            await asyncio.gather(*tasks)
    except TimeoutError as error:
        raise WrongAnswer(f"no answer in {PATIENCE:g} seconds") from error
    finally:
        for task, connection in zip(tasks, connections, strict=True):
            task.cancel()
            connection.close()
    return Measured(perf_counter() - begun, latencies)
