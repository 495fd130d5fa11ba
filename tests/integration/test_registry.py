from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facet.errors import (
    NoLiveVersion,
    RegistryConflict,
    UnknownModel,
    UnknownVersion,
    Violation,
)
from facet.manifest import Manifest
from facet.registry import Model, Registry, Status, Version
from tests import artifacts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

MANIFEST = Manifest.model_validate(artifacts.manifest(golden=artifacts.golden()))
VIOLATION = Violation("no-manifest", "facet.json", "there is none", "add one")


def version(number: int, model: str = "cifar") -> Version:
    """A PENDING version; a higher number was dropped later."""
    return Version(
        model=model,
        id=f"{number:012x}",
        status=Status.PENDING,
        sha256=f"{number:064x}",
        size=100 + number,
        dropped_at=f"2026-01-01T00:00:{number:02}+00:00",
        updated_at=f"2026-01-01T00:01:{number:02}.000+00:00",
        manifest=MANIFEST,
    )


def ready(number: int, model: str = "cifar") -> Version:
    return replace(version(number, model), status=Status.READY, proof="golden")


def rejected(number: int) -> Version:
    return replace(version(number), status=Status.REJECTED, violations=(VIOLATION,), manifest=None)


def make_live(registry: Registry, number: int, model: str = "cifar") -> Version:
    registry.begin(version(number, model))
    assert registry.promote(ready(number, model))
    return ready(number, model)


def test_nothing_is_known_at_first(registry: Registry) -> None:
    assert registry.models(10) == ([], None)
    assert registry.versions("cifar") == []
    assert registry.find("cifar", version(1).id) is None
    for read in (registry.model, registry.live):
        with pytest.raises(UnknownModel, match="'cifar'"):
            read("cifar")
    with pytest.raises(UnknownModel):
        registry.ready("cifar", version(1).id)


def test_a_version_that_began_is_pending_and_its_model_known(registry: Registry) -> None:
    registry.begin(version(1))
    assert registry.find("cifar", version(1).id) == version(1)
    assert registry.model("cifar") == Model("cifar", updated_at=version(1).updated_at)
    with pytest.raises(UnknownVersion):
        registry.ready("cifar", version(1).id)
    with pytest.raises(NoLiveVersion, match="still being checked") as caught:
        registry.live("cifar")
    assert caught.value.violations == ()


def test_every_field_of_a_version_comes_back(registry: Registry) -> None:
    whole = replace(version(1), status=Status.REJECTED, proof="smoke", violations=(VIOLATION,) * 2)
    registry.reject(whole)
    assert registry.find("cifar", whole.id) == whole


def test_a_model_whose_first_upload_was_rejected_is_known_with_its_violations(
    registry: Registry,
) -> None:
    registry.reject(rejected(1))
    assert [each.name for each in registry.models(10)[0]] == ["cifar"]
    with pytest.raises(NoLiveVersion, match="rejected") as caught:
        registry.live("cifar")
    assert caught.value.violations == (VIOLATION,)


def test_a_new_upload_after_a_rejected_one_is_still_being_checked(registry: Registry) -> None:
    registry.reject(rejected(1))
    registry.begin(version(2))
    with pytest.raises(NoLiveVersion, match="still being checked"):
        registry.live("cifar")


def test_a_promoted_version_is_ready_and_live(registry: Registry) -> None:
    promoted = make_live(registry, 1)
    assert registry.live("cifar") == promoted == registry.ready("cifar", promoted.id)
    assert registry.model("cifar").previous is None


def test_the_next_version_goes_live_and_the_last_one_is_remembered(registry: Registry) -> None:
    first, second = make_live(registry, 1), make_live(registry, 2)
    assert registry.live("cifar") == second
    model = registry.model("cifar")
    assert (model.live, model.previous) == (second.id, first.id)
    assert model.updated_at == second.updated_at
    assert registry.ready("cifar", first.id) == first


