"""Notice loads and computations that take longer than they may."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.guard.crash_guard import LOADING, Activity


def _cannot() -> None:
    """LiteRT has no way to interrupt a call."""


@dataclass(eq=False, slots=True)
class Running:
    """A load or one call of a runtime, in a thread of its own.

    target: the target model.  source: what its runtime opens.  limit: seconds.
    began: on the limits' clock.  watched: has it while it runs.
    cancel: asks the runtime to give up.
    """

    activity: Activity
    target: str
    source: Path
    limit: float
    began: float
    watched: dict[int, "Running"]
    cancel: Callable[[], None] = _cannot
    overran: bool = False
    ended: bool = False

    def __enter__(self) -> "Running":
        self.watched[id(self)] = self
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        del self.watched[id(self)]

    @property
    def text(self) -> str:
        """The error for those who wait for it."""
        kind = "LOAD" if self.activity is LOADING else "COMPUTE"
        return (
            f"Model {self.target} was stopped: it {self.activity.text} for over {self.limit:g} "
            f"seconds (FACET_SERVING_{kind}_LIMIT), perhaps without end. It is refused for an "
            "hour; upload a corrected version."
        )

    def cancel_with(self, cancel: Callable[[], None]) -> None:
        """Set `cancel`, at once if it is too late already."""
        self.cancel = cancel
        if self.overran:
            cancel()


class TimeLimits:
    """All loads and computations of the process. Threads may share it.

    load, compute: seconds that one load, or one call of a runtime, may take.
    """

    def __init__(
        self, load: float, compute: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.load = load
        self.compute = compute
        self.clock = clock
        self._running: dict[int, Running] = {}

    def running(
        self,
        activity: Activity,
        target: str,
        source: Path,
        cancel: Callable[[], None] = _cannot,
    ) -> Running:
        """Measure the `with` block, in the thread that loads or computes."""
        limit = self.load if activity is LOADING else self.compute
        return Running(activity, target, source, limit, self.clock(), self._running, cancel)

    def overrun(self) -> list[Running]:
        """What has passed its limit since the last call."""
        now = self.clock()
        passed = [
            running
            for running in [*self._running.values()]
            if not running.overran and now - running.began > running.limit
        ]
        for running in passed:
            running.overran = True
        return passed
