"""Trying again, for as long as an invocation has time for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import ClientError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from facet.errors import (
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    ModelLoading,
    RegistryConflict,
)
from facet.observability import logger

RESERVE = 60.0
"""Seconds for what is to be done after the last attempt: registry, news, bucket."""

LONGEST_PAUSE = 30.0
"""Seconds; pauses are random, up to a bound that doubles from one second to this."""

MAX_CONFLICTS = 10
"""How often other writers may come between until Lambda is left to try it later."""

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """Tries again while there is time, and then raises the last error as it was.

    `left` tells the seconds that the invocation still has, `attempt` is what one attempt may take.
    """

    left: Callable[[], float]
    attempt: float
    sleep: Callable[[float], None] = time.sleep

    def until_endpoint_answers(self, ask: Callable[[], T]) -> T:
        """Asks until the endpoint says something of the model itself, or is not there at all."""
        return self._until(_may_change_soon, ask)

    def until_no_conflict(self, change: Callable[[], T]) -> T:
        """Until no other writer comes between; `change` reads anew each time."""
        return self._until(_conflicts, change, MAX_CONFLICTS)

    def _until(
        self,
        passes: Callable[[BaseException], bool],
        call: Callable[[], T],
        most: float = float("inf"),
    ) -> T:
        def enough(state: RetryCallState) -> bool:
            left = self.left() - state.upcoming_sleep
            return left < RESERVE + self.attempt or state.attempt_number >= most

        retrying = Retrying(
            sleep=self.sleep,
            stop=enough,
            wait=wait_random_exponential(max=LONGEST_PAUSE),
            retry=retry_if_exception(passes),
            before_sleep=_log,
            reraise=True,
        )
        return retrying(call)


def _may_change_soon(error: BaseException) -> bool:
    passing = isinstance(error, EndpointThrottled | EndpointUnavailable | ModelLoading)
    return passing and not isinstance(error, EndpointRemoved)


def _conflicts(error: BaseException) -> bool:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] == "TransactionConflictException"
    return isinstance(error, RegistryConflict)


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger().info("trying again", pause=round(state.upcoming_sleep, 2), reason=str(error))
