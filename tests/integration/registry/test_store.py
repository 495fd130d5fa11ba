"""facet/registry/store.py: reads, and writes of versions. test_alias.py has the rest."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from facet.errors import (
    NoLiveVersion,
    RegistryConflict,
    UnknownModel,
    UnknownVersion,
    WaitsForEndpoint,
)
from facet.manifest import Manifest
from facet.registry.models import Canary, Mode, Model, Place, Policy, RunIn, Serving, Status
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.support.inputs import artifacts
from tests.support.versions import (
    NOW,
    VIOLATION,
    accept,
    make_live,
    overtaken,
    pending,
    ready,
    rejected,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def test_nothing_is_known_at_first(registry: Registry) -> None:
    assert registry.models(10) == ([], None)
    assert registry.versions("cifar") == []
    assert registry.find("cifar", pending(1).id) is None
    for read in (registry.model, registry.live, registry.serving):
        with pytest.raises(UnknownModel, match="'cifar'"):
            read("cifar")
    with pytest.raises(UnknownModel):
        registry.ready("cifar", pending(1).id)


def test_a_version_that_began_is_pending_and_its_model_known(registry: Registry) -> None:
    registry.begin(pending(1))
    assert registry.find("cifar", pending(1).id) == pending(1)
    assert registry.model("cifar") == Model("cifar", updated_at=pending(1).updated_at)
    with pytest.raises(UnknownVersion):
        registry.ready("cifar", pending(1).id)
    with pytest.raises(NoLiveVersion, match="still being validated") as caught:
        registry.live("cifar")
    assert caught.value.violations == ()


def test_every_field_of_a_version_is_stored(registry: Registry) -> None:
    whole = replace(
        pending(1, golden=artifacts.golden()),
        status=Status.REJECTED,
        object_version="object-version",
        sequencer="00A1",
        proof="smoke",
        violations=(VIOLATION,) * 2,
        proven_in={Place.FUNCTION: NOW},
        not_proven={Place.ENDPOINT: (VIOLATION,) * 2},
        function_seconds=0.0123,
    )
    registry.reject(whole)
    assert registry.find("cifar", whole.id) == whole


def test_a_version_of_an_earlier_release_was_proven_on_the_endpoint(
    registry: Registry, table: "Table"
) -> None:
    make_live(table, pending(1))
    registry.begin(pending(2))
    for number in (1, 2):
        table.update_item(
            Key={"model": "cifar", "item": f"version#{pending(number).id}"},
            UpdateExpression="REMOVE proven_in, not_proven",
        )
    assert registry.live("cifar").proven_in == {Place.ENDPOINT: pending(1).updated_at}
    waiting = registry.find("cifar", pending(2).id)
    assert waiting == pending(2)


def test_a_model_may_have_a_place_of_its_own(registry: Registry, table: "Table") -> None:
    with pytest.raises(UnknownModel):
        registry.set_run_in("cifar", RunIn.AUTO, NOW)
    make_live(table, pending(1))
    assert registry.set_run_in("cifar", RunIn.AUTO, NOW).run_in is None
    assert registry.model("cifar").run_in is RunIn.AUTO
    Releases(table).set_policy("cifar", Policy(Mode.CANARY, 20, 30), NOW)
    assert registry.set_run_in("cifar", None, NOW).run_in is RunIn.AUTO
    assert registry.model("cifar").run_in is None


def test_every_field_of_a_model_is_stored(registry: Registry, table: "Table") -> None:
    first, second = make_live(table, pending(1)), make_live(table, pending(2))
    Releases(table).set_policy("cifar", Policy(Mode.CANARY, 20, 30), NOW)
    taken_back, candidate = pending(3), pending(4)
    accept(table, taken_back)
    Releases(table).rollback("cifar", NOW)
    accept(table, candidate)
    assert registry.model("cifar") == Model(
        "cifar",
        live=second.id,
        previous=first.id,
        policy=Policy(Mode.CANARY, 20, 30),
        canary=Canary(candidate.id, 20, 30),
        rolled_back=taken_back.id,
        updated_at=candidate.updated_at,
        newest=candidate.order,
    )


def test_a_model_whose_first_upload_was_rejected_is_known_with_its_violations(
    registry: Registry,
) -> None:
    registry.reject(rejected(1))
    assert [each.name for each in registry.models(10)[0]] == ["cifar"]
    with pytest.raises(NoLiveVersion, match="rejected") as caught:
        registry.live("cifar")
    assert caught.value.violations == (VIOLATION,)


def test_an_upload_that_waits_for_the_endpoint_says_so(registry: Registry) -> None:
    registry.begin(pending(1))
    reasons = {Place.FUNCTION: (VIOLATION,)}
    waits = replace(pending(1), postponed_at=NOW, not_proven=reasons)
    assert not registry.postpone(replace(waits, object_version="another upload"))
    assert registry.postpone(waits)
    assert registry.find("cifar", waits.id) == waits
    with pytest.raises(WaitsForEndpoint, match=r"there is none.*add one"):
        registry.live("cifar")
    registry.begin(pending(1))
    with pytest.raises(NoLiveVersion, match="still being validated"):
        registry.live("cifar")
    registry.begin(waits)
    registry.reject(rejected(1))
    assert not registry.postpone(waits), "it has a result"


def test_a_new_upload_after_a_rejected_one_is_still_being_checked(registry: Registry) -> None:
    registry.reject(rejected(1))
    registry.begin(pending(2))
    with pytest.raises(NoLiveVersion, match="still being validated"):
        registry.live("cifar")


def test_a_ready_version_that_can_be_promoted_is_named(registry: Registry, table: "Table") -> None:
    registry.begin(pending(1))
    Releases(table).set_policy("cifar", Policy(Mode.MANUAL), NOW)
    accept(table, pending(1))
    registry.reject(rejected(2))
    with pytest.raises(NoLiveVersion, match=f"facet promote cifar {pending(1).id}"):
        registry.live("cifar")


def test_a_model_all_of_whose_versions_are_retired_wants_an_upload(
    registry: Registry, table: "Table"
) -> None:
    Releases(table).withdraw(make_live(table, pending(1)), NOW)
    with pytest.raises(NoLiveVersion, match=r"retired; upload an artifact to mme/cifar\.tar\.gz"):
        registry.live("cifar")


def test_what_serves_is_the_live_version_and_a_canary_s_candidate(
    registry: Registry, table: "Table"
) -> None:
    live = make_live(table, pending(1))
    assert registry.serving("cifar") == Serving(registry.model("cifar"), live)
    Releases(table).set_policy("cifar", Policy(Mode.CANARY), NOW)
    accept(table, pending(2))
    assert registry.serving("cifar") == Serving(registry.model("cifar"), live, ready(2))


def test_without_a_canary_two_items_are_read(registry: Registry, table: "Table") -> None:
    """The model and its live version: each prediction whose cache is over pays for them."""
    make_live(table, pending(1))
    reads: list[str] = []
    events = table.meta.client.meta.events
    count: Callable[..., None] = lambda model, **_: reads.append(model.name)  # noqa: E731
    events.register("before-call.dynamodb", count)
    try:
        registry.serving("cifar")
    finally:
        events.unregister("before-call.dynamodb", count)
    assert reads == ["GetItem", "GetItem"]


def test_a_live_version_that_is_replaced_and_retired_while_it_is_read(table: "Table") -> None:
    first = make_live(table, pending(1))

    def replaced() -> None:
        make_live(table, pending(2))
        Releases(table).retire(first, NOW)

    assert Registry(overtaken(table, 1, replaced)).live("cifar") == ready(2)


def test_a_candidate_that_is_withdrawn_while_it_is_read_is_none(table: "Table") -> None:
    live = make_live(table, pending(1))
    Releases(table).set_policy("cifar", Policy(Mode.CANARY), NOW)
    accept(table, pending(2))
    withdrawn = overtaken(table, 1, lambda: Releases(table).withdraw(ready(2), NOW))
    found = Registry(withdrawn).serving("cifar")
    assert (found.live, found.candidate) == (live, None)


def test_a_live_version_that_is_not_ready_is_not_served(registry: Registry, table: "Table") -> None:
    """Nothing but a hand that edits the table brings it to that."""
    made = make_live(table, pending(1))
    table.delete_item(Key={"model": "cifar", "item": f"version#{made.id}"})
    with pytest.raises(UnknownVersion, match=made.id):
        registry.live("cifar")


def test_versions_are_listed_newest_first(registry: Registry) -> None:
    for number in (2, 3, 1):
        registry.begin(pending(number))
    assert registry.versions("cifar") == [pending(3), pending(2), pending(1)]


def test_versions_of_one_second_are_listed_by_their_sequencers(registry: Registry) -> None:
    """S3's rule: pad the shorter one on the right with zeros, then compare."""
    second = pending(1).uploaded_at
    uploads = [
        replace(pending(number), uploaded_at=second, sequencer=sequencer)
        for number, sequencer in enumerate(
            ["0055AED6DCD90281E5", "0055AED6DCD90281E6", "0056", None]
        )
    ]
    for upload in uploads:
        registry.begin(upload)
    assert [each.sequencer for each in registry.versions("cifar")] == [
        None,
        "0056",
        "0055AED6DCD90281E6",
        "0055AED6DCD90281E5",
    ]


