"""Where a canary is decided: which requests the candidate answers, the counts, and the verdict.

A hash of the request's id sends a share of the requests to the candidate. `CanaryCounter` adds
each good or bad answer of both versions to the registry's counts. `verdict` reads the totals: the
candidate is rolled back if it is significantly worse than the live version, and promoted after
enough good answers.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from facet.observability import count, logger
from facet.registry.items import counted
from facet.registry.models import CANARY_COUNTS, Canary, Model
from facet.registry.releases import Releases

if TYPE_CHECKING:
    from facet.aws.notifications import EventPublisher

UPDATE_INTERVAL = 1.0
"""Seconds between two updates of one canary's counts in the registry."""

MIN_BAD_ANSWERS = 3
"""A candidate with fewer bad answers is not rolled back: one broken image proves nothing."""

Z_95 = 1.645
"""The 95th percentile of the standard normal distribution: one-sided, at the 5 % level."""


class Variant(StrEnum):
    """The side of a canary that answered a request."""

    CANDIDATE = "candidate"
    LIVE = "live"


class Verdict(StrEnum):
    """What to do with a canary, given its counts."""

    CONTINUE = "continue"
    PROMOTE = "promote"
    ROLL_BACK = "roll-back"


def goes_to_candidate(percent: int, request_id: str) -> bool:
    """Returns whether the candidate answers a request; the same id always gets the same answer."""
    return int(sha256(request_id.encode()).hexdigest()[:8], 16) % 100 < percent


@dataclass
class _Pending:
    """The answers of one canary that are not in the registry yet."""

    canary: Canary
    live: str
    counts: Counter[str] = field(default_factory=Counter)
    written: float = -math.inf

    def as_canary(self) -> Canary:
        return counted(self.canary, {name: self.counts[name] for name in CANARY_COUNTS})


class CanaryCounter:
    """Counts the good and bad answers of each canary, and ends it when the verdict says so.

    A bad answer of the candidate is written at once, everything else at most every
    `UPDATE_INTERVAL`. Counts that are not written yet are lost when the process ends.
    """

    def __init__(
        self,
        releases: Releases,
        publisher: "Callable[[], EventPublisher]",
        canary_ended: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`canary_ended` is called with the name of a model whose canary has ended."""
        self._releases = releases
        self._publisher = publisher
        self._canary_ended = canary_ended
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    def count(self, model: Model, variant: Variant, *, good: bool) -> None:
        """Counts one answer of the variant that `goes_to_candidate` chose.

        Logs failures of DynamoDB, EventBridge and SNS instead of raising: the caller already has
        an answer. Counts that could not be written are written with the next update.
        """
        if model.canary is None or model.live is None:
            return
        pending = self._pending_of(model.name, model.canary, model.live)
        pending.counts[f"{variant}_{'good' if good else 'bad'}"] += 1
        now = self._clock()
        if now - pending.written < UPDATE_INTERVAL and (good or variant is Variant.LIVE):
            return
        pending.written = now
        try:
            self._write(model, pending)
        except (BotoCoreError, ClientError) as error:
            logger().warning("canary not counted", model=model.name, exc_info=error)

    def _pending_of(self, name: str, canary: Canary, live: str) -> _Pending:
        without_counts = counted(canary, dict.fromkeys(CANARY_COUNTS, 0))
        pending = self._pending.get(name)
        if pending is None or (pending.canary, pending.live) != (without_counts, live):
            pending = self._pending[name] = _Pending(without_counts, live)
        return pending

    def _write(self, model: Model, pending: _Pending) -> None:
        totals = self._releases.count(model.name, pending.as_canary(), pending.live)
        pending.counts.clear()
        if totals is None:
            self._forget(model.name)
        elif (decision := verdict(totals)) is not Verdict.CONTINUE:
            promoted = decision is Verdict.PROMOTE
            self._conclude(replace(model, canary=totals), totals, promoted=promoted)

    def _conclude(self, model: Model, totals: Canary, *, promoted: bool) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        concluded = self._releases.conclude(model, promoted=promoted, now=now)
        self._forget(model.name)
        if not concluded:
            return
        count("Canaries", outcome="PROMOTED" if promoted else "ROLLED_BACK")
        logger().info("canary ended", model=model.name, promoted=promoted, canary=asdict(totals))
        try:
            self._publish(model, totals, promoted=promoted)
        except (BotoCoreError, ClientError) as error:
            logger().warning("event not published", model=model.name, exc_info=error)

    def _publish(self, model: Model, totals: Canary, *, promoted: bool) -> None:
        counts = {name: getattr(totals, name) for name in CANARY_COUNTS}
        name, candidate, live = model.name, totals.candidate, model.live
        if promoted:
            self._publisher().promoted(name, candidate, by="canary", previous=live, **counts)
        else:
            self._publisher().rolled_back(name, candidate, by="canary", live=live, **counts)

    def _forget(self, name: str) -> None:
        self._pending.pop(name, None)
        self._canary_ended(name)


def verdict(canary: Canary) -> Verdict:
    """Decides from the counts alone. A candidate that is worse is never promoted."""
    if is_worse(canary):
        enough = canary.candidate_bad >= MIN_BAD_ANSWERS
        return Verdict.ROLL_BACK if enough else Verdict.CONTINUE
    return Verdict.PROMOTE if canary.candidate_good >= canary.good_answers else Verdict.CONTINUE


def is_worse(canary: Canary) -> bool:
    """Returns whether the candidate's share of bad answers is significantly above the live one's.

    The two-proportion z-test with pooled variance, one-sided. While the live version has no
    answers, as at 100 percent, it counts as having given the same number, all of them good.
    """
    candidate = canary.candidate_good + canary.candidate_bad
    live = canary.live_good + canary.live_bad or candidate
    bad = canary.candidate_bad + canary.live_bad
    if bad in (0, candidate + live):
        return False
    pooled = bad / (candidate + live)
    variance = pooled * (1 - pooled) * (1 / candidate + 1 / live) if candidate else math.inf
    difference = canary.candidate_bad / max(candidate, 1) - canary.live_bad / live
    return difference / math.sqrt(variance) >= Z_95
