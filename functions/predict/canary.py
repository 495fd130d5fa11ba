"""A canary's share of the requests, and what its counts say. Pure."""

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
from facet.registry.models import CANARY_COUNTS, Canary, Model, counted
from facet.registry.releases import Releases

if TYPE_CHECKING:
    from facet.notifications import EventPublisher

LEAST_BAD = 3
"""Bad answers below which nothing is rolled back: one broken image proves nothing."""

SIGNIFICANT = 1.645
"""The 95th percentile of the normal distribution: one-sided, at the 5 % level."""


class Verdict(StrEnum):
    """What becomes of a canary."""

    GO_ON = "go-on"
    PROMOTE = "promote"
    ROLL_BACK = "roll-back"


def chosen(percent: int, request_id: str) -> bool:
    """Whether a request goes to the candidate; always the same for the same id."""
    return int(sha256(request_id.encode()).hexdigest()[:8], 16) % 100 < percent


def verdict(canary: Canary) -> Verdict:
    """Rolled back when significantly worse than the live version; else promoted when it has given
    its good answers."""
    if worse(canary):
        return Verdict.ROLL_BACK if canary.candidate_bad >= LEAST_BAD else Verdict.GO_ON
    return Verdict.PROMOTE if canary.candidate_good >= canary.good_answers else Verdict.GO_ON


def worse(canary: Canary) -> bool:
    """Whether the candidate's share of bad answers is significantly greater than the live one's.

    The two-proportion z-test with pooled variance, one-sided. While the live version has not
    answered, as with 100 percent, it is taken to have given as many answers, all of them good.
    """
    ours = canary.candidate_good + canary.candidate_bad
    theirs = canary.live_good + canary.live_bad or ours
    bad = canary.candidate_bad + canary.live_bad
    if bad in (0, ours + theirs):
        return False
    pooled = bad / (ours + theirs)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / ours + 1 / theirs)) if ours else math.inf
    difference = canary.candidate_bad / max(ours, 1) - canary.live_bad / theirs
    return difference / spread >= SIGNIFICANT


INTERVAL = 1.0
"""Seconds between two updates of one canary's counts."""


class Variant(StrEnum):
    """Whose answer it was."""

    CANDIDATE = "candidate"
    LIVE = "live"


@dataclass
class _Pending:
    """Answers of one canary that the registry does not know yet."""

    canary: Canary
    live: str
    counts: Counter[str] = field(default_factory=Counter)
    written: float = -INTERVAL

    def taken(self) -> Canary:
        return counted(self.canary, {name: self.counts[name] for name in CANARY_COUNTS})


class CanaryCounter:
    """Counts good and bad answers of each canary, and concludes it when they say so.

    An update of the counts is sent with a candidate's bad answer and otherwise at most every
    `INTERVAL`; the answers of less than that are lost when the process ends.
    """

    def __init__(
        self,
        releases: Releases,
        publisher: "Callable[[], EventPublisher]",
        changed: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is called with a model's name when its canary has ended."""
        self._releases = releases
        self._publisher = publisher
        self._changed = changed
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    def count(self, model: Model, variant: Variant, *, good: bool) -> None:
        """Counts an answer to a request that the canary's hash gave to this variant.

        Errors of DynamoDB, EventBridge and SNS are logged, because the caller has an answer
        already. Counts that could not be written are written with the next.
        """
        if model.canary is None or model.live is None:
            return
        pending = self._pending_of(model.name, model.canary, model.live)
        pending.counts[f"{variant}_{'good' if good else 'bad'}"] += 1
        now = self._clock()
        if now - pending.written < INTERVAL and (good or variant is Variant.LIVE):
            return
        pending.written = now
        try:
            self._write(model, pending)
        except (BotoCoreError, ClientError) as error:
            logger().warning("canary not counted", model=model.name, exc_info=error)

    def _pending_of(self, name: str, canary: Canary, live: str) -> _Pending:
        begun = counted(canary, dict.fromkeys(CANARY_COUNTS, 0))
        known = self._pending.get(name)
        if known is None or (known.canary, known.live) != (begun, live):
            known = self._pending[name] = _Pending(begun, live)
        return known

    def _write(self, model: Model, pending: _Pending) -> None:
        totals = self._releases.count(model.name, pending.taken(), pending.live)
        pending.counts.clear()
        if totals is None:
            self._end(model.name)
        elif (found := verdict(totals)) is not Verdict.GO_ON:
            self._conclude(replace(model, canary=totals), totals, promoted=found is Verdict.PROMOTE)

    def _conclude(self, model: Model, totals: Canary, *, promoted: bool) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        concluded = self._releases.conclude(model, promoted=promoted, now=now)
        self._end(model.name)
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

    def _end(self, name: str) -> None:
        self._pending.pop(name, None)
        self._changed(name)
