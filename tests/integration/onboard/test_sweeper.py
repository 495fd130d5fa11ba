"""The sweeper: uploads without an outcome, retired objects, abandoned versions."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from facet.registry.models import Status
from onboard import app
from onboard.sweep.sweeper import MAX_OF_ONE_MODEL, handler, invoke
from onboard.uploads import Upload
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, identity
from tests.support.processes.killing import House

if TYPE_CHECKING:
    pass

GOOD, OTHER, THIRD = (
    artifacts.with_litert(golden=artifacts.golden(), description=text) for text in "abc"
)
WRONG_SCORES = (0.1, 0.8, 0.1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATER = "2026-01-01T00:00:00.000+00:00"


def retire(account: Account, data: bytes) -> None:
    account.releases.retire(account.registry.ready("cifar", identity(data)), LATER)


def test_an_upload_whose_event_was_lost_is_resubmitted_after_a_while(account: Account) -> None:
    account.put(GOOD)
    assert account.sweep(29 * MINUTE).handed_over == []
    assert account.sweep(31 * MINUTE).handed_over == ["mme/cifar.tar.gz"]
    account.assert_live(GOOD)
    assert account.sweep(HOUR).handed_over == []


def test_the_event_names_the_object_version_as_s3_does(account: Account) -> None:
    upload = account.put(GOOD)
    events: list[dict[str, Any]] = []
    account.sweeper(events.append).sweep(datetime.now(UTC) + HOUR)
    (event,) = events
    (found,) = app.parse(json.loads(json.dumps(event)))
    taken = account.s3.head_object(Bucket=BUCKET, Key=upload.key)["LastModified"]
    assert found == replace(upload, sequencer=None, uploaded_at=taken.isoformat())


def test_an_upload_that_stays_is_resubmitted_at_growing_intervals(account: Account) -> None:
    account.put(GOOD)
    sweeper, start = account.sweeper(lambda _: None), datetime.now(UTC)
    handed_over = [
        minutes
        for minutes in (31, 45, 61, 63, 124, 126)
        if sweeper.sweep(start + minutes * MINUTE).handed_over
    ]
    assert handed_over == [31, 63, 126]


def test_the_uploaders_tags_stay(account: Account) -> None:
    tags = {"Key": "team", "Value": "vision"}
    account.s3.put_object(Bucket=BUCKET, Key="mme/cifar.tar.gz", Body=b"x", Tagging="team=vision")
    account.sweeper(lambda _: None).sweep(datetime.now(UTC) + HOUR)
    found = account.s3.get_object_tagging(Bucket=BUCKET, Key="mme/cifar.tar.gz")["TagSet"]
    assert tags in found
    assert len(found) == 2


def test_an_upload_hidden_by_a_newer_one_is_resubmitted(account: Account) -> None:
    first, second = account.put(OTHER), account.put(GOOD)
    assert account.sweep().handed_over == ["mme/cifar.tar.gz"] * 2
    account.assert_live(GOOD)
    account.assert_ready(OTHER)
    assert not account.bucket.has_upload(first)
    assert not account.bucket.has_upload(second)


def test_one_models_uploads_do_not_take_every_place_of_onboarding(account: Account) -> None:
    for _ in range(MAX_OF_ONE_MODEL + 2):
        account.put(GOOD)
    account.put(GOOD, "other")
    handed_over = account.sweeper(lambda _: None).sweep(datetime.now(UTC) + HOUR).handed_over
    assert handed_over == ["mme/cifar.tar.gz"] * MAX_OF_ONE_MODEL + ["mme/other.tar.gz"]


def test_a_deleted_upload_is_ignored(account: Account) -> None:
    account.put(OTHER)
    account.s3.delete_object(Bucket=BUCKET, Key="mme/cifar.tar.gz")
    assert account.sweep(HOUR).handed_over == []
    account.put(GOOD)
    assert account.sweep(HOUR).handed_over == ["mme/cifar.tar.gz"]
    account.assert_live(GOOD)
    assert account.status(OTHER) is None


def test_what_can_be_no_model_is_named_and_rejected(account: Account) -> None:
    keys = ["mme/Wrong Name.tar.gz", "mme/notes.txt"]
    for key in keys:
        account.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    swept = account.sweep(HOUR)
    assert (swept.misnamed, swept.handed_over) == (keys, keys)
    assert account.stored("mme/") == set()
    assert [each.model for each in account.registry.misnamed()] == ["Wrong Name", "notes.txt"]


def test_one_that_fails_does_not_stop_the_others(account: Account) -> None:
    account.put(GOOD, "a")
    account.put(GOOD, "b")

    def refuse_a(event: dict[str, Any]) -> None:
        if "a.tar.gz" in str(event):
            raise fakes.refusal("TooManyRequestsException")
        account.send(event)

    swept = account.sweeper(refuse_a).sweep(datetime.now(UTC) + HOUR)
    assert (swept.handed_over, swept.failed) == (["mme/b.tar.gz"], ["mme/a.tar.gz"])
    assert account.sweep(HOUR).handed_over == ["mme/a.tar.gz"], "the next run takes it up"


def test_a_retired_versions_object_is_deleted_after_the_grace(account: Account) -> None:
    for data in (GOOD, OTHER):
        account.onboard(data)
    version = account.registry.ready("cifar", identity(GOOD))
    account.releases.retire(version, datetime.now(UTC).isoformat(timespec="milliseconds"))
    assert account.sweep(59 * MINUTE).deleted == []
    assert account.bucket.has_version(version)
    assert account.sweep(61 * MINUTE).deleted == [version.target]
    listed = account.s3.list_object_versions(Bucket=BUCKET)
    keys = {each["Key"] for each in [*listed["Versions"], *listed.get("DeleteMarkers", [])]}
    assert not {key for key in keys if version.id in key}
    assert account.status(GOOD) is Status.RETIRED
    assert account.sweep(2 * HOUR).deleted == []
    account.assert_live(OTHER)


def test_a_retired_version_that_is_uploaded_again_keeps_its_new_object(account: Account) -> None:
    """An upload of the same bytes between the sweeper's look at the object and its deletion."""
    for data in (GOOD, OTHER):
        account.onboard(data)
    retire(account, GOOD)

    def comes_back(**_: Any) -> None:
        account.s3.meta.events.unregister("after-call.s3.ListObjectVersions", comes_back)
        assert account.onboard(GOOD) == "READY"

    sweeper = account.sweeper(account.send)
    list(sweeper._uploads.waiting())
    account.s3.meta.events.register("after-call.s3.ListObjectVersions", comes_back)
    assert not account.bucket.delete_version(
        account.registry.versions("cifar")[-1], account.registry
    )
    account.assert_live(GOOD)