def test_versions_are_all_read_over_many_pages(registry: Registry) -> None:
    labels = tuple(f"{at:0150}" for at in range(500))
    large = Manifest.model_validate(artifacts.manifest()).model_copy(update={"labels": labels})
    for number in range(20):
        registry.begin(replace(pending(number), manifest=large))
    assert len(registry.versions("cifar")) == 20


@pytest.mark.parametrize("write", ["begin", "reject"])
def test_a_ready_version_cannot_be_overwritten(
    registry: Registry, table: "Table", write: str
) -> None:
    promoted = make_live(table, pending(1))
    with pytest.raises(RegistryConflict, match="cifar/"):
        getattr(registry, write)(rejected(1) if write == "reject" else pending(1))
    assert registry.live("cifar") == promoted


def test_beginning_and_rejecting_may_be_done_over(registry: Registry, table: "Table") -> None:
    for _ in range(2):
        registry.begin(pending(1))
        registry.reject(rejected(1))
    make_live(table, pending(1))


def test_what_is_not_settled_is_listed_over_all_models(registry: Registry, table: "Table") -> None:
    for model in ("a", "b"):
        make_live(table, pending(1, model))
        make_live(table, pending(2, model))
        registry.begin(pending(3, model))
        registry.reject(rejected(4, model))
    Releases(table).retire(ready(1, "b"), NOW)
    waiting, retired = (
        [(each.model, each.id) for each in registry.unsettled(status)]
        for status in (Status.PENDING, Status.RETIRED)
    )
    assert waiting == [("a", pending(3).id), ("b", pending(3).id)]
    assert retired == [("b", pending(1).id)]


