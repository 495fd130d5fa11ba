import tracemalloc
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from facet.errors import NoLiveVersion, UnknownModel, UnknownVersion
from facet.manifest import BackboneManifest, parse
from facet.registry.models import Model, Serving, Status, Version
from predict import version_cache
from predict.version_cache import VersionCache
from tests.support.inputs import artifacts

OUTAGES = [
    ClientError({"Error": {"Code": "InternalServerError"}}, "GetItem"),
    EndpointConnectionError(endpoint_url="https://nowhere"),
]


def version(identity: str, model: str = "cifar") -> Version:
    return Version(model, identity, Status.READY, sha256=identity, size=1, uploaded_at="")


@dataclass
class Registry:
    """Returns or raises `result`; `reads` lists the calls."""

    result: Any
    reads: list[tuple[str, str | None]] = field(default_factory=list)

    def serving(self, model: str) -> Serving:
        self.reads.append((model, None))
        return Serving(Model(model), self._answer())

    def ready(self, model: str, identity: str) -> Version:
        self.reads.append((model, identity))
        return self._answer()

    def _answer(self) -> Version:
        if isinstance(self.result, Exception):
            raise self.result
        assert isinstance(self.result, Version)
        return self.result


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


def test_within_the_ttl_the_registry_is_read_once(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    for now in (100, 105, 109.9):
        clock.now = now
        assert versions.serving("cifar").live.id == "one"
    assert registry.reads == [("cifar", None)]


def test_after_the_ttl_a_new_live_version_is_seen(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.result = version("two")
    clock.now += 10
    assert versions.serving("cifar").live.id == "two"


def test_a_requested_version_is_cached_separately_from_the_live_one(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    registry.result = version("old")
    assert versions.ready("cifar", "old").id == "old"
    assert versions.serving("cifar").live.id == "one"
    assert registry.reads == [("cifar", None), ("cifar", "old")]


@pytest.mark.parametrize("outage", OUTAGES)
def test_during_an_outage_the_cache_answers_indefinitely(
    versions: VersionCache, registry: Registry, clock: Clock, outage: Exception
) -> None:
    versions.serving("cifar")
    registry.result = outage
    for _ in range(3):
        clock.now += 1000
        assert versions.serving("cifar").live.id == "one"


def test_during_an_outage_the_registry_is_not_read_for_every_request(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.result = OUTAGES[0]
    clock.now += 1000
    for _ in range(5):
        versions.serving("cifar")
    assert len(registry.reads) == 2


def test_after_an_outage_the_registry_is_read_again(
    versions: VersionCache, registry: Registry, clock: Clock
) -> None:
    versions.serving("cifar")
    registry.result = OUTAGES[0]
    clock.now += 10
    versions.serving("cifar")
    registry.result = version("two")
    clock.now += 10
    assert versions.serving("cifar").live.id == "two"


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_before_the_first_read_is_raised(
    versions: VersionCache, registry: Registry, outage: Exception
) -> None:
    registry.result = outage
    with pytest.raises(type(outage)):
        versions.serving("cifar")


@pytest.mark.parametrize(
    "refusal", [UnknownModel("cifar"), NoLiveVersion("cifar"), UnknownVersion("cifar", "x")]
)
def test_errors_of_the_registry_itself_are_not_outages(
    versions: VersionCache, registry: Registry, clock: Clock, refusal: Exception
) -> None:
    versions.serving("cifar")
    registry.result = refusal
    clock.now += 10
    with pytest.raises(type(refusal)):
        versions.serving("cifar")


def test_an_expired_entry_is_read_again_within_the_ttl(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    versions.ready("cifar", "old")
    registry.result = version("two")
    versions.expire("cifar")
    assert versions.serving("cifar").live.id == "two"
    assert versions.ready("cifar", "old").id == "one"
    versions.expire("cifar", "old")
    assert versions.ready("cifar", "old").id == "two"


def test_an_expired_entry_still_answers_during_an_outage(
    versions: VersionCache, registry: Registry
) -> None:
    versions.serving("cifar")
    registry.result = OUTAGES[0]
    versions.expire("cifar")
    versions.expire("never-read")
    assert versions.serving("cifar").live.id == "one"
    with pytest.raises(ClientError):
        versions.serving("never-read")


def large(features: int) -> Version:
    """A backbone whose golden sample has so many features."""
    document = artifacts.backbone(output={"tensor": "features", "width": features})
    document["golden"]["features"] = [at / 7 for at in range(features)]
    return replace(version("large"), manifest=BackboneManifest.model_validate(document))


def test_the_cache_is_bounded_by_bytes_and_evicts_the_oldest_entry(
    versions: VersionCache, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_cache, "CAPACITY", 1_000_000)
    for number in range(100):
        versions.serving(f"model-{number}")
    registry.reads.clear()
    versions.serving("model-0")
    assert registry.reads == [], "100 small ones fit"
    registry.result = large(8192)  # 260 kB each
    for number in range(3):
        versions.ready("backbone", f"{number:012}")
    registry.reads.clear()
    versions.ready("backbone", "000000000000")
    versions.serving("model-99")
    assert registry.reads == []
    versions.serving("model-0")
    assert registry.reads == [("model-0", None)]


def test_an_entry_that_is_read_again_counts_once(
    versions: VersionCache, registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_cache, "CAPACITY", 1_000_000)
    versions.serving("cifar")
    registry.result = large(8192)
    for _ in range(10):
        clock.now += 10
        versions.ready("backbone", "000000000000")
    registry.reads.clear()
    registry.result = OUTAGES[0]
    assert versions.serving("cifar").live.id == "one"


def test_what_does_not_fit_is_answered_and_not_kept(
    versions: VersionCache, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_cache, "CAPACITY", 100)
    for _ in range(2):
        assert versions.serving("cifar").live.id == "one"
    assert len(registry.reads) == 2


@pytest.mark.parametrize("features", [2, 1000, 8192])
def test_the_estimate_is_near_what_python_allocates(features: int) -> None:
    text = large(features).manifest.model_dump_json(by_alias=True)  # type: ignore[union-attr]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [parse(text) for _ in range(20)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    estimate = sum(map(version_cache._size, kept))
    assert 0.9 < estimate / (after - before) < 3
