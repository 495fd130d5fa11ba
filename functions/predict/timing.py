"""How long a request may still take, and how long its steps took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facet.errors import OutOfTime

RESERVE = 2.5
"""Seconds kept for the work after the endpoint's answer, and for the cold start, which counts
towards API Gateway's 29 seconds but not towards Lambda's timeout."""

SHORTER_TIMEOUTS = (20.0, 15.0, 10.0, 5.0, 2.0, 1.0)
"""Seconds for an invocation when the usual timeout no longer fits. A boto3 client's timeout is
fixed, so each value here costs one client."""


@dataclass(frozen=True)
class Deadline:
    """The time by which the function must have answered, in seconds of `clock`."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @staticmethod
    def after(seconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """Returns the deadline that many seconds from now."""
        return Deadline(clock() + seconds, clock)

    def invocation_timeout(self, longest: float) -> float:
        """Returns the seconds one invocation may take: `longest`, or the next shorter timeout.

        Raises OutOfTime if not even the shortest one fits.
        """
        left = self.at - self.clock() - RESERVE
        for timeout in (longest, *(each for each in SHORTER_TIMEOUTS if each < longest)):
            if timeout <= left:
                return timeout
        raise OutOfTime(
            "The request ran out of time before the model was invoked. "
            "Try again with fewer or smaller images."
        )


@dataclass
class Stopwatch:
    """The milliseconds that each step of one request took, added up by the step's name."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times the body of a `with` statement, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = (time.perf_counter() - start) * 1000
            self.milliseconds[name] = self.milliseconds.get(name, 0) + elapsed