def test_a_retired_version_whose_object_is_gone_is_settled(
    registry: Registry, table: "Table"
) -> None:
    first = make_live(table, pending(1))
    make_live(table, pending(2))
    Releases(table).retire(first, NOW)
    for _ in range(2):
        registry.settle(first)
    assert list(registry.unsettled(Status.RETIRED)) == []
    found = registry.find("cifar", first.id)
    assert found == replace(first, status=Status.RETIRED, updated_at=NOW)


def test_a_retired_version_that_is_back_cannot_be_settled(
    registry: Registry, table: "Table"
) -> None:
    first = make_live(table, pending(1))
    make_live(table, pending(2))
    Releases(table).retire(first, NOW)
    registry.begin(pending(1))
    with pytest.raises(RegistryConflict, match="not RETIRED any more"):
        registry.settle(first)
    assert [each.id for each in registry.unsettled(Status.PENDING)] == [first.id]


def test_other_errors_of_the_table_are_raised_as_they_are(
    registry: Registry, table: "Table"
) -> None:
    registry.begin(pending(1))
    table.delete()
    for write in (registry.begin, registry.reject, registry.settle):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            write(pending(1))


def test_models_are_listed_by_name_in_pages(registry: Registry, table: "Table") -> None:
    names = ["a", "b-1", "c", "d", "e"]
    for name in reversed(names):
        make_live(table, pending(1, name))
        registry.begin(pending(2, name))
    found: list[str] = []
    after, pages = None, 0
    while pages == 0 or after:
        page, after = registry.models(2, after)
        found += [each.name for each in page]
        pages += 1
    assert found == names
    assert pages == 3
    assert [each.name for each in registry.models(10, "b")[0]] == names[1:]


def test_models_are_searched_over_the_pages_of_the_table(
    registry: Registry, table: "Table"
) -> None:
    names = [f"cat-{number}" for number in range(4)]
    for name in (*names, "dog"):
        make_live(table, pending(1, name))
    assert set(names) <= {*registry.neighbours("cat-10"), "cat-10"}
    found, after = registry.search("at-", 3)
    assert ([each.name for each in found], after) == (names[:3], "cat-2")
    assert [each.name for each in registry.search("at-", 3, after)[0]] == names[3:]
    assert registry.search("at-", 4) == (registry.models(4)[0], None)
    assert registry.search("at-", 4, "cat-0", pages=0) == ([], "cat-0")


def test_target_is_the_key_under_the_endpoints_prefix() -> None:
    assert pending(1).target == "cifar/000000000001.tar.gz"


def test_versions_that_release_0_1_recorded_can_be_read(table: "Table", registry: Registry) -> None:
    registry.begin(replace(pending(1), object_version="one"))
    item = table.get_item(Key={"model": "cifar", "item": "version#" + pending(1).id})["Item"]
    item["dropped_at"], item["drop"] = item.pop("uploaded_at"), item.pop("object_version")
    table.put_item(Item=item)
    found = registry.find("cifar", pending(1).id)
    assert found == replace(pending(1), object_version="one")


def test_items_have_the_names_that_release_0_1_reads(table: "Table", registry: Registry) -> None:
    """Its functions run on during an update, and again after a rollback."""
    registry.begin(replace(pending(1), object_version="one"))
    item = table.get_item(Key={"model": "cifar", "item": "version#" + pending(1).id})["Item"]
    assert (item["dropped_at"], item["drop"]) == (pending(1).uploaded_at, "one")
