"""A stand-in for TensorFlow Serving's `tensorflow_model_server`, as its REST clients see it.

It takes the flags that AWS's handler passes, and does what a file called `behaviour` in the model's
folder says. From tensorflow/serving 2.20, tensorflow_serving/model_servers/: it listens once all
models are loaded (server.cc calls ServerCore::Create before it starts the REST server), and ends
with status 255 if one cannot be loaded (main.cc). An error has the body `{"error": …}`, and the
status that http_server.cc maps its code to: invalid argument 400, resource exhausted 429, internal
500, unavailable 503, deadline exceeded 504.

Standard library only: it runs in the environment of AWS's handler.
"""

import json
import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ERRORS = {
    "invalid": (400, "Expected 3072 bytes, got 1"),
    "exhausted": (429, "OOM when allocating tensor with shape[1000000,1000000]"),
    "internal": (500, "Op type not registered 'MyOp'"),
    "unavailable": (503, "Batching queue is full"),
    "overran": (504, "Deadline exceeded"),
}
"""What a prediction is answered, by behaviour; others are answered with a prediction."""


class Handler(BaseHTTPRequestHandler):
    behaviour = "answers"

    def do_GET(self) -> None:
        state = {"version": "1", "state": "AVAILABLE"}
        status = {"error_code": "OK", "error_message": ""}
        self._answer(200, {"model_version_status": [{**state, "status": status}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.behaviour == "dies":
            os._exit(1)
        if self.behaviour == "hangs":
            time.sleep(60)
        status, reason = ERRORS.get(self.behaviour, (200, ""))
        self._answer(status, {"error": reason} if reason else {"predictions": [[1.0]]})

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Log nothing."""

    def _answer(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(arguments: list[str]) -> int:
    """Load the one model of the configuration, and serve it until killed."""
    flags = dict(each.removeprefix("--").split("=", 1) for each in arguments)
    config = Path(flags["model_config_file"]).read_text()
    (base_path,) = re.findall(r"base_path: '(.*)'", config)
    Handler.behaviour = Path(base_path, "behaviour").read_text()
    if Handler.behaviour == "does not load":
        return 255
    if Handler.behaviour == "loads slowly":
        time.sleep(60)
    ThreadingHTTPServer(("127.0.0.1", int(flags["rest_api_port"])), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
