"""An upload is watched until nothing more will become of it."""

from dataclasses import replace
from itertools import count

import pytest

from cli.watch import Lost, Sight, StillUnderWay, Wanted, follow
from facet.errors import UnknownModel, UnknownVersion
from facet.registry.models import Version
from tests.support.versions import pending, ready, rejected

ID = f"{1:012x}"
BEFORE = rejected(1)
AGAIN = replace(BEFORE, updated_at="2026-03-01T00:00:00.000+00:00")


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Wanted("cifar"), Sight(None, True)),
        (Wanted("cifar"), Sight(ready(1), True)),
        (Wanted("cifar"), Sight(pending(1), False)),
        (Wanted("cifar", ID), Sight(None, True)),
        (Wanted("cifar", ID), Sight(pending(1), True)),
        (Wanted("cifar", ID, BEFORE, uploaded=True), Sight(BEFORE, True)),
    ],
)
def test_not_settled_yet(wanted: Wanted, seen: Sight) -> None:
    assert wanted.settled(seen) is None


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Wanted("cifar"), Sight(ready(1), False)),
        (Wanted("cifar", ID), Sight(ready(1), True)),
        (Wanted("cifar", ID), Sight(BEFORE, True)),
        (Wanted("cifar", ID, BEFORE, uploaded=True), Sight(AGAIN, True)),
        (Wanted("cifar", ID, BEFORE, uploaded=True), Sight(AGAIN, False)),
    ],
)
def test_settled(wanted: Wanted, seen: Sight) -> None:
    assert wanted.settled(seen) is seen.version


@pytest.mark.parametrize(
    ("wanted", "seen", "error"),
    [
        (Wanted("cifar"), Sight(None, False), UnknownModel),
        (Wanted("cifar", ID), Sight(None, False), UnknownVersion),
        (Wanted("cifar", ID, uploaded=True), Sight(None, False), Lost),
        (Wanted("cifar", ID, BEFORE, uploaded=True), Sight(BEFORE, False), Lost),
    ],
)
def test_nothing_to_wait_for(wanted: Wanted, seen: Sight, error: type[Exception]) -> None:
    with pytest.raises(error):
        wanted.settled(seen)


class Time:
    """Passes only in pauses."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def now(self) -> float:
        return sum(self.pauses)


def watched(*seen: Sight, within: float = 100) -> tuple[Version, list[str], Time]:
    told: list[str] = []
    time, sights = Time(), iter(seen)
    found = follow(
        lambda: next(sights),
        Wanted("cifar", ID),
        within,
        told=told.append,
        pause=time.pause,
        clock=time.now,
    )
    return found, told, time


def test_each_change_is_told_once() -> None:
    at_door, proving = Sight(None, True), Sight(pending(1), True)
    found, told, time = watched(at_door, at_door, proving, proving, Sight(ready(1), True))
    assert found == ready(1)
    assert told == ["the upload is being checked", f"{ID} is being proven on the endpoint"]
    assert time.pauses == sorted(time.pauses)
    assert len(time.pauses) == 4


def test_looks_become_seldom_and_end_in_time() -> None:
    with pytest.raises(StillUnderWay, match="being proven on the endpoint"):
        watched(*[Sight(pending(1), True) for _ in range(1000)], within=900)
    time = Time()
    sights = count()
    with pytest.raises(StillUnderWay):
        follow(
            lambda: Sight(pending(next(sights)), True),
            Wanted("cifar", ID),
            900,
            told=lambda _: None,
            pause=time.pause,
            clock=time.now,
        )
    assert 880 < time.now() <= 900
    assert max(time.pauses) == 5
