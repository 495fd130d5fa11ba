"""Courses of a day: each of 24 hours' requests, relative to the mean."""

import math
from typing import Literal

Day = Literal["steady", "day", "office", "burst"]

HOURS = 24


def _two_levels(busy: int, share: float) -> tuple[float, ...]:
    """Put `share` of a day's requests into `busy` hours, and the rest into the others."""
    high = share * HOURS / busy
    low = (1 - share) * HOURS / (HOURS - busy)
    return (high,) * busy + (low,) * (HOURS - busy)


DAYS: dict[Day, tuple[float, ...]] = {
    "steady": (1.0,) * HOURS,
    "day": tuple(1 - 0.8 * math.cos(math.tau * hour / HOURS) for hour in range(HOURS)),
    "office": _two_levels(9, 0.9),
    "burst": _two_levels(1, 0.5),
}
