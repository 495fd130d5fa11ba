"""Whether the endpoint answers: what the last predictions of this process show about it."""

import time
from collections.abc import Callable

from facet.errors import EndpointUnavailable

FEW = 3  # failures in a row that show nothing yet
SHORT = 10.0  # seconds of failures that show nothing yet, as while a container restarts
RECENT = 60.0  # seconds after the last failure for which it counts


class EndpointHealth:
    """Failures since the last answer. One model that fails or loads says nothing about the rest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.answered()

    def answered(self) -> None:
        """Any answer of a model, even an error of its own."""
        self._models: set[str] = set()
        self._removed = False
        self._failures = 0
        self._first = self._last = self._clock()

    def function_answered(self) -> None:
        """The function answered: if there is no endpoint, that is what a stack has to do."""
        if self._removed:
            self.answered()

    def failed(self, model: str, *, removed: bool = False) -> None:
        """The endpoint did not answer for a model in time, or there is none."""
        now = self._clock()
        if not self._failures or now - self._last > RECENT:
            self.answered()
        self._models.add(model)
        self._removed = removed
        self._failures += 1
        self._last = now

    def check(self) -> None:
        """Raises EndpointUnavailable if it lately answered for none of several models."""
        if (
            len(self._models) > 1
            and self._failures > FEW
            and self._last - self._first > SHORT
            and self._clock() - self._last <= RECENT
        ):
            raise EndpointUnavailable(
                f"The endpoint did not answer {self._failures} requests for {len(self._models)} "
                f"models in {self._last - self._first:.0f} seconds, and no other in between."
            )
