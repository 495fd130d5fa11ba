"""Versions whose object was deleted, and versions beyond those that are kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from facet.errors import NoLiveVersion, RegistryConflict
from facet.registry.models import Mode, Policy, Status
from onboard.app import handler, parse
from onboard.removal.retention import Removal, surplus
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.onboarding import IMPATIENT, Account, identity, patient

if TYPE_CHECKING:
    pass

FIRST, SECOND, THIRD, FOURTH = (
    artifacts.artifact(golden=artifacts.golden(), description=text) for text in "abcd"
)
NOW = "2026-01-01T00:00:00.000+00:00"


def withdraw(account: Account, removal: Removal) -> str | None:
    outcome = account.onboarding.withdraw(removal, patient()[0])
    return outcome.outcome if outcome else None


def test_the_heir_of_a_deleted_live_version_is_the_one_before_it(account: Account) -> None:
    account.onboard(FIRST)
    account.onboard(SECOND)
    account.events.told.clear()
    assert withdraw(account, account.delete(SECOND)) == "RETIRED"
    account.assert_live(FIRST)
    assert account.status(SECOND) is Status.RETIRED
    assert account.published() == [
        ("ModelRetired", identity(SECOND)),
        ("ModelPromoted", identity(FIRST)),
    ]


def test_a_deleted_version_that_was_not_live_leaves_the_live_one(account: Account) -> None:
    account.onboard(FIRST)
    account.onboard(SECOND)
    account.events.told.clear()
    assert withdraw(account, account.delete(FIRST)) == "RETIRED"
    account.assert_live(SECOND)
    assert account.published() == [("ModelRetired", identity(FIRST))]


def test_a_deleted_candidate_ends_the_canary(account: Account) -> None:
    account.onboard(FIRST)
    account.releases.set_policy("cifar", Policy(Mode.CANARY), NOW)
    account.onboard(SECOND)
    assert account.registry.model("cifar").canary
    assert withdraw(account, account.delete(SECOND)) == "RETIRED"
    assert account.registry.model("cifar").canary is None
    account.assert_live(FIRST)


def test_without_any_object_the_model_is_known_and_has_no_live_version(account: Account) -> None:
    for data in (FIRST, SECOND):
        account.onboard(data)
    for data in (FIRST, SECOND):
        assert withdraw(account, account.delete(data)) == "RETIRED"
    with pytest.raises(NoLiveVersion, match="all of its versions were retired"):
        account.registry.live("cifar")
    assert account.onboard(FIRST) == "READY", "and comes back with an upload"
    account.assert_live(FIRST)


def test_a_deletion_that_left_an_object_is_nothing(account: Account) -> None:
    account.onboard(FIRST)
    removal = Removal("cifar", identity(FIRST), datetime.now(UTC))
    assert withdraw(account, removal) is None
    account.assert_live(FIRST)


def test_a_deletion_of_what_is_unknown_or_retired_before_is_nothing(account: Account) -> None:
    account.onboard(FIRST)
    account.onboard(SECOND)
    account.releases.retire(account.registry.ready("cifar", identity(FIRST)), NOW)
    account.events.told.clear()
    assert withdraw(account, account.delete(FIRST)) is None
    assert withdraw(account, Removal("nobody", "0" * 12, datetime.now(UTC))) is None
    assert account.published() == []


def test_an_interrupted_withdrawal_publishes_its_event_again(account: Account) -> None:
    account.onboard(FIRST)
    account.onboard(SECOND)
    removal = account.delete(SECOND)
    account.events.error = "InternalFailure"
    with pytest.raises(Exception, match="not now"):
        withdraw(account, removal)
    account.events.error = None
    account.events.told.clear()
    assert withdraw(account, removal) == "RETIRED"
    assert account.published() == [
        ("ModelRetired", identity(SECOND)),
        ("ModelPromoted", identity(FIRST)),
    ]


@pytest.mark.parametrize("deletion_first", [True, False])
def test_a_deleted_version_is_onboarded_again_when_it_is_uploaded_again(
    account: Account, deletion_first: bool
) -> None:
    """In whichever order the two events come."""
    account.onboard(FIRST)
    account.onboard(SECOND)
    removal, upload = account.delete(SECOND), account.put(SECOND)
    if deletion_first:
        assert withdraw(account, removal) == "RETIRED"
        assert account.registry.live("cifar").id == identity(FIRST)
    assert account.process(upload).outcome == "READY"
    if not deletion_first:
        assert withdraw(account, removal) is None
    account.assert_live(SECOND)
    account.assert_ready(FIRST)


def test_an_object_that_is_deleted_during_its_proof_is_noticed(account: Account) -> None:
    account.onboard(FIRST)
    account.runtime.meanwhile = lambda: account.delete(SECOND)
    upload = account.put(SECOND)
    with pytest.raises(RegistryConflict, match="deleted during its proof"):
        account.process(upload, IMPATIENT)
    assert account.process(upload, patient()[0]).outcome == "READY"
    account.assert_live(SECOND)


def test_an_object_that_is_deleted_during_its_proof_is_copied_again(account: Account) -> None:
    account.runtime.meanwhile = lambda: account.delete(FIRST)
    assert account.process(account.put(FIRST), patient()[0]).outcome == "READY"
    account.assert_live(FIRST)


def removed_event(key: str) -> dict[str, Any]:
    record = {
        "eventName": "ObjectRemoved:DeleteMarkerCreated",
        "eventTime": "2099-09-11T14:02:11.482Z",
        "s3": {"object": {"key": key, "versionId": "x", "sequencer": "0F"}},
    }
    return {"Records": [record]}


@pytest.mark.usefixtures("cold_start")
def test_the_handler_withdraws_versions_of_deletion_events(account: Account) -> None:
    account.onboard(FIRST)
    removal = account.delete(FIRST)
    event = removed_event(f"mme/cifar/{removal.version}.tar.gz")
    (outcome,) = handler(event, fakes.Context())["outcomes"]  # type: ignore[arg-type]
    assert (outcome["outcome"], outcome["version"]) == ("RETIRED", identity(FIRST))
    assert account.status(FIRST) is Status.RETIRED


@pytest.mark.parametrize(
    "key", ["mme/cifar.tar.gz", "mme/cifar/notes.tar.gz", "mme/Wrong.tar.gz", "rejected/a/b.tar.gz"]
)
def test_other_deletions_are_ignored(key: str) -> None:
    assert list(parse(removed_event(key))) == []


def test_the_time_of_a_removal_is_the_events() -> None:
    (removal,) = parse(removed_event("mme/cifar/0123456789ab.tar.gz"))
    assert isinstance(removal, Removal)
    assert removal.at == datetime(2099, 9, 11, 14, 2, 11, 482000, tzinfo=UTC)


def test_versions_beyond_those_kept_are_retired(account: Account) -> None:
    account.keep = 2
    for data in (FIRST, SECOND, THIRD):
        account.onboard(data)
    assert account.status(FIRST) is Status.RETIRED
    assert account.published()[-1] == ("ModelRetired", identity(FIRST))
    assert account.bucket.has_version(account.registry.versions("cifar")[-1]), (
        "the sweeper deletes it"
    )
    account.assert_ready(SECOND)
    account.assert_live(THIRD)
    account.sweep(timedelta(hours=2))
    kept = [identity(data) for data in (SECOND, THIRD)]
    published = {f"mme/cifar/{version}.tar.gz" for version in kept}
    assert account.stored() == published | {f"golden/cifar/{version}" for version in kept}


def test_what_is_in_use_is_kept_however_old_it_is(account: Account) -> None:
    account.keep = 1
    account.onboard(FIRST)
    account.onboard(SECOND)
    account.releases.set_policy("cifar", Policy(Mode.CANARY), NOW)
    account.onboard(THIRD)
    for data in (FIRST, SECOND, THIRD):
        account.assert_ready(data)
    account.releases.set_policy("cifar", Policy(Mode.MANUAL), NOW)
    account.onboard(FOURTH)
    for data in (FIRST, SECOND, THIRD, FOURTH):
        account.assert_ready(data)
    account.releases.promote("cifar", identity(FOURTH), NOW)
    assert [each.id for each in _surplus(account, 1)] == [identity(THIRD), identity(FIRST)]


def _surplus(account: Account, keep: int) -> Any:
    return surplus(account.registry.model("cifar"), account.registry.versions("cifar"), keep)


def test_one_that_came_into_use_meanwhile_stays(account: Account) -> None:
    """Somebody goes back to a version while the retention is about to retire it."""
    account.keep = 1
    account.onboard(FIRST)
    account.onboard(SECOND)
    events = account.table.meta.client.meta.events

    def goes_back(**_: Any) -> None:
        events.unregister("after-call.dynamodb.Query", goes_back)
        account.releases.promote("cifar", identity(FIRST), NOW)

    events.register("after-call.dynamodb.Query", goes_back)
    assert account.onboard(THIRD) == "READY"
    account.assert_live(FIRST)


def test_rejected_versions_do_not_count_as_kept(account: Account) -> None:
    account.keep = 1
    account.onboard(FIRST)
    assert account.onboard(b"nothing") == "REJECTED"
    assert json.loads(account.content("rejected/cifar/" + identity(b"nothing") + ".json"))
    account.assert_live(FIRST)
