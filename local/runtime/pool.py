"""Runs Lambda functions from their sources in worker processes, under AWS's own runtime client.

    with Runtime([function], environment={...}, log_dir=logs, scratch_dir=scratch) as runtime:
        answer = runtime.invoke(function.name, b"{}")

Where AWS would throttle, an invocation here waits for a free worker.
"""

import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from local.runtime.log import FunctionLog
from local.runtime.sources import Sources
from local.runtime.worker import Function, Invocation, Worker

__all__ = [
    "REQUEST_LIMIT",
    "Function",
    "Invocation",
    "InvokeError",
    "RequestTooLarge",
    "Runtime",
    "RuntimeClosed",
    "UnknownFunction",
]

REQUEST_LIMIT = 6 * 1024 * 1024
"""Bytes of a synchronous invocation's payload."""

_WORKERS = max(4, os.cpu_count() or 1)


class InvokeError(Exception):
    """An invocation failed before a worker got it."""


class UnknownFunction(InvokeError):
    """The stack has no function with this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"function {name!r} does not exist; the stack has {names}")


class RequestTooLarge(InvokeError):
    """The payload exceeds Lambda's limit (RequestTooLargeException)."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(
            f"{name}: request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction"
            f" operation, it has {size}"
        )


class RuntimeClosed(InvokeError):
    """The stack is stopping."""

    def __init__(self) -> None:
        super().__init__("the runtime has been closed")


class Runtime:
    """All functions of a stack. Each gets the AWS_* variables in `environment`.

    `scratch_dir` is for the workers' temporary folders and is emptied at the start.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        *,
        environment: Mapping[str, str],
        log_dir: Path,
        scratch_dir: Path,
    ) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(scratch_dir, ignore_errors=True)
        scratch_dir.mkdir(parents=True)
        self._pools = {
            function.name: _Pool(
                function, environment, FunctionLog(log_dir / f"{function.name}.log"), scratch_dir
            )
            for function in functions
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def invoke(self, name: str, payload: bytes, *, request_id: str | None = None) -> Invocation:
        """Invokes a function and waits. A failed function is an `Invocation` with an `error`.

        Raises UnknownFunction, RequestTooLarge, RuntimeClosed.
        """
        if name not in self._pools:
            raise UnknownFunction(name, self._pools)
        if len(payload) > REQUEST_LIMIT:
            raise RequestTooLarge(name, len(payload))
        with self._pools[name].worker() as worker:
            return worker.invoke(request_id or str(uuid.uuid4()), payload)

    def close(self) -> None:
        """Ends all workers; running invocations return with Runtime.ExitError."""
        for pool in self._pools.values():
            pool.close()


class _Pool:
    """The workers of one function; the most recently used one is used next."""

    def __init__(
        self,
        function: Function,
        environment: Mapping[str, str],
        log: FunctionLog,
        scratch_dir: Path,
    ) -> None:
        self._function = function
        self._environment = environment
        self._log = log
        self._scratch_dir = scratch_dir
        self._limit = function.concurrency or _WORKERS
        self._sources = Sources((function.code, *function.layers))
        self._changed = threading.Condition()
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._closed = False

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        worker = self._take()
        try:
            yield worker
        finally:
            with self._changed:
                self._idle.append(worker)
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = list(self._workers)
        for worker in workers:
            worker.stop()

    def _take(self) -> Worker:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._idle or len(self._workers) < self._limit
            )
            if self._closed:
                raise RuntimeClosed
            fingerprint = self._sources.fingerprint()
            while self._idle:
                worker = self._idle.pop()
                if worker.usable(fingerprint):
                    return worker
                self._workers.remove(worker)
                worker.stop()
            worker = Worker(
                self._function, self._environment, self._log, fingerprint, self._scratch_dir
            )
            self._workers.add(worker)
            return worker
