"""API Gateway's usage plans: a rate, a burst and a quota for each API key."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

_PERIODS = {"DAY": "%Y-%m-%d", "WEEK": "%G-W%V", "MONTH": "%Y-%m"}


@dataclass(frozen=True)
class UsagePlan:
    """`rate` is in requests a second; `quota`, if any, is in requests a `period` (UTC)."""

    rate: float
    burst: int
    quota: int | None = None
    period: Literal["DAY", "WEEK", "MONTH"] = "DAY"


class Throttled(Exception):
    """The key sends faster than its plan's rate and burst allow."""


class QuotaExceeded(Exception):
    """The key has sent all that its plan allows in this period."""


class Meter:
    """Counts what each key uses of a plan, from the start of the program.

    The rate is a token bucket, as API Gateway's is; requests that are refused are not counted.
    """

    def __init__(self, plan: UsagePlan, *, now: Callable[[], float] = time.time) -> None:
        self._plan = plan
        self._now = now
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._used: defaultdict[tuple[str, str], int] = defaultdict(int)

    def spend(self, key: str) -> None:
        """Counts one request. Raises Throttled or QuotaExceeded."""
        now = self._now()
        period = datetime.fromtimestamp(now, UTC).strftime(_PERIODS[self._plan.period])
        with self._lock:
            tokens = self._tokens(key, now)
            if tokens < 1:
                raise Throttled(key)
            if self._plan.quota is not None and self._used[key, period] >= self._plan.quota:
                raise QuotaExceeded(key)
            self._buckets[key] = (tokens - 1, now)
            self._used[key, period] += 1

    def _tokens(self, key: str, now: float) -> float:
        tokens, since = self._buckets.get(key, (self._plan.burst, now))
        return min(self._plan.burst, tokens + max(0.0, now - since) * self._plan.rate)