def test_a_version_that_began_or_was_rejected_leaves_the_live_one(registry: Registry) -> None:
    first = make_live(registry, 1)
    registry.begin(version(2))
    assert registry.live("cifar") == first
    registry.reject(rejected(2))
    assert registry.live("cifar") == first


def test_an_older_drop_becomes_ready_but_not_live(registry: Registry) -> None:
    newer = make_live(registry, 2)
    registry.begin(version(1))
    assert not registry.promote(ready(1))
    assert registry.live("cifar") == newer
    assert registry.ready("cifar", version(1).id) == ready(1)
    assert registry.model("cifar").previous is None


def test_versions_come_newest_first(registry: Registry) -> None:
    for number in (2, 3, 1):
        registry.begin(version(number))
    assert registry.versions("cifar") == [version(3), version(2), version(1)]


def test_versions_are_all_read_over_many_pages(registry: Registry) -> None:
    labels = tuple(f"{at:0150}" for at in range(500))
    large = MANIFEST.model_copy(update={"labels": labels, "golden": None})
    for number in range(20):
        registry.begin(replace(version(number), manifest=large))
    assert len(registry.versions("cifar")) == 20


@pytest.mark.parametrize("write", ["begin", "reject"])
def test_a_ready_version_cannot_be_taken_back(registry: Registry, write: str) -> None:
    promoted = make_live(registry, 1)
    with pytest.raises(RegistryConflict, match="READY"):
        getattr(registry, write)(rejected(1) if write == "reject" else version(1))
    assert registry.live("cifar") == promoted


def test_beginning_and_rejecting_may_be_done_over(registry: Registry) -> None:
    for _ in range(2):
        registry.begin(version(1))
        registry.reject(rejected(1))
    registry.begin(version(1))
    assert registry.promote(ready(1))


def test_promoting_twice_is_a_conflict(registry: Registry) -> None:
    promoted = make_live(registry, 1)
    with pytest.raises(RegistryConflict, match="try again"):
        registry.promote(ready(1))
    assert registry.live("cifar") == promoted


class Overtaken:
    """A table whose reads are followed by another writer's promotion."""

    def __init__(self, table: "Table", number: int) -> None:
        self._table = table
        self._number = number

    def get_item(self, **request: Any) -> Any:
        answer = self._table.get_item(**request)
        make_live(Registry(self._table), self._number)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


@pytest.mark.parametrize("before", [0, 1])
def test_another_writer_in_between_is_a_conflict_and_nothing_is_written(
    registry: Registry, table: "Table", before: int
) -> None:
    if before:
        make_live(registry, before)
    registry.begin(version(3))
    with pytest.raises(RegistryConflict):
        Registry(Overtaken(table, 2)).promote(ready(3))  # type: ignore[arg-type]
    assert registry.live("cifar") == ready(2)
    assert registry.find("cifar", version(3).id) == version(3)
    assert registry.promote(ready(3)), "after the conflict it can be tried again"


def test_other_errors_of_the_table_are_raised_as_they_are(
    registry: Registry, table: "Table"
) -> None:
    registry.begin(version(1))
    table.delete()
    for write in (registry.begin, registry.reject, registry.promote):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            write(version(1))


def test_models_are_listed_by_name_in_pages(registry: Registry) -> None:
    names = ["a", "b-1", "c", "d", "e"]
    for name in reversed(names):
        make_live(registry, 1, name)
        registry.begin(version(2, name))
    found: list[str] = []
    after, pages = None, 0
    while pages == 0 or after:
        page, after = registry.models(2, after)
        found += [each.name for each in page]
        pages += 1
    assert found == names
    assert pages == 3
    assert [each.name for each in registry.models(10, "b")[0]] == names[1:]


def test_target_is_the_key_under_the_endpoints_prefix() -> None:
    assert version(1).target == "cifar/000000000001.tar.gz"
