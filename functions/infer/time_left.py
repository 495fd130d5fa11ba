"""How the time of an invocation is shared between reading a model and running it."""

import time
from collections.abc import Callable

RESERVE = 2.0
"""Seconds before the function's timeout, and before its caller stops waiting, at which a model is
stopped, so that this is answered."""

ENOUGH = 10.0
"""Seconds that a model gets in any case, but at most half of the function's. So only those are
stopped, and blamed, that are slow by themselves: the proof allows as much for a loaded model
(`AnswerWithin` in template.yaml)."""


class TimeLeft:
    """The time of one invocation, from now on.

    function: seconds until Lambda ends the function.  caller: seconds for which its caller waits.
    A caller in a hurry does not stop a model, which may be loading: the next one finds it loaded.
    """

    def __init__(
        self, function: float, caller: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._ends = clock() + function - RESERVE
        self._caller_ends = clock() + caller - RESERVE
        self._enough = min(ENOUGH, (function - RESERVE) / 2)

    def for_reading(self) -> float:
        """Seconds in which a model must be read, and the process for it be ready."""
        return max(0.0, self._ends - self._enough - self._clock())

    def for_model(self) -> float:
        """Seconds in which the model must have loaded and answered, after that."""
        return max(self._enough, min(self._ends, self._caller_ends) - self._clock())
