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

ANSWER_TIMEOUT = 180.0
"""Seconds after the end of the measurement in which outstanding answers must arrive."""

MAX_ANSWERS = 200_000
"""Answers after which a measurement ends early."""


class WrongAnswer(Exception):
    """A server gave an error, a wrong answer or none; the measurement is void."""


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A complete HTTP/1.1 request; a body is JSON."""
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        fields["Content-Type"] = "application/json"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One client, with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        """A future of the answer's body. It raises WrongAnswer unless the status is 2xx."""
        assert self._transport is not None
        answer = self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._finish(WrongAnswer("the server closed the connection"))
        else:
            self._transport.write(request)
        return answer

    def close(self) -> None:
        """Closes the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's transport does not inherit it

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(HEAD_END)
        if head < 0:
            return
        length = LENGTH.search(self._received, 0, head)
        if length is None:
            self._finish(
                WrongAnswer(f"answer without Content-Length: {bytes(self._received[:head])!r}")
            )
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
    """Connects to 127.0.0.1. Raises OSError."""
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
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in seconds that this share of the answers does not exceed."""
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank: the smallest value that is not less than `share` of all values."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


Work = Callable[[Connection], Awaitable[object]]
"""One request of a client on its connection, with anything that it needs."""


async def measure(
    port: int, work: Work, *, clients: int, seconds: float, most: int = MAX_ANSWERS
) -> Measured:
    """Runs `clients` clients; each sends its next request as soon as it has an answer.

    Ends after `seconds` or `most` answers; outstanding requests are awaited and counted.
    Raises WrongAnswer at the first wrong answer, or after ANSWER_TIMEOUT.
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
        async with asyncio.timeout(seconds + ANSWER_TIMEOUT):
            await asyncio.gather(*tasks)
    except TimeoutError as error:
        raise WrongAnswer(f"no answer in {ANSWER_TIMEOUT:g} seconds") from error
    finally:
        for task, connection in zip(tasks, connections, strict=True):
            task.cancel()
            connection.close()
    return Measured(perf_counter() - begun, latencies)
