"""End what takes too long: answer, unload, refuse; and replace the process if nothing else helps.

A thread that computes cannot be ended in Python. TensorFlow ends loops when it is asked to, LiteRT
ends nothing. If the thread is still there after that, the process drains and ends: `/ping` fails,
new requests are answered 503, those in flight are answered, and the platform starts the next
process, which refuses the model.

A thread that holds the interpreter's lock stops this module, too. Python's faulthandler ends the
process then, from a thread that needs no lock.
"""

import asyncio
import faulthandler
import logging
import os
from collections.abc import Callable
from typing import Protocol

from serving.errors import Overran, Replacing, ServingError
from serving.guard.crash_guard import CrashGuard
from serving.guard.time_limits import Running, TimeLimits
from serving.metrics import Metrics

log = logging.getLogger(__name__)

TICK = 0.5  # seconds between two looks
CANCEL_TIME = 2.0  # seconds in which a runtime that was asked to give up must do so
DRAIN_TIME = 5.0  # seconds in which requests in flight are answered before the process ends
STATUS = 70  # of a process that ends on purpose: EX_SOFTWARE in sysexits.h


class Stoppable(Protocol):
    """What the watchdog needs of `models.Models`."""

    def stop(self, target: str, error: ServingError) -> None:
        """Answer the requests of a model with an error, and unload it."""

    @property
    def in_flight(self) -> int:
        """Loads, and requests of loaded models, that are not answered yet."""


class Watchdog:
    """Watches one process. For use on its event loop."""

    def __init__(
        self,
        limits: TimeLimits,
        guard: CrashGuard,
        metrics: Metrics,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """end: ends the process with a status, whatever its threads do."""
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._end = end
        self._replacing: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Raises Replacing once the process is about to end."""
        if self._replacing:
            raise Replacing(self._replacing)

    async def watch(self, models: Stoppable) -> None:
        """Look at everything that runs, until this is cancelled."""
        held = max(self._limits.load, self._limits.compute)
        try:
            while True:
                faulthandler.dump_traceback_later(held, exit=True)
                for running in self._limits.overrun():
                    task = asyncio.create_task(self._stop(running, models))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                await asyncio.sleep(TICK)
        finally:
            faulthandler.cancel_dump_traceback_later()

    async def _stop(self, running: Running, models: Stoppable) -> None:
        log.error("%s", running.text)
        self._metrics.overran(running.target)
        self._guard.overran(running.activity, running.source)
        models.stop(running.target, Overran(running.text))
        cancelled = asyncio.to_thread(running.cancel)
        try:
            async with asyncio.timeout(CANCEL_TIME):
                await cancelled
                while not running.ended:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await self._replace(running, models)

    async def _replace(self, running: Running, models: Stoppable) -> None:
        if self._replacing:
            return
        self._replacing = (
            f"The container is being replaced, because model {running.target} does not end. "
            "Try again in a few seconds."
        )
        log.error("replacing the process, because model %s does not end", running.target)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_TIME
        while models.in_flight and loop.time() < deadline:
            await asyncio.sleep(0.02)
        self._guard.end_on_purpose()
        logging.shutdown()
        self._end(STATUS)
