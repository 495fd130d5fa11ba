"""Threads that compute, as many at once as the processors can use.

A computation that takes long keeps its thread but gives its place to another one, so that a few
models that never end do not stop all others.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 1.0  # seconds for which a computation keeps its place
MOST_LATE = 32  # computations without a place
BLOCKED = 10.0  # seconds without an end of any computation while others wait

Work = Callable[[], Any]
Done = Callable[[asyncio.Future[Any]], object]


class Workers:
    """`count` places for computations. For use on one event loop; `close` ends it."""

    def __init__(
        self, count: int, *, patience: float = PATIENCE, most_late: int = MOST_LATE
    ) -> None:
        """patience: seconds for which a computation keeps its place; `most_late` may have none."""
        self._count = count
        self._patience = patience
        self._most_late = most_late
        self._pool = ThreadPoolExecutor(count + most_late, "infer")
        self._running: dict[asyncio.Future[Any], float] = {}
        self._late: set[asyncio.Future[Any]] = set()
        self._waiting: deque[tuple[Work, Done, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_end = 0.0

    def run(self, work: Work, done: Done) -> None:
        """Compute when there is a place; then call `done` with the future of the result."""
        if len(self._running) < self._count:
            self._start(work, done)
        else:
            self._waiting.append((work, done, asyncio.get_running_loop().time()))
            self._set_timer()

    @property
    def blocked(self) -> bool:
        """Whether computations have waited for BLOCKED seconds in which none ended."""
        if not self._waiting:
            return False
        idle_since = max(self._last_end, self._waiting[0][2])
        return asyncio.get_running_loop().time() - idle_since > BLOCKED

    def close(self) -> None:
        """Wait for the computations in progress."""
        self._pool.shutdown()

    def _start(self, work: Work, done: Done) -> None:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)
        self._running[future] = loop.time()
        future.add_done_callback(self._end)
        future.add_done_callback(done)

    def _end(self, future: asyncio.Future[Any]) -> None:
        self._late.discard(future)
        self._running.pop(future, None)
        self._last_end = asyncio.get_running_loop().time()
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._count:
            work, done, _ = self._waiting.popleft()
            self._start(work, done)
        if self._waiting:
            self._set_timer()

    def _set_timer(self) -> None:
        """When the oldest computation loses its place, if one may."""
        if self._timer is None and len(self._late) < self._most_late:
            oldest = next(iter(self._running.values()))
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(oldest + self._patience, self._take_place)

    def _take_place(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for future, began in [*self._running.items()]:
            if began + self._patience <= loop.time() and len(self._late) < self._most_late:
                del self._running[future]
                self._late.add(future)
        self._start_waiting()
