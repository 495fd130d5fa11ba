from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from facet.errors import NoLiveVersion, UnknownModel, UnknownVersion
from facet.registry.models import Model, Serving, Status, Version
from predict import version_cache
from predict.version_cache import VersionCache

OUTAGES = [
    ClientError({"Error": {"Code": "InternalServerError"}}, "GetItem"),
    EndpointConnectionError(endpoint_url="https://nowhere"),
]


def version(identity: str, model: str = "cifar") -> Version:
    return Version(model, identity, Status.READY, sha256=identity, size=1, uploaded_at="")


@dataclass
class Registry:
    """Answers `found`, or raises it; remembers what it was asked."""

    found: Any
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def serving(self, model: str) -> Serving:
        self.asked.append((model, None))
        return Serving(Model(model), self._answer())

    def ready(self, model: str, identity: str) -> Version:
        self.asked.append((model, identity))
        return self._answer()

    def _answer(self) -> Version:
        if isinstance(self.found, Exception):
            raise self.found
        assert isinstance(self.found, Version)
        return self.found


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> Registry:
    return Registry(version("one"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def versions(registry: Registry, clock: Clock) -> VersionCache:
    return VersionCache(registry, 10, clock)  # type: ignore[arg-type]


def test_within_the_ttl_the_registry_is_asked_once(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    for now in (100, 105, 109.9):
        clock.now = now
        assert versions.serving("cifar").live.id == "one"
    assert registry.asked == [("cifar", None)]


def test_after_the_ttl_a_new_live_version_is_seen(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.found = version("two")
    clock.now += 10
    assert versions.serving("cifar").live.id == "two"


def test_a_version_asked_for_is_remembered_apart_from_the_live_one(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    registry.found = version("old")
    assert versions.ready("cifar", "old").id == "old"
    assert versions.serving("cifar").live.id == "one"
    assert registry.asked == [("cifar", None), ("cifar", "old")]


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_answered_from_memory_however_long(
    versions: VersionCache, registry: Registry, clock: Clock, outage: Exception
) -> None:
    versions.serving("cifar")
    registry.found = outage
    for _ in range(3):
        clock.now += 1000
        assert versions.serving("cifar").live.id == "one"


def test_in_an_outage_the_registry_is_not_asked_each_time(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.found = OUTAGES[0]
    clock.now += 1000
    for _ in range(5):
        versions.serving("cifar")
    assert len(registry.asked) == 2


def test_after_an_outage_the_registry_is_believed_again(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.found = OUTAGES[0]
    clock.now += 10
    versions.serving("cifar")
    registry.found = version("two")
    clock.now += 10
    assert versions.serving("cifar").live.id == "two"


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_before_the_first_answer_is_raised(
    versions: VersionCache, registry: Registry, outage: Exception
) -> None:
    registry.found = outage
    with pytest.raises(type(outage)):
        versions.serving("cifar")


@pytest.mark.parametrize(
    "refusal", [UnknownModel("cifar"), NoLiveVersion("cifar"), UnknownVersion("cifar", "x")]
)
def test_what_the_registry_says_is_no_outage(
    versions: VersionCache, registry: Registry, clock: Clock, refusal: Exception
) -> None:
    versions.serving("cifar")
    registry.found = refusal
    clock.now += 10
    with pytest.raises(type(refusal)):
        versions.serving("cifar")


def test_what_expired_is_read_again_within_the_ttl(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    versions.ready("cifar", "old")
    registry.found = version("two")
    versions.expire("cifar")
    assert versions.serving("cifar").live.id == "two"
    assert versions.ready("cifar", "old").id == "one"
    versions.expire("cifar", "old")
    assert versions.ready("cifar", "old").id == "two"


def test_what_expired_is_still_known_in_an_outage(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    registry.found = OUTAGES[0]
    versions.expire("cifar")
    versions.expire("never-read")
    assert versions.serving("cifar").live.id == "one"
    with pytest.raises(ClientError):
        versions.serving("never-read")


def test_memory_is_bounded_and_the_oldest_entry_goes_first(
    versions: VersionCache, registry: Registry
) -> None:
    for number in range(version_cache.CAPACITY + 1):
        versions.serving(f"model-{number}")
    registry.asked.clear()
    versions.serving(f"model-{version_cache.CAPACITY}")
    versions.serving("model-1")
    assert registry.asked == []
    versions.serving("model-0")
    assert registry.asked == [("model-0", None)]