def test_a_retired_version_is_onboarded_anew(account: Account) -> None:
    for data in (GOOD, OTHER):
        account.onboard(data)
    retire(account, GOOD)
    account.sweep(2 * HOUR)
    assert account.onboard(GOOD) == "READY"
    account.assert_live(GOOD)
    assert account.sweep(4 * HOUR).deleted == []
    account.assert_live(GOOD)


def stuck(account: Account) -> str:
    """A version that is PENDING, as the endpoint never answered for it; its target."""
    upload = account.put(GOOD)
    account.runtime.error = fakes.refusal("ModelNotReadyException")
    with pytest.raises(Exception, match="is loading"):
        account.process(upload)
    account.runtime.error = None
    return f"mme/cifar/{identity(GOOD)}.tar.gz"


def test_a_pending_version_with_its_upload_is_not_abandoned(account: Account) -> None:
    key = stuck(account)
    assert account.sweeper(lambda _: None).sweep(datetime.now(UTC) + 30 * DAY).abandoned == []
    assert (account.status(GOOD), key in account.stored()) == (Status.PENDING, True)


@pytest.mark.parametrize("for_good", [True, False])
def test_a_pending_version_without_its_upload_is_rejected_after_a_day(
    account: Account, for_good: bool
) -> None:
    key = stuck(account)
    if for_good:
        account.bucket.remove_upload(
            Upload("cifar", account.registry.versions("cifar")[0].object_version)
        )
    else:
        account.s3.delete_object(Bucket=BUCKET, Key="mme/cifar.tar.gz")
    assert account.sweep(23 * HOUR).abandoned == []
    assert account.sweep(25 * HOUR).abandoned == [f"cifar/{identity(GOOD)}.tar.gz"]
    version = account.registry.find("cifar", identity(GOOD))
    assert version
    assert [each.code for each in version.violations] == ["abandoned"]
    assert account.report(GOOD)["violations"][0]["code"] == "abandoned"
    assert key not in account.stored()
    assert account.published() == [("ModelRejected", identity(GOOD))]
    assert account.sweep(2 * DAY).abandoned == []


