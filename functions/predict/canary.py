"""A canary's share of the requests, and what its counts say. Pure."""

import math
from enum import StrEnum
from hashlib import sha256

from facet.registry.models import Canary

LEAST_BAD = 3
"""Bad answers below which nothing is rolled back: one broken picture proves nothing."""

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
