"""facet/registry/heads/dependents.py: a version that heads depend on stays in service."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from facet.errors import FacetError, RegistryConflict, UnknownModel
from facet.heads.errors import BackboneInUse
from facet.registry.deletions import Deletions
from facet.registry.heads.dependents import Dependents
from facet.registry.models import Status
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.support.versions import (
    NOW,
    accept,
    backbone,
    head,
    make_live,
    overtaken,
    pending,
    proven,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OLD, LIVE = backbone(1), backbone(3)
CATS = head(3, OLD)
LATER = "2026-03-01T00:00:00.000+00:00"
Change = Callable[["Table"], object]


@pytest.fixture(autouse=True)
def backbones(table: "Table") -> None:
    """A backbone with an old version, which is not the previous one any more."""
    for each in (OLD, backbone(2), LIVE):
        make_live(table, each)


def retire_old(table: "Table") -> None:
    Releases(table).retire(proven(OLD), LATER)


def mark(table: "Table") -> None:
    Deletions(table).mark(OLD.model, LATER)


def retire_for_deletion(table: "Table") -> None:
    if Deletions(table).retire(proven(OLD), LATER) is None:
        raise RegistryConflict("left alone")


def accept_cats(table: "Table") -> None:
    Releases(table).accept(proven(CATS))


def state(table: "Table") -> object:
    return sorted(str(sorted(each.items())) for each in table.scan()["Items"])


@pytest.mark.parametrize("change", [retire_old, mark, retire_for_deletion])
def test_a_version_that_a_head_depends_on_stays(table: "Table", change: Change) -> None:
    accept(table, CATS)
    before = state(table)
    with pytest.raises(FacetError):
        change(table)
    assert state(table) == before


def test_the_whole_model_stays_live_too(table: "Table") -> None:
    accept(table, CATS)
    with pytest.raises(BackboneInUse, match="1 version of a head depends on 'mobilenet'"):
        Releases(table).clear(OLD.model, LATER)
    assert Registry(table).live(OLD.model) == proven(LIVE)


def test_the_error_has_the_number_and_the_first_names(table: "Table") -> None:
    for number in range(3, 10):
        accept(table, head(number, OLD, f"cats-{number}"))
    accept(table, head(3, LIVE, "dogs"))
    with pytest.raises(BackboneInUse) as raised:
        retire_old(table)
    assert str(raised.value) == (
        "7 versions of heads depend on version 000000000001 of 'mobilenet': "
        "cats-3 000000000003, cats-4 000000000004, cats-5 000000000005, cats-6 000000000006, "
        "cats-7 000000000007, and 2 more. First delete those models (`facet delete`), or retire "
        "those versions (`facet retire MODEL VERSION`)."
    )
    assert raised.value.heads == 7
    assert Dependents(table).of(OLD.model).number == 8


def test_heads_on_other_versions_do_not_matter(table: "Table") -> None:
    accept(table, head(3, LIVE))
    retire_old(table)
    found = Registry(table).find(OLD.model, OLD.id)
    assert found
    assert found.status is Status.RETIRED


def retired_head(table: "Table") -> None:
    make_live(table, head(4, LIVE))
    make_live(table, head(5, LIVE))
    Releases(table).retire(proven(CATS), LATER)


def withdrawn_head(table: "Table") -> None:
    Releases(table).withdraw(proven(CATS), LATER)


def deleted_head(table: "Table") -> None:
    Deletions(table).mark("cats", LATER)
    assert Deletions(table).retire(proven(CATS), LATER)


@pytest.mark.parametrize("ends", [retired_head, withdrawn_head, deleted_head])
def test_without_its_heads_a_version_can_go(table: "Table", ends: Change) -> None:
    accept(table, CATS)
    ends(table)
    assert Dependents(table).of(OLD.model, OLD.id).number == 0
    retire_old(table)


def test_a_head_that_comes_back_counts_again(table: "Table") -> None:
    accept(table, CATS)
    withdrawn_head(table)
    accept(table, CATS)
    with pytest.raises(BackboneInUse):
        retire_old(table)


def test_an_artifact_that_is_gone_withdraws_a_backbone_and_its_heads_stay_known(
    table: "Table",
) -> None:
    accept(table, CATS)
    Releases(table).withdraw(proven(OLD), LATER)
    assert Dependents(table).of(OLD.model, OLD.id) == (1, ("cats 000000000003",))
    with pytest.raises(BackboneInUse):
        mark(table)


@pytest.mark.parametrize("change", [retire_old, mark])
def test_on_a_version_that_is_gone_no_head_is_accepted(table: "Table", change: Change) -> None:
    Registry(table).begin(CATS)
    change(table)
    with pytest.raises(RegistryConflict):
        accept_cats(table)
    assert Registry(table).find("cats", CATS.id) == CATS
    assert Dependents(table).of(OLD.model).number == 0


# --- two writers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reads", "other"),
    [
        (retire_old, 1, accept_cats),
        (retire_old, 2, accept_cats),
        (mark, 1, accept_cats),
        (mark, 2, accept_cats),
        (retire_for_deletion, 1, accept_cats),
        (retire_for_deletion, 2, accept_cats),
        (retire_for_deletion, 3, accept_cats),
        (accept_cats, 1, retire_old),
        (accept_cats, 1, mark),
    ],
)
def test_of_a_head_and_the_end_of_its_backbone_one_is_first(
    table: "Table", change: Change, reads: int, other: Change
) -> None:
    """The second one changes nothing."""
    Registry(table).begin(CATS)
    states: list[object] = []

    def others() -> None:
        other(table)
        states.append(state(table))

    with pytest.raises((RegistryConflict, BackboneInUse)):
        change(overtaken(table, reads, others))
    assert states == [state(table)]


def test_two_heads_at_once_are_both_known(table: "Table") -> None:
    dogs = head(4, OLD, "dogs")
    for each in (CATS, dogs):
        Registry(table).begin(each)
    accept_cats(overtaken(table, 1, lambda: Releases(table).accept(proven(dogs))))
    assert Dependents(table).of(OLD.model, OLD.id).number == 2


def test_a_head_of_a_backbone_that_was_made_again_keeps_the_old_version(table: "Table") -> None:
    """A new upload comes between the steps of a deletion."""
    mark(table)
    make_live(table, backbone(7))
    accept(table, CATS)
    assert Deletions(table).retire(proven(OLD), LATER) is None
    assert Registry(table).ready(OLD.model, OLD.id) == proven(OLD)


def test_a_classifier_has_no_dependents(table: "Table") -> None:
    for number in (1, 2, 3):
        make_live(table, pending(number))
    Releases(table).retire(proven(pending(1)), NOW)
    with pytest.raises(UnknownModel):
        Registry(table).model("cats")
