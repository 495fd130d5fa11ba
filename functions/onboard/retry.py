"""Retries within one Lambda invocation: briefly, because each one holds one of a few places.

Afterwards the error goes back to Lambda, which tries the event again after one and after two
minutes; the sweeper tries an upload again that is still there after half an hour. In between,
other uploads have its place.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from botocore.exceptions import ClientError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from facet.errors import (
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    RegistryConflict,
)
from facet.observability import logger
from facet.places.choice import PASSING
from facet.registry.models import Place

RESERVE = 60.0
"""Seconds kept for what follows the last attempt: registry, bucket and events."""

PATIENCE = 120.0
"""Seconds in which the first attempt at an upload asks the endpoint again; a large model may need
two invocations of 60 seconds to load."""

LATER_PATIENCE = 20.0
"""The same for later attempts, so that uploads that keep failing do not hold every place."""

LONGEST_PAUSE = 30.0
"""Seconds; pauses are random, up to a bound that doubles from one second to this."""

APART = 10.0
"""Seconds between two looks at a fault before it counts as the model's."""

MAX_CONFLICTS = 10
"""Attempts that may lose against another writer before the event is left to Lambda's retries."""

ATTEMPTS_OF_PROOF = 4
"""Attempts for which a proof of a READY version must have time when it begins."""

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """Retries while there is time, then raises the last error unchanged.

    `left` answers the seconds that the invocation still has, `attempt` is the most seconds that one
    attempt takes. `patience` is how many seconds the endpoint may take to answer at all. `apart`
    is how many pass before a fault is looked at again; 0 believes the first look.
    """

    left: Callable[[], float]
    attempt: float
    sleep: Callable[[float], None] = time.sleep
    patience: float = PATIENCE
    apart: float = APART

    @classmethod
    def never(cls) -> "RetryPolicy":
        """A policy that retries nothing."""
        return cls(left=lambda: 0, attempt=0, apart=0)

    def of_attempt(self, number: int) -> "RetryPolicy":
        """The policy of an upload's first, second, … attempt."""
        return self if number == 1 else self.later()

    def later(self) -> "RetryPolicy":
        """The policy of what can also be done by a later event."""
        return replace(self, patience=LATER_PATIENCE)

    def has_time(self) -> bool:
        """Whether there is time to begin another proof, even if the endpoint hangs."""
        return self.left() >= RESERVE + ATTEMPTS_OF_PROOF * self.attempt

    def until_endpoint_answers(self, invoke: Callable[[], T], place: Place = Place.ENDPOINT) -> T:
        """Retries while the endpoint is busy, unreachable or loading; not if there is none.

        The same for the function, except that a throttled one is not asked again: this invocation
        holds one of the account's concurrent executions, which the function may lack.
        """
        until = self.left() - self.patience
        passes = _is_temporary if place is Place.ENDPOINT else _passes_meanwhile
        return self._until(passes, invoke, until=until)

    def looks_again(self) -> bool:
        """Whether to look at a fault again; waits until one of the moment has passed.

        Raises EndpointUnavailable if no time is left for it; a later attempt will have it.
        """
        if not self.apart:
            return False
        if self.left() < RESERVE + self.attempt + self.apart:
            raise EndpointUnavailable("There is no time left to see whether the model fails again.")
        self.sleep(self.apart)
        return True

    def until_no_conflict(self, change: Callable[[], T]) -> T:
        """Retries while another writer is faster; `change` reads the registry again each time."""
        return self._until(_is_conflict, change, max_attempts=MAX_CONFLICTS)

    def _until(
        self,
        retryable: Callable[[BaseException], bool],
        call: Callable[[], T],
        *,
        until: float = 0,
        max_attempts: float = float("inf"),
    ) -> T:
        least = max(RESERVE + self.attempt, until)

        def enough(state: RetryCallState) -> bool:
            left = self.left() - state.upcoming_sleep
            return left < least or state.attempt_number >= max_attempts

        retrying = Retrying(
            sleep=self.sleep,
            stop=enough,
            wait=wait_random_exponential(max=LONGEST_PAUSE),
            retry=retry_if_exception(retryable),
            before_sleep=_log,
            reraise=True,
        )
        return retrying(call)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, PASSING) and not isinstance(error, EndpointRemoved)


def _passes_meanwhile(error: BaseException) -> bool:
    return _is_temporary(error) and not isinstance(error, EndpointThrottled)


def _is_conflict(error: BaseException) -> bool:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] == "TransactionConflictException"
    return isinstance(error, RegistryConflict)


def _log(state: RetryCallState) -> None:
    """Logs the error, and as its `cause` what AWS said: `facet verify` reads that."""
    error = state.outcome.exception() if state.outcome else None
    line: dict[str, object] = {"pause": round(state.upcoming_sleep, 2), "reason": str(error)}
    if error and error.__cause__:
        line["cause"] = str(error.__cause__)
    logger().info("retrying", extra=line)
