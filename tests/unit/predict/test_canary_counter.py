"""functions/predict/canary.py: what is counted, when it is written, and how a canary ends."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from facet.news import Happening
from facet.registry.models import Canary, Mode, Model, Policy
from predict.canary import Arm, Tally

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
class Alias:
    """Adds up what is counted, as the registry does; or fails; or says that the canary is over."""

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
class News:
    told: list[tuple[Happening, str, str, dict[str, object]]] = field(default_factory=list)
    outage: Exception | None = None

    def tell(self, happening: Happening, name: str, version: str, **detail: object) -> None:
        if self.outage:
            raise self.outage
        self.told.append((happening, name, version, detail))


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def alias() -> Alias:
    return Alias()


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def tally(alias: Alias, news: News, clock: Clock, ended: list[str]) -> Tally:
    return Tally(alias, lambda: news, ended.append, clock)  # type: ignore[arg-type, return-value]


def test_answers_more_than_a_second_apart_are_each_written(
    tally: Tally, alias: Alias, clock: Clock
) -> None:
    for arm, good in [(Arm.CANDIDATE, True), (Arm.LIVE, True), (Arm.LIVE, False)]:
        tally.count(model(), arm, good=good)
        clock.now += 1
    assert alias.counted == [(1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]


def test_answers_within_a_second_are_written_together(
    tally: Tally, alias: Alias, clock: Clock
) -> None:
    for _ in range(10):
        tally.count(model(), Arm.LIVE, good=True)
        tally.count(model(), Arm.LIVE, good=False)
        clock.now += 0.06
    assert alias.counted == [(0, 0, 1, 0)]
    clock.now += 1
    tally.count(model(), Arm.CANDIDATE, good=True)
    assert alias.counted == [(0, 0, 1, 0), (1, 0, 9, 10)]


def test_a_bad_answer_of_the_candidate_is_written_at_once(tally: Tally, alias: Alias) -> None:
    tally.count(model(), Arm.LIVE, good=True)
    tally.count(model(), Arm.LIVE, good=True)
    tally.count(model(), Arm.CANDIDATE, good=False)
    assert alias.counted == [(0, 0, 1, 0), (0, 1, 1, 0)]


def test_what_the_cache_knew_of_the_counts_is_not_counted_again(
    tally: Tally, alias: Alias, clock: Clock
) -> None:
    tally.count(model(candidate_good=3, live_good=40), Arm.LIVE, good=True)
    clock.now += 1
    tally.count(model(candidate_good=4, live_good=60), Arm.LIVE, good=True)
    assert alias.counted == [(0, 0, 1, 0), (0, 0, 1, 0)]


def test_another_candidate_s_counts_begin_anew(tally: Tally, alias: Alias, clock: Clock) -> None:
    tally.count(model(), Arm.LIVE, good=True)
    tally.count(model(), Arm.LIVE, good=True)
    tally.count(model(candidate="c" * 12), Arm.CANDIDATE, good=True)
    clock.now += 1
    tally.count(model(candidate="c" * 12), Arm.CANDIDATE, good=True)
    assert alias.counted == [(0, 0, 1, 0), (1, 0, 0, 0), (1, 0, 0, 0)]


def test_models_are_counted_apart(tally: Tally, alias: Alias) -> None:
    for name in ("cifar", "other"):
        for _ in range(2):
            tally.count(replace(model(), name=name), Arm.LIVE, good=True)
    assert alias.names == ["cifar", "other"]
    assert alias.counted == [(0, 0, 1, 0)] * 2


@pytest.mark.parametrize("settled", [Model("cifar", live=LIVE), Model("cifar")])
def test_without_a_canary_nothing_is_counted(tally: Tally, alias: Alias, settled: Model) -> None:
    tally.count(settled, Arm.LIVE, good=True)
    assert alias.counted == []


def test_enough_good_answers_promote_the_candidate(
    tally: Tally, alias: Alias, news: News, clock: Clock, ended: list[str]
) -> None:
    for _ in range(5):
        assert ended == []
        tally.count(model(), Arm.CANDIDATE, good=True)
        clock.now += 1
    counted = model(candidate_good=5)
    assert alias.concluded == [(counted, True)]
    assert ended == ["cifar"]
    detail = {
        "by": "canary",
        "previous": LIVE,
        "candidate_good": 5,
        "candidate_bad": 0,
        "live_good": 0,
        "live_bad": 0,
    }
    assert news.told == [(Happening.PROMOTED, "cifar", CANDIDATE, detail)]


def test_bad_answers_roll_it_back(tally: Tally, alias: Alias, news: News, ended: list[str]) -> None:
    for _ in range(3):
        assert ended == []
        tally.count(model(), Arm.CANDIDATE, good=False)
    assert alias.concluded == [(model(candidate_bad=3), False)]
    assert ended == ["cifar"]
    ((happening, _, version, detail),) = news.told
    assert (happening, version) == (Happening.ROLLED_BACK, CANDIDATE)
    assert (detail["live"], detail["candidate_bad"]) == (LIVE, 3)


def test_what_another_process_counted_ends_a_canary_too(tally: Tally, alias: Alias) -> None:
    alias.totals = model(candidate_good=4).canary
    tally.count(model(), Arm.CANDIDATE, good=True)
    assert alias.concluded == [(model(candidate_good=5), True)]


def test_a_canary_that_another_process_concludes_is_told_by_that_one(
    tally: Tally, alias: Alias, news: News, ended: list[str]
) -> None:
    alias.totals, alias.ended_by_another = model(candidate_good=4).canary, True
    tally.count(model(), Arm.CANDIDATE, good=True)
    assert (news.told, ended) == ([], ["cifar"])


def test_a_canary_that_is_over_is_read_again(
    tally: Tally, alias: Alias, news: News, ended: list[str]
) -> None:
    alias.totals = None
    tally.count(model(), Arm.LIVE, good=True)
    assert (alias.concluded, news.told, ended) == ([], [], ["cifar"])


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_while_counting_is_logged_and_counted_later(
    tally: Tally,
    alias: Alias,
    clock: Clock,
    outage: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alias.outage = outage
    tally.count(model(), Arm.CANDIDATE, good=False)
    clock.now += 0.5
    tally.count(model(), Arm.LIVE, good=True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    alias.outage = None
    clock.now += 0.5
    tally.count(model(), Arm.LIVE, good=True)
    assert alias.counted == [(0, 1, 2, 0)]


@pytest.mark.parametrize("outage", OUTAGES)
def test_news_that_cannot_be_told_are_logged(
    tally: Tally, news: News, ended: list[str], outage: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    news.outage = outage
    for _ in range(3):
        tally.count(model(), Arm.CANDIDATE, good=False)
    assert ended == ["cifar"]
    assert "news not told" in caplog.text
