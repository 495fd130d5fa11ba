"""`python -m infer.process.runner`: loads models and computes, one request at a time."""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from infer.log import log_json
from infer.process.loaded_models import LoadedModels, loader
from infer.process.model_process import MAX_ANSWER, READY
from serving import memory
from serving.errors import InferenceFailed, ServingError
from serving.guard.crash_guard import CrashGuard
from serving.guard.end_with import end_with
from serving.guard.time_limits import TimeLimits
from serving.memory import MemoryBudget
from serving.rest.request import Request, parse
from serving.rest.response import render
from serving.statuses import status

log = logging.getLogger("infer.process.runner")  # its __name__ is __main__

VCPU = 1769 << 20
"""Bytes of a function's memory that come with a vCPU:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

Answer = tuple[dict[str, Any], bytes]


class Runner:
    """Answers requests. The table of loaded models is `models`."""

    def __init__(self, models: LoadedModels, limits: TimeLimits) -> None:
        self._models = models
        self._limits = limits

    def answer(self, about: Mapping[str, Any], body: bytes) -> Answer:
        """The status and times of a request, and the body of its answer."""
        self._limits.compute = about["seconds"]
        seconds: dict[str, float] = {}
        model = about["model"]
        try:
            found = self._computed(about, body, seconds)
            code = HTTPStatus.OK
        except ServingError as error:
            log.warning("model %s failed on request %s: %s", model, about["request_id"], error)
            found, code = orjson.dumps({"error": str(error)}), status(error)
        return {"status": int(code), "seconds": seconds}, found

    def _computed(self, about: Mapping[str, Any], body: bytes, seconds: dict[str, float]) -> bytes:
        """Raises ServingError."""
        began = time.perf_counter()
        try:
            runtime = self._models.get(Path(about["path"]), about["model"])
        finally:
            loaded = time.perf_counter()
            seconds["load"] = round(loaded - began, 6)
        try:
            query = parse(Request(body), runtime.signatures)
            answer = render(query, runtime.predict(query.signature, query.inputs))
        finally:
            seconds["compute"] = round(time.perf_counter() - loaded, 6)
        if len(answer) > MAX_ANSWER:
            raise InferenceFailed(
                f"The answer has {len(answer):,} bytes; a function's may have {MAX_ANSWER:,}. "
                "Send fewer images at once"
            )
        return answer


def serve(connection: Connection, runner: Runner) -> None:
    """Answer until the other side closes the connection."""
    while True:
        try:
            about = orjson.loads(connection.recv_bytes())
            body = connection.recv_bytes()
        except EOFError:
            return
        for part in _parts(runner.answer(about, body)):
            connection.send_bytes(part)


def _parts(answer: Answer) -> tuple[bytes, bytes]:
    document, body = answer
    return orjson.dumps(document), body


def main() -> None:
    """Serve the parent process, and end with it."""
    descriptor, folder, room, files, parent = sys.argv[1:]
    end_with(int(parent))
    log_json()
    first_to_go()
    memory.few_arenas()
    limit = int(int(room) * memory.SHARE_FOR_PROCESS)
    budget = max(0, int(int(room) * memory.SHARE_FOR_MODELS) - memory.private_bytes())
    memory.cap(limit)
    limits = TimeLimits(load=float("inf"), compute=1.0)
    load = loader(
        CrashGuard(Path(folder, "crashes")), limits, threads=max(1, int(room) // VCPU), weights=None
    )
    runner = Runner(LoadedModels(MemoryBudget(budget, limit), load, int(files)), limits)
    connection = Connection(int(descriptor))
    connection.send_bytes(READY)
    serve(connection, runner)


def first_to_go() -> None:
    """Have the system end this process first when memory runs out, if it lets us choose."""
    file = Path("/proc/self/oom_score_adj")
    with suppress(OSError):
        file.write_text("1000")


if __name__ == "__main__":
    main()
