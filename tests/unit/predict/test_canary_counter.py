"""functions/predict/canary.py: the counter of answers, its writes, and the end of a canary."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from facet.aws.notifications import EventType
from facet.registry.models import Canary, Mode, Model, Policy
from predict.canary import CanaryCounter, Variant

LIVE, CANDIDATE = "a" * 12, "b" * 12
OUTAGES = [
    ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem"),
    EndpointConnectionError(endpoint_url="https://nowhere"),
]


def model(**canary: Any) -> Model:
    began = Canary(CANDIDATE, percent=10, good_answers=5)
    return Model(
        "cifar",
        live=LIVE,
        policy=Policy(Mode.CANARY),
        canary=replace(began, **canary),
    )


@dataclass
class Releases:
    """Adds up counts as the registry does. Raises `outage`; `totals` None: the canary is over."""

    totals: Canary | None = field(default_factory=lambda: model().canary)
    outage: Exception | None = None
    ended_by_another: bool = False
    names: list[str] = field(default_factory=list)
    counted: list[tuple[int, int, int, int]] = field(default_factory=list)
    concluded: list[tuple[Model, bool]] = field(default_factory=list)

    def count(self, name: str, seen: Canary, live: str) -> Canary | None:
        assert live == LIVE
        if self.outage:
            raise self.outage
        new = (seen.candidate_good, seen.candidate_bad, seen.live_good, seen.live_bad)
        self.names.append(name)
        self.counted.append(new)
        if self.totals is None:
            return None
        self.totals = replace(
            self.totals,
            candidate=seen.candidate,
            candidate_good=self.totals.candidate_good + new[0],
            candidate_bad=self.totals.candidate_bad + new[1],
            live_good=self.totals.live_good + new[2],
            live_bad=self.totals.live_bad + new[3],
        )
        return self.totals

    def conclude(self, concluded: Model, *, promoted: bool, now: str) -> bool:
        assert now.endswith("+00:00")
        self.concluded.append((concluded, promoted))
        return not self.ended_by_another


@dataclass
class EventPublisher:
    published: list[tuple[EventType, str, str, dict[str, object]]] = field(default_factory=list)
    outage: Exception | None = None

    def promoted(self, name: str, version: str, **detail: object) -> None:
        self._publish(EventType.PROMOTED, name, version, detail)

    def rolled_back(self, name: str, version: str, **detail: object) -> None:
        self._publish(EventType.ROLLED_BACK, name, version, detail)

    def _publish(
        self, event_type: EventType, name: str, version: str, detail: dict[str, object]
    ) -> None:
        if self.outage:
            raise self.outage
        self.published.append((event_type, name, version, detail))


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def releases() -> Releases:
    return Releases()


@pytest.fixture
def publisher() -> EventPublisher:
    return EventPublisher()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def counter(
    releases: Releases, publisher: EventPublisher, clock: Clock, ended: list[str]
) -> CanaryCounter:
    return CanaryCounter(releases, lambda: publisher, ended.append, clock)  # type: ignore[arg-type, return-value]


def test_answers_more_than_a_second_apart_are_each_written(
    counter: CanaryCounter, releases: Releases, clock: Clock
) -> None:
    for variant, good in [(Variant.CANDIDATE, True), (Variant.LIVE, True), (Variant.LIVE, False)]:
        counter.count(model(), variant, good=good)
        clock.now += 1
    assert releases.counted == [(1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]


def test_answers_within_a_second_are_written_together(
    counter: CanaryCounter, releases: Releases, clock: Clock
) -> None:
    for _ in range(10):
        counter.count(model(), Variant.LIVE, good=True)
        counter.count(model(), Variant.LIVE, good=False)
        clock.now += 0.06
    assert releases.counted == [(0, 0, 1, 0)]
    clock.now += 1
    counter.count(model(), Variant.CANDIDATE, good=True)
    assert releases.counted == [(0, 0, 1, 0), (1, 0, 9, 10)]


def test_a_bad_answer_of_the_candidate_is_written_at_once(
    counter: CanaryCounter, releases: Releases
) -> None:
    counter.count(model(), Variant.LIVE, good=True)
    counter.count(model(), Variant.LIVE, good=True)
    counter.count(model(), Variant.CANDIDATE, good=False)
    assert releases.counted == [(0, 0, 1, 0), (0, 1, 1, 0)]


def test_counts_in_the_cached_model_are_not_counted_again(
    counter: CanaryCounter, releases: Releases, clock: Clock
) -> None:
    counter.count(model(candidate_good=3, live_good=40), Variant.LIVE, good=True)
    clock.now += 1
    counter.count(model(candidate_good=4, live_good=60), Variant.LIVE, good=True)
    assert releases.counted == [(0, 0, 1, 0), (0, 0, 1, 0)]


def test_counts_restart_with_another_candidate(
    counter: CanaryCounter, releases: Releases, clock: Clock
) -> None:
    counter.count(model(), Variant.LIVE, good=True)
    counter.count(model(), Variant.LIVE, good=True)
    counter.count(model(candidate="c" * 12), Variant.CANDIDATE, good=True)
    clock.now += 1
    counter.count(model(candidate="c" * 12), Variant.CANDIDATE, good=True)
    assert releases.counted == [(0, 0, 1, 0), (1, 0, 0, 0), (1, 0, 0, 0)]


def test_models_are_counted_separately(counter: CanaryCounter, releases: Releases) -> None:
    for name in ("cifar", "other"):
        for _ in range(2):
            counter.count(replace(model(), name=name), Variant.LIVE, good=True)
    assert releases.names == ["cifar", "other"]
    assert releases.counted == [(0, 0, 1, 0)] * 2


@pytest.mark.parametrize("settled", [Model("cifar", live=LIVE), Model("cifar")])
def test_without_a_canary_nothing_is_counted(
    counter: CanaryCounter, releases: Releases, settled: Model
) -> None:
    counter.count(settled, Variant.LIVE, good=True)
    assert releases.counted == []


def test_enough_good_answers_promote_the_candidate(
    counter: CanaryCounter,
    releases: Releases,
    publisher: EventPublisher,
    clock: Clock,
    ended: list[str],
) -> None:
    for _ in range(5):
        assert ended == []
        counter.count(model(), Variant.CANDIDATE, good=True)
        clock.now += 1
    counted = model(candidate_good=5)
    assert releases.concluded == [(counted, True)]
    assert ended == ["cifar"]
    detail = {
        "by": "canary",
        "previous": LIVE,
        "candidate_good": 5,
        "candidate_bad": 0,
        "live_good": 0,
        "live_bad": 0,
    }
    assert publisher.published == [(EventType.PROMOTED, "cifar", CANDIDATE, detail)]


def test_bad_answers_roll_the_candidate_back(
    counter: CanaryCounter, releases: Releases, publisher: EventPublisher, ended: list[str]
) -> None:
    for _ in range(3):
        assert ended == []
        counter.count(model(), Variant.CANDIDATE, good=False)
    assert releases.concluded == [(model(candidate_bad=3), False)]
    assert ended == ["cifar"]
    ((event_type, _, version, detail),) = publisher.published
    assert (event_type, version) == (EventType.ROLLED_BACK, CANDIDATE)
    assert (detail["live"], detail["candidate_bad"]) == (LIVE, 3)


def test_counts_of_other_processes_end_a_canary_as_well(
    counter: CanaryCounter, releases: Releases
) -> None:
    releases.totals = model(candidate_good=4).canary
    counter.count(model(), Variant.CANDIDATE, good=True)
    assert releases.concluded == [(model(candidate_good=5), True)]


def test_a_canary_that_another_process_ended_publishes_no_second_event(
    counter: CanaryCounter, releases: Releases, publisher: EventPublisher, ended: list[str]
) -> None:
    releases.totals, releases.ended_by_another = model(candidate_good=4).canary, True
    counter.count(model(), Variant.CANDIDATE, good=True)
    assert (publisher.published, ended) == ([], ["cifar"])


def test_a_canary_that_is_over_expires_the_cached_model(
    counter: CanaryCounter, releases: Releases, publisher: EventPublisher, ended: list[str]
) -> None:
    releases.totals = None
    counter.count(model(), Variant.LIVE, good=True)
    assert (releases.concluded, publisher.published, ended) == ([], [], ["cifar"])


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_while_counting_is_logged_and_counted_later(
    counter: CanaryCounter,
    releases: Releases,
    clock: Clock,
    outage: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    releases.outage = outage
    counter.count(model(), Variant.CANDIDATE, good=False)
    clock.now += 0.5
    counter.count(model(), Variant.LIVE, good=True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    releases.outage = None
    clock.now += 0.5
    counter.count(model(), Variant.LIVE, good=True)
    assert releases.counted == [(0, 1, 2, 0)]


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_event_that_cannot_be_published_is_logged(
    counter: CanaryCounter,
    publisher: EventPublisher,
    ended: list[str],
    outage: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher.outage = outage
    for _ in range(3):
        counter.count(model(), Variant.CANDIDATE, good=False)
    assert ended == ["cifar"]
    assert "event not published" in caplog.text
