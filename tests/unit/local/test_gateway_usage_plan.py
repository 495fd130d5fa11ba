from typing import Literal

import pytest

from local.gateway.usage_plan import Meter, QuotaExceeded, Throttled, UsagePlan

MIDNIGHT = 1_700_006_400.0  # Wednesday 2023-11-15, 00:00 UTC


class Clock:
    def __init__(self) -> None:
        self.now = MIDNIGHT

    def __call__(self) -> float:
        return self.now


def spend(meter: Meter, times: int, key: str = "a") -> None:
    for _ in range(times):
        meter.spend(key)


def test_allows_a_burst_then_the_rate() -> None:
    clock = Clock()
    meter = Meter(UsagePlan(rate=2, burst=3), now=clock)
    spend(meter, 3)
    with pytest.raises(Throttled):
        meter.spend("a")
    clock.now += 1
    spend(meter, 2)
    with pytest.raises(Throttled):
        meter.spend("a")


def test_saves_no_more_requests_than_the_burst() -> None:
    clock = Clock()
    meter = Meter(UsagePlan(rate=2, burst=3), now=clock)
    clock.now += 3600
    spend(meter, 3)
    with pytest.raises(Throttled):
        meter.spend("a")


def test_each_key_has_its_own_rate_and_quota() -> None:
    meter = Meter(UsagePlan(rate=1, burst=1, quota=1), now=Clock())
    meter.spend("a")
    meter.spend("b")


@pytest.mark.parametrize(("period", "days"), [("DAY", 1), ("WEEK", 5), ("MONTH", 16)])
def test_the_quota_resets_with_the_period(
    period: Literal["DAY", "WEEK", "MONTH"], days: int
) -> None:
    clock = Clock()
    meter = Meter(UsagePlan(rate=100, burst=100, quota=2, period=period), now=clock)
    spend(meter, 2)
    clock.now = MIDNIGHT + days * 86400 - 1
    with pytest.raises(QuotaExceeded):
        meter.spend("a")
    clock.now += 1
    spend(meter, 2)


def test_throttled_requests_do_not_count() -> None:
    clock = Clock()
    meter = Meter(UsagePlan(rate=1, burst=1, quota=2), now=clock)
    meter.spend("a")
    for _ in range(10):
        with pytest.raises(Throttled):
            meter.spend("a")
    clock.now += 1
    meter.spend("a")


def test_a_clock_set_back_does_not_lower_the_rate() -> None:
    clock = Clock()
    meter = Meter(UsagePlan(rate=1, burst=2), now=clock)
    meter.spend("a")
    clock.now -= 10
    meter.spend("a")