def test_killed_before_any_write_the_next_run_continues(house: House) -> None:
    """A version to be deleted, one that was abandoned, and an upload whose event was lost."""
    account, fuse = house.account, house.watched
    for most in itertools.count(1):
        model, gone, lost = f"m{most}", f"g{most}", f"l{most}"
        house.onboarded(model, OTHER)
        account.releases.clear(model, LATER)
        retired = account.registry.ready(model, identity(OTHER))
        account.releases.retire(retired, LATER)
        _begun(house, gone)
        house.put(lost, GOOD)
        sweeper = account.sweeper(lambda _: fuse.fuse.before("Invoke"))
        later = datetime.now(UTC) + 25 * HOUR
        ended = house.killed(most, partial(sweeper.sweep, later))
        house.assert_sound(model)
        house.assert_sound(lost)
        account.sweeper(account.send).sweep(later + 25 * HOUR)
        house.assert_settled(model)
        house.assert_settled(lost)
        account.assert_live(GOOD, lost)
        assert not account.bucket.has_version(retired)
        assert account.status(GOOD, gone) is Status.REJECTED
        rejected = [detail["model"] for kind, detail in fuse.told if kind == "ModelRejected"]
        assert gone in rejected
        if not ended:
            break
    assert most == 15, "the last write is the event about versions that the function may prove"


def _begun(house: House, model: str) -> None:
    """A version that is PENDING, without its upload."""
    account = house.account
    upload = account.put(GOOD, model)
    house.watched.runtime.error = fakes.refusal("ModelNotReadyException")
    with pytest.raises(Exception, match="is loading"):
        account.process(upload)
    house.watched.runtime.error = None
    account.bucket.remove_upload(upload)


@pytest.mark.usefixtures("cold_start")
def test_the_handler_counts_what_it_did(
    account: Account, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    account.s3.put_object(Bucket=BUCKET, Key="mme/Wrong.tar.gz", Body=b"x")
    answer = handler({}, fakes.Context())  # type: ignore[arg-type]
    assert answer["misnamed"] == ["mme/Wrong.tar.gz"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = {
        metric["Name"]: line[metric["Name"]]
        for line in lines
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
        for metric in directive["Metrics"]
    }
    assert counted == {"MisnamedUploads": [1]}, "an idle stack has no metrics to pay for"
    assert [vars(each)["keys"] for each in caplog.records] == [["mme/Wrong.tar.gz"]]


def test_an_idle_run_queries_the_registry_as_often_as_the_cost_says(account: Account) -> None:
    assert account.onboard(GOOD) == "READY"
    queries = list[object]()
    events = account.table.meta.client.meta.events
    events.register("before-call.dynamodb.Query", lambda **given: queries.append(given))
    account.sweep()
    assert len(queries) == 4, "docs/cost.md, Idle"


def test_the_function_is_invoked_as_s3_does_it() -> None:
    asked: dict[str, Any] = {}

    class Lambda:
        def invoke(self, **parameters: Any) -> None:
            asked.update(parameters)

    invoke(Lambda(), "onboard", {"Records": []})  # type: ignore[arg-type]
    assert asked == {
        "FunctionName": "onboard",
        "InvocationType": "Event",
        "Payload": b'{"Records":[]}',
    }
