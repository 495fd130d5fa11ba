"""An S3 server that answers GET with its objects, or fails as a test says."""

import socket
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["cut", "reset", "hold", "error"]
"""After half of the object: the connection is closed, is reset, or waits for `go` and then goes on.
Or status 503."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a close throws away what was not sent yet, and tells so."""


class FaultyS3:
    """objects: by "bucket/key".  faults: those of the next GETs of an object, one each."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.asked: Counter[str] = Counter()
        self.go = threading.Event()
        self.url = ""


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """One that listens on a free port."""
    s3 = FaultyS3()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = urlsplit(self.path).path.lstrip("/")
            s3.asked[name] += 1
            fault = s3.faults[name].pop(0) if s3.faults[name] else None
            if name not in s3.objects or fault == "error":
                self.send_error(503 if fault else 404)
                return
            content = s3.objects[name]
            half = len(content) // 2
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:half])
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.connection.close()
            elif fault != "cut":
                if fault == "hold":
                    s3.go.wait(60)
                self.wfile.write(content[half:])

        def handle(self) -> None:
            """Ignores clients that disconnected and connections that it reset itself."""
            try:
                super().handle()
            except OSError:
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        s3.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield s3
        finally:
            s3.go.set()
            server.shutdown()
            thread.join()
