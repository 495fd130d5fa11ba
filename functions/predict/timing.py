"""How long a request may still take, and how long its steps took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facet.errors import OutOfTime

RESERVE = 2.5
"""Seconds kept for what follows the endpoint's answer, and for the cold start, which counts for API
Gateway's 29 seconds but not for Lambda's timeout."""

STEPS = (20.0, 15.0, 10.0, 5.0, 2.0, 1.0)
"""Seconds that an invocation may take where there is not the usual time for it. boto3's clients
have one timeout for good, so there are only so many of them."""


@dataclass(frozen=True)
class Deadline:
    """A moment of the clock, in its seconds, by which the function has to have answered."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @staticmethod
    def after(seconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """So many seconds from now."""
        return Deadline(clock() + seconds, clock)

    def patience(self, most: float) -> float:
        """Seconds for one invocation: `most`, or the longest step that fits.

        Raises OutOfTime where none does.
        """
        left = self.at - self.clock() - RESERVE
        for step in (most, *(each for each in STEPS if each < most)):
            if step <= left:
                return step
        raise OutOfTime(
            "The time that a request has was over before the model could be asked. "
            "Try again, with fewer images at once, or smaller ones."
        )


@dataclass
class Stopwatch:
    """The milliseconds that each step of one request took, added up by name."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times what is done within."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.milliseconds[name] = self.milliseconds.get(name, 0) + spent
