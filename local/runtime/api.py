"""Lambda's Runtime API, with which AWS's runtime client gets events: one server for a worker.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The client takes a host and
port but no path, so each worker has its own server.
"""

import queue
import re
import socket
import socketserver
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

RESPONSE_LIMIT = 6 * 1024 * 1024 + 100
"""Bytes of a function's response, as AWS's error message states it."""

_ROOT = "/2018-06-01/runtime/"
_OUTCOME = re.compile(
    re.escape(_ROOT) + r"invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)"
)


@dataclass(frozen=True)
class Event:
    """An invocation for the worker; `deadline` is Unix time in seconds."""

    request_id: str
    payload: bytes
    deadline: float
    function_arn: str
    trace_id: str


@dataclass(frozen=True)
class Ready:
    """The handler is imported: the worker has requested its first event."""


@dataclass(frozen=True)
class Answered:
    """The handler's result or, if it raised an exception (`failed`), the error document."""

    payload: bytes
    failed: bool


@dataclass(frozen=True)
class InitFailed:
    """The handler could not be imported; the payload is the error document."""

    payload: bytes


@dataclass(frozen=True)
class Exited:
    """The process ended; a negative code is the signal that killed it."""

    code: int


Report = Ready | Answered | InitFailed | Exited


class RuntimeApi(socketserver.ThreadingTCPServer):
    """Sends events to one worker and queues its reports."""

    daemon_threads = True
    request_queue_size = 8

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._current = ""
        self._ready = False
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="runtime-api", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def send(self, event: Event) -> None:
        self._current = event.request_id
        self._events.put(event)

    def wait(self, seconds: float) -> Report | None:
        """The worker's next report, or None when it has none in time."""
        try:
            return self.reports.get(timeout=seconds)
        except queue.Empty:
            return None

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._events.put(None)
        # The accepting thread waits for a connection.
        with suppress(OSError):
            socket.create_connection(self.socket.getsockname(), timeout=1).close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stopped:
            self.handle_request()
        self.server_close()

    def next_event(self) -> Event | None:
        """Waits for an event; None when the server is stopped."""
        if not self._ready:
            self._ready = True
            self.reports.put(Ready())
        return self._events.get()

    def is_current(self, request_id: str) -> bool:
        return request_id == self._current


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and a small body in one packet
    disable_nagle_algorithm = True  # a large body's last packet would wait 40 ms
    server: RuntimeApi

    def handle(self) -> None:
        # A worker that closes the connection has ended; its exit is reported.
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        if self.path != _ROOT + "invocation/next":
            return self._reply(404)
        event = self.server.next_event()
        if event is None:
            self.close_connection = True
            return None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(event.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
            "Lambda-Runtime-Trace-Id": event.trace_id,
        }
        return self._reply(200, event.payload, headers)

    def do_POST(self) -> None:
        body = self._body()
        if self.path == _ROOT + "init/error":
            self.server.reports.put(InitFailed(body))
            return self._reply(202, b'{"status":"OK"}')
        outcome = _OUTCOME.fullmatch(self.path)
        if outcome is None:
            return self._reply(404)
        if not self.server.is_current(outcome["request_id"]):
            return self._reply(400, b'{"errorType":"InvalidRequestID"}')
        self.server.reports.put(Answered(body, failed=outcome["kind"] == "error"))
        if len(body) > RESPONSE_LIMIT:
            return self._reply(413, b'{"errorType":"RequestEntityTooLarge"}')
        return self._reply(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
