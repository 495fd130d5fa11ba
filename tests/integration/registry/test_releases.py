"""facet/registry/releases.py: which version answers, and who may change that when."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from facet.errors import (
    BadRequest,
    NothingToRollBack,
    RegistryConflict,
    UnknownModel,
    UnknownVersion,
    VersionInUse,
)
from facet.registry.deletions import Deletions
from facet.registry.models import Canary, Mode, Model, Policy, Status, Version
from facet.registry.placement import Placement
from facet.registry.releases import MAX_GOOD_ANSWERS, Releases
from facet.registry.store import Registry
from tests.support.versions import (
    NOW,
    accept,
    backbone,
    make_live,
    overtaken,
    pending,
    proven,
    ready,
    rejected,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

LATER = "2026-03-01T00:00:00.000+00:00"
CANARY = Policy(Mode.CANARY, percent=20, good_answers=30)


@pytest.fixture
def releases(table: "Table") -> Releases:
    return Releases(table)


@pytest.fixture
def canary(table: "Table", releases: Releases, registry: Registry) -> Model:
    """A model with 1 before 2 live, and 3 as the candidate."""
    make_live(table, pending(1))
    make_live(table, pending(2))
    releases.set_policy("cifar", CANARY, NOW)
    assert accept(table, pending(3)) is Placement.CANDIDATE
    return registry.model("cifar")


def names(registry: Registry) -> tuple[str | None, str | None, str | None]:
    """The ids of the live, the previous version and the candidate, without their zeros."""
    model = registry.model("cifar")
    candidate = model.canary.candidate if model.canary else None
    live, previous, candidate = (
        each and each.lstrip("0") for each in (model.live, model.previous, candidate)
    )
    return live, previous, candidate


# --- accept -----------------------------------------------------------------------------------


def test_a_first_version_goes_live(table: "Table", registry: Registry) -> None:
    made = make_live(table, pending(1))
    assert registry.live("cifar") == made == registry.ready("cifar", made.id)
    assert names(registry) == ("1", None, None)


def test_the_next_version_goes_live_and_the_last_one_is_previous(
    table: "Table", registry: Registry
) -> None:
    make_live(table, pending(1))
    second = make_live(table, pending(2))
    assert names(registry) == ("2", "1", None)
    assert registry.model("cifar").updated_at == second.updated_at
    assert registry.ready("cifar", pending(1).id) == ready(1)


def test_a_version_that_began_or_was_rejected_leaves_the_live_one(
    table: "Table", registry: Registry
) -> None:
    make_live(table, pending(1))
    registry.begin(pending(2))
    assert names(registry) == ("1", None, None)
    registry.reject(rejected(2))
    assert names(registry) == ("1", None, None)


@pytest.mark.parametrize(
    ("mode", "first", "second", "placed"),
    [
        (Mode.AUTO, Placement.LIVE, Placement.LIVE, ("2", "1", None)),
        (Mode.MANUAL, Placement.READY, Placement.READY, (None, None, None)),
        (Mode.CANARY, Placement.LIVE, Placement.CANDIDATE, ("1", None, "2")),
    ],
)
def test_the_policy_decides_the_placement_of_a_proven_version(
    table: "Table",
    registry: Registry,
    releases: Releases,
    mode: Mode,
    first: Placement,
    second: Placement,
    placed: tuple[str | None, ...],
) -> None:
    registry.begin(pending(1))
    releases.set_policy("cifar", Policy(mode), NOW)
    assert accept(table, pending(1)) is first
    assert accept(table, pending(2)) is second
    assert names(registry) == placed
    assert registry.ready("cifar", pending(2).id) == ready(2)


def test_a_candidate_begins_with_its_model_s_policy_and_no_answers(
    canary: Model,
) -> None:
    assert canary.canary == Canary(pending(3).id, 20, 30, 0, 0, 0, 0)
    assert canary.updated_at == pending(3).updated_at


def test_a_newer_version_supersedes_a_candidate_and_its_counts(
    table: "Table", releases: Releases, registry: Registry, canary: Model
) -> None:
    assert canary.canary
    releases.count("cifar", replace(canary.canary, candidate_good=7, live_bad=1), pending(2).id)
    releases.set_policy("cifar", Policy(Mode.CANARY, 50, 60), NOW)
    accept(table, pending(4))
    assert registry.model("cifar").canary == Canary(pending(4).id, 50, 60)
    assert registry.ready("cifar", pending(3).id) == ready(3)


@pytest.mark.parametrize(
    ("mode", "placed"), [(Mode.AUTO, ("4", "2", None)), (Mode.MANUAL, ("2", "1", "3"))]
)
def test_a_version_under_another_policy_ends_a_canary_only_by_going_live(
    table: "Table",
    releases: Releases,
    registry: Registry,
    canary: Model,
    mode: Mode,
    placed: tuple[str, ...],
) -> None:
    releases.set_policy(canary.name, Policy(mode), NOW)
    accept(table, pending(4))
    assert names(registry) == placed


@pytest.mark.parametrize("mode", Mode)
def test_an_older_upload_becomes_ready_only(
    table: "Table", releases: Releases, registry: Registry, mode: Mode
) -> None:
    make_live(table, pending(3))
    releases.set_policy("cifar", Policy(mode), NOW)
    assert accept(table, pending(2)) is Placement.READY
    assert registry.ready("cifar", pending(2).id) == ready(2)
    assert names(registry) == ("3", None, None)


def test_older_is_older_than_the_newest_accepted_one_even_if_that_is_not_live(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    releases.set_policy("cifar", Policy(Mode.MANUAL), NOW)
    accept(table, pending(3))
    releases.set_policy("cifar", Policy(Mode.AUTO), NOW)
    assert accept(table, pending(2)) is Placement.READY
    assert accept(table, pending(4)) is Placement.LIVE
    assert names(registry) == ("4", "1", None)


@pytest.mark.parametrize(
    ("sequencer", "placement"),
    [
        ("0055AED6DCD90281E4", Placement.READY),
        ("0055AED6DCD90281E6", Placement.LIVE),
        ("00", Placement.READY),
        ("0056", Placement.LIVE),
        (None, Placement.LIVE),
    ],
)
def test_sequencers_decide_among_uploads_of_one_second(
    table: "Table", sequencer: str | None, placement: Placement
) -> None:
    make_live(table, replace(pending(1), sequencer="0055AED6DCD90281E5"))
    same_second = replace(pending(2), uploaded_at=pending(1).uploaded_at, sequencer=sequencer)
    assert accept(table, same_second) is placement


def test_the_same_bytes_of_another_upload_are_not_accepted_for_it(
    releases: Releases, registry: Registry
) -> None:
    mine, other = (
        replace(pending(1), object_version="mine"),
        replace(pending(1), object_version="other"),
    )
    registry.begin(mine)
    registry.begin(other)
    with pytest.raises(RegistryConflict):
        releases.accept(proven(mine))
    assert registry.find("cifar", mine.id) == other


def test_a_version_rejected_meanwhile_is_not_accepted(
    releases: Releases, registry: Registry
) -> None:
    registry.begin(pending(1))
    registry.reject(rejected(1))
    with pytest.raises(RegistryConflict):
        releases.accept(ready(1))
    assert registry.find("cifar", pending(1).id) == rejected(1)


def test_a_version_whose_upload_never_began_is_not_accepted(releases: Releases) -> None:
    with pytest.raises(UnknownModel):
        releases.accept(ready(1))


def test_accepting_twice_is_a_conflict(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    with pytest.raises(RegistryConflict, match="try again"):
        releases.accept(ready(1))
    assert names(registry) == ("1", None, None)


def test_a_retired_version_that_is_uploaded_again_goes_live_again(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    make_live(table, pending(2))
    releases.retire(ready(1), NOW)
    again = replace(pending(1), uploaded_at=pending(3).uploaded_at)
    assert accept(table, again) is Placement.LIVE
    assert registry.live("cifar") == proven(again)
    assert names(registry) == ("1", "2", None)


# --- promote and roll back --------------------------------------------------------------------


def test_any_ready_version_can_be_promoted(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    for number in (1, 2, 3):
        make_live(table, pending(number))
    before = releases.promote("cifar", pending(1).id, LATER)
    assert before.live == pending(3).id
    assert names(registry) == ("1", "3", None)
    assert registry.model("cifar").updated_at == LATER


@pytest.mark.parametrize(
    ("number", "placed"), [(1, ("1", "2", None)), (2, ("2", "1", None)), (3, ("3", "2", None))]
)
def test_promoting_ends_a_canary(
    releases: Releases, registry: Registry, canary: Model, number: int, placed: tuple[str, ...]
) -> None:
    assert releases.promote("cifar", pending(number).id, LATER) == canary
    assert names(registry) == placed
    assert registry.model("cifar").rolled_back is None


def test_promoting_a_rolled_back_version_ends_its_rolled_back_state(
    releases: Releases, registry: Registry, canary: Model
) -> None:
    releases.rollback(canary.name, NOW)
    releases.promote("cifar", pending(1).id, NOW)
    assert registry.model("cifar").rolled_back == pending(3).id
    releases.promote("cifar", pending(3).id, NOW)
    assert names(registry) == ("3", "1", None)
    assert registry.model("cifar").rolled_back is None


def test_promoting_the_live_version_changes_nothing(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    make_live(table, pending(2))
    before = registry.model("cifar")
    assert releases.promote("cifar", pending(2).id, LATER) == before == registry.model("cifar")


def test_only_ready_versions_are_promoted(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    make_live(table, pending(2))
    releases.retire(ready(1), NOW)
    registry.begin(pending(3))
    registry.reject(rejected(4))
    for number in (1, 3, 4, 5):
        with pytest.raises(UnknownVersion, match=pending(number).id):
            releases.promote("cifar", pending(number).id, NOW)
    assert names(registry) == ("2", None, None)


def test_rolling_back_makes_the_previous_version_live(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    make_live(table, pending(2))
    assert releases.rollback("cifar", LATER).live == pending(2).id
    assert names(registry) == ("1", "2", None)
    assert registry.model("cifar").updated_at == LATER


def test_rolling_back_during_a_canary_ends_the_canary(
    releases: Releases, registry: Registry, canary: Model
) -> None:
    assert releases.rollback("cifar", LATER) == canary
    assert names(registry) == ("2", "1", None)
    model = registry.model("cifar")
    assert (model.rolled_back, model.updated_at) == (pending(3).id, LATER)
    assert registry.ready("cifar", pending(3).id) == ready(3)
    releases.rollback("cifar", LATER)
    assert names(registry) == ("1", "2", None)


def test_nothing_to_roll_back(table: "Table", releases: Releases, registry: Registry) -> None:
    make_live(table, pending(1))
    with pytest.raises(NothingToRollBack, match="'cifar' has no previous version"):
        releases.rollback("cifar", NOW)
    make_live(table, pending(2))
    releases.retire(ready(1), NOW)
    with pytest.raises(NothingToRollBack):
        releases.rollback("cifar", NOW)
    assert names(registry) == ("2", None, None)


def test_a_previous_version_that_is_not_ready_is_nothing_to_roll_back_to(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    """Nothing but a hand that edits the table brings it to that."""
    make_live(table, pending(1))
    make_live(table, pending(2))
    table.delete_item(Key={"model": "cifar", "item": f"version#{pending(1).id}"})
    with pytest.raises(NothingToRollBack):
        releases.rollback("cifar", NOW)
    assert names(registry) == ("2", "1", None)


# --- canaries ---------------------------------------------------------------------------------


def test_counts_add_up(releases: Releases, registry: Registry, canary: Model) -> None:
    assert canary.canary
    seen = replace(canary.canary, candidate_good=1, candidate_bad=2, live_good=3, live_bad=4)
    assert releases.count("cifar", seen, pending(2).id) == seen
    twice = replace(seen, candidate_good=2, candidate_bad=4, live_good=6, live_bad=8)
    assert releases.count("cifar", seen, pending(2).id) == twice
    assert registry.model("cifar").canary == twice


def test_a_canary_that_is_over_is_not_counted(
    releases: Releases, registry: Registry, canary: Model
) -> None:
    seen = canary.canary
    assert seen
    assert releases.count("cifar", replace(seen, candidate="f" * 12), pending(2).id) is None
    assert releases.count("cifar", seen, pending(1).id) is None
    releases.rollback("cifar", NOW)
    before = registry.model("cifar")
    assert releases.count("cifar", seen, pending(2).id) is None
    assert releases.count("nobody", seen, pending(2).id) is None
    assert registry.model("cifar") == before
    with pytest.raises(UnknownModel):
        registry.model("nobody")


def test_a_canary_is_concluded_once(releases: Releases, registry: Registry, canary: Model) -> None:
    assert releases.conclude(canary, promoted=True, now=LATER)
    assert names(registry) == ("3", "2", None)
    model = registry.model("cifar")
    assert (model.rolled_back, model.updated_at) == (None, LATER)
    for promoted in (True, False):
        assert not releases.conclude(canary, promoted=promoted, now=LATER)
        assert not releases.conclude(model, promoted=promoted, now=LATER)
    assert registry.model("cifar") == model


def test_a_candidate_that_is_not_ready_is_not_promoted(
    table: "Table", releases: Releases, registry: Registry, canary: Model
) -> None:
    """Nothing but a hand that edits the table brings it to that."""
    table.delete_item(Key={"model": "cifar", "item": f"version#{pending(3).id}"})
    assert not releases.conclude(canary, promoted=True, now=NOW)
    assert releases.conclude(canary, promoted=False, now=NOW)
    assert names(registry) == ("2", "1", None)


# --- policy -----------------------------------------------------------------------------------


def test_a_policy_is_kept_and_leaves_a_canary_as_it_began(
    releases: Releases, registry: Registry, canary: Model
) -> None:
    assert releases.set_policy("cifar", Policy(Mode.CANARY, 1, MAX_GOOD_ANSWERS), LATER) == canary
    model = registry.model("cifar")
    assert model.policy == Policy(Mode.CANARY, 1, MAX_GOOD_ANSWERS)
    assert (model.canary, model.updated_at) == (canary.canary, LATER)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(percent=0),
        Policy(percent=101),
        Policy(good_answers=0),
        Policy(good_answers=MAX_GOOD_ANSWERS + 1),
    ],
)
def test_a_policy_that_cannot_be(releases: Releases, canary: Model, policy: Policy) -> None:
    with pytest.raises(BadRequest, match=r"1 to 100 percent .* 1 to 1,000,000 good answers"):
        releases.set_policy(canary.name, policy, NOW)


# --- out of service ---------------------------------------------------------------------------


def test_a_retired_version_is_out_of_service(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    for number in (1, 2, 3):
        make_live(table, pending(number))
    releases.retire(ready(1), LATER)
    retired = replace(ready(1), status=Status.RETIRED, updated_at=LATER)
    assert registry.find("cifar", pending(1).id) == retired
    assert names(registry) == ("3", "2", None)
    releases.retire(ready(2), LATER)
    assert names(registry) == ("3", None, None)


@pytest.mark.parametrize("number", [2, 3])
def test_a_version_in_use_is_not_retired(
    releases: Releases, registry: Registry, canary: Model, number: int
) -> None:
    with pytest.raises(VersionInUse, match=pending(number).id):
        releases.retire(ready(number), NOW)
    assert registry.model("cifar") == canary
    assert registry.ready("cifar", pending(number).id) == ready(number)


def test_a_version_that_changed_since_it_was_read_is_not_retired(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(1))
    make_live(table, pending(2))
    with pytest.raises(RegistryConflict):
        releases.retire(pending(1), NOW)
    assert registry.ready("cifar", pending(1).id) == ready(1)
    assert names(registry) == ("2", "1", None)


def test_a_version_that_was_retired_and_came_back_is_not_retired_by_who_saw_it_before(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    seen = make_live(table, pending(1))
    make_live(table, pending(2))
    releases.retire(seen, LATER)
    back = replace(seen, uploaded_at="2025-01-01T00:00:00+00:00", updated_at=LATER)
    accept(table, replace(back, status=Status.PENDING, proof=None))
    with pytest.raises(RegistryConflict):
        releases.retire(seen, LATER)
    assert registry.ready("cifar", seen.id)


@pytest.mark.parametrize(
    ("number", "successor", "placed"),
    [
        (1, None, ("2", None, "3")),
        (2, "1", ("1", None, None)),
        (3, None, ("2", "1", None)),
    ],
)
def test_a_withdrawn_version_leaves_its_place(
    releases: Releases,
    registry: Registry,
    canary: Model,
    number: int,
    successor: str | None,
    placed: tuple[str | None, ...],
) -> None:
    found = releases.withdraw(ready(number), LATER)
    assert (found and found.lstrip("0")) == successor
    assert names(registry) == placed
    retired = registry.find("cifar", pending(number).id)
    assert retired == replace(ready(number), status=Status.RETIRED, updated_at=LATER)
    assert registry.model("cifar").policy == canary.policy


def test_without_a_previous_version_the_newest_ready_one_is_the_heir(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    for number in (1, 2, 3):
        make_live(table, pending(number))
    registry.begin(pending(4))
    releases.withdraw(ready(2), NOW)
    assert names(registry) == ("3", None, None)
    assert accept(table, replace(pending(5), uploaded_at=pending(2).uploaded_at)) is Placement.READY
    assert releases.withdraw(ready(3), NOW) == pending(5).id
    assert releases.withdraw(registry.live("cifar"), NOW) == pending(1).id
    assert releases.withdraw(ready(1), NOW) is None
    assert names(registry) == (None, None, None)


def test_a_rolled_back_candidate_is_the_last_successor(
    table: "Table", releases: Releases, registry: Registry
) -> None:
    make_live(table, pending(2))
    releases.set_policy("cifar", CANARY, NOW)
    accept(table, pending(3))
    releases.rollback("cifar", NOW)
    accept(table, pending(1))
    assert releases.withdraw(ready(2), NOW) == pending(1).id
    assert registry.model("cifar").rolled_back == pending(3).id
    assert releases.withdraw(ready(1), NOW) == pending(3).id
    assert names(registry) == ("3", None, None)
    assert registry.model("cifar").rolled_back is None


@pytest.mark.parametrize("status", [Status.PENDING, Status.REJECTED, Status.RETIRED])
def test_a_version_that_is_not_live_can_be_withdrawn(
    table: "Table", releases: Releases, registry: Registry, status: Status
) -> None:
    make_live(table, pending(1))
    registry.begin(pending(2))
    version = replace(pending(2), status=status)
    if status is not Status.PENDING:
        registry.reject(version)
    assert releases.withdraw(version, NOW) is None
    found = registry.find("cifar", version.id)
    assert found == replace(version, status=Status.RETIRED, updated_at=NOW)
    assert names(registry) == ("1", None, None)


def test_a_cleared_model_has_no_live_version_until_the_next_upload(
    table: "Table", releases: Releases, registry: Registry, canary: Model
) -> None:
    assert releases.clear("cifar", LATER) == canary
    assert registry.model("cifar") == replace(
        canary, live=None, previous=None, canary=None, updated_at=LATER
    )
    for number in (1, 2, 3):
        releases.retire(ready(number), NOW)
    assert accept(table, pending(4)) is Placement.LIVE
    assert names(registry) == ("4", None, None)


def test_clearing_twice_changes_nothing(
    releases: Releases, registry: Registry, canary: Model
) -> None:
    releases.clear(canary.name, NOW)
    before = registry.model("cifar")
    assert releases.clear("cifar", NOW) == before == registry.model("cifar")


# --- two writers ------------------------------------------------------------------------------

Change = Callable[[Releases], object]


def promoted(number: int) -> Change:
    return lambda releases: releases.promote("cifar", pending(number).id, LATER)


def withdrawn(number: int) -> Change:
    return lambda releases: releases.withdraw(ready(number), LATER)


def accepted(version: Version) -> Change:
    return lambda releases: releases.accept(version)


def rolled_back(releases: Releases) -> object:
    return releases.rollback("cifar", LATER)


def retired(number: int) -> Change:
    return lambda releases: releases.retire(ready(number), LATER)


def cleared(releases: Releases) -> object:
    return releases.clear("cifar", LATER)


def set_manual(releases: Releases) -> object:
    return releases.set_policy("cifar", Policy(Mode.MANUAL), LATER)


@pytest.mark.parametrize(
    ("change", "reads", "other"),
    [
        (accepted(ready(5)), 1, accepted(ready(4))),
        (accepted(ready(4)), 1, accepted(ready(5))),
        (accepted(ready(5)), 1, accepted(ready(5))),
        (accepted(ready(5)), 1, promoted(1)),
        (accepted(ready(5)), 1, withdrawn(2)),
        (accepted(ready(5)), 1, set_manual),
        (accepted(ready(5)), 1, cleared),
        (promoted(1), 1, promoted(3)),
        (promoted(1), 2, promoted(3)),
        (promoted(1), 2, withdrawn(1)),
        (promoted(1), 2, withdrawn(2)),
        (promoted(1), 2, cleared),
        (rolled_back, 1, promoted(1)),
        (rolled_back, 1, rolled_back),
        (retired(1), 1, promoted(1)),
        (retired(1), 1, retired(1)),
        (retired(1), 1, rolled_back),
        (withdrawn(1), 1, promoted(1)),
        (withdrawn(2), 1, promoted(1)),
        (withdrawn(2), 2, promoted(1)),
        (withdrawn(2), 2, withdrawn(1)),
        (withdrawn(2), 2, accepted(ready(5))),
        (withdrawn(3), 1, promoted(3)),
        (cleared, 1, promoted(1)),
        (cleared, 1, withdrawn(2)),
    ],
)
def test_the_second_of_two_writers_conflicts_and_changes_nothing(
    table: "Table", registry: Registry, canary: Model, change: Change, reads: int, other: Change
) -> None:
    registry.begin(pending(4))
    registry.begin(pending(5))
    releases, states = Releases(table), []

    def others() -> None:
        other(releases)
        states.append((registry.model(canary.name), registry.versions(canary.name)))

    with pytest.raises(RegistryConflict):
        change(Releases(overtaken(table, reads, others)))
    assert states == [(registry.model("cifar"), registry.versions("cifar"))]


def test_a_rollback_whose_previous_version_changes_meanwhile_is_a_conflict(
    table: "Table", registry: Registry
) -> None:
    for number in (1, 2, 3):
        make_live(table, pending(number))
    releases = Releases(table)
    for reads in (1, 2):
        overtaking = overtaken(table, reads, lambda: releases.promote("cifar", pending(1).id, NOW))
        with pytest.raises(RegistryConflict):
            Releases(overtaking).rollback("cifar", NOW)
        assert names(registry) == ("1", "3", None)
        releases.promote("cifar", pending(3).id, NOW)


def test_after_a_conflict_it_can_be_done_again(table: "Table", registry: Registry) -> None:
    make_live(table, pending(1))
    registry.begin(pending(3))
    other = overtaken(table, 1, lambda: make_live(table, pending(2)))
    with pytest.raises(RegistryConflict, match="cifar/000000000003"):
        Releases(other).accept(ready(3))
    assert registry.find("cifar", pending(3).id) == pending(3)
    assert Releases(table).accept(ready(3)) is Placement.LIVE
    assert names(registry) == ("3", "2", None)


def test_changes_to_an_unknown_model_are_errors(releases: Releases) -> None:
    changes: list[Change] = [
        rolled_back,
        cleared,
        set_manual,
        promoted(1),
        retired(1),
        withdrawn(1),
        accepted(ready(1)),
    ]
    for change in changes:
        with pytest.raises(UnknownModel):
            change(releases)


def test_other_errors_of_the_table_are_raised_as_they_are(
    table: "Table", releases: Releases, canary: Model
) -> None:
    table.delete()
    assert canary.canary
    with pytest.raises(ClientError, match="ResourceNotFound"):
        releases.conclude(canary, promoted=True, now=NOW)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        releases.count("cifar", canary.canary, pending(2).id)


def test_a_models_versions_are_of_one_kind(table: "Table", registry: Registry) -> None:
    make_live(table, backbone(1, "cifar"))
    assert registry.model("cifar").kind == "backbone"
    Registry(table).begin(pending(2))
    with pytest.raises(RegistryConflict, match="has become a backbone"):
        Releases(table).accept(proven(pending(2)))
    assert registry.live("cifar").kind == "backbone"
    make_live(table, backbone(3, "cifar"))


def test_of_two_first_versions_of_different_kinds_one_is_accepted(
    table: "Table", registry: Registry
) -> None:
    registry.begin(pending(2))
    slow = overtaken(table, 1, lambda: accept(table, backbone(1, "cifar")))
    with pytest.raises(RegistryConflict):
        Releases(slow).accept(proven(pending(2)))
    assert registry.model("cifar").kind == "backbone"


def test_a_name_takes_another_kind_once_the_model_is_deleted(
    table: "Table", registry: Registry
) -> None:
    make_live(table, backbone(1, "cifar"))
    Deletions(table).mark("cifar", NOW)
    make_live(table, pending(2))
    assert registry.model("cifar").kind == "classifier"


def test_a_backbone_has_no_canary(table: "Table", releases: Releases) -> None:
    make_live(table, backbone(1, "cifar"))
    with pytest.raises(BadRequest, match="Use the policy auto or manual"):
        releases.set_policy("cifar", CANARY, NOW)
    releases.set_policy("cifar", Policy(Mode.MANUAL), NOW)
