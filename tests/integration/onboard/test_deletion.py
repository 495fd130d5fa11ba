"""A name is deleted for good, whatever happens at the same time, and can be used again."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facet.errors import UnknownModel
from facet.keys import parse_misnamed_key
from facet.registry.models import MODEL_ITEM, Mode, Policy, Status, Version
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.removal.deletion import handler
from onboard.removal.retention import Removal
from onboard.uploads import Upload
from onboard.validated import Extracts
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, identity, patient
from tests.support.processes.killing import House

if TYPE_CHECKING:
    pass

FIRST, SECOND, THIRD = (
    artifacts.with_litert(description=text, golden=artifacts.golden()) for text in "abc"
)
BAD = artifacts.packed(artifacts.members() | {"code/inference.py": b"import os"})


def filled(account: Account, model: str = "cifar") -> None:
    """Two READY versions, one rejected, and an upload that waits."""
    for data in (FIRST, SECOND, BAD):
        account.onboard(data, model)
    account.put(THIRD, model)


def assert_nothing_left(account: Account, model: str = "cifar") -> None:
    with pytest.raises(UnknownModel):
        account.registry.model(model)
    assert account.registry.versions(model) == []
    listed = account.s3.list_object_versions(Bucket=fakes.BUCKET)
    keys = [each["Key"] for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]]
    assert [key for key in keys if key.split("/")[1] in (model, f"{model}.tar.gz")] == []
    items = [each for each in account.table.scan()["Items"] if each["model"] == model]
    assert [each["item"] for each in items] in ([], [MODEL_ITEM])
    assert all(each.keys() == {"model", "item", "deleted_at", "deletions"} for each in items)


def test_nothing_is_left_of_a_deleted_model(account: Account) -> None:
    filled(account)
    deleted = account.deletion.delete("cifar", "anybody")
    assert deleted.deleted
    assert set(deleted.versions) == {identity(data) for data in (FIRST, SECOND, BAD)}
    assert deleted.uploads == 1
    assert_nothing_left(account)
    assert account.registry.models(10) == ([], None)
    kind, detail = account.events.told[-1]
    assert (kind, detail["model"], detail["by"]) == ("ModelDeleted", "cifar", "anybody")
    assert set(detail["versions"]) == set(deleted.versions)
    assert "Model 'cifar' was deleted" in account.topic.published[-1][1]


def test_names_that_begin_alike_stay(account: Account) -> None:
    for model in ("cifar", "cifar-10", "cif"):
        filled(account, model)
    stored = {each for each in account.stored() if "/cifar/" not in each} - {"mme/cifar.tar.gz"}
    account.deletion.delete("cifar", "anybody")
    assert account.stored() == stored
    assert account.registry.live("cifar-10").id == identity(SECOND)


def test_a_dry_run_changes_nothing(account: Account) -> None:
    filled(account)
    before, items = account.stored(), account.table.scan()["Items"]
    planned = account.deletion.plan("cifar")
    assert (len(planned.versions), planned.uploads, planned.deleted) == (3, 1, False)
    assert (account.stored(), account.table.scan()["Items"]) == (before, items)


def test_what_does_not_exist_cannot_be_deleted(account: Account) -> None:
    with pytest.raises(UnknownModel):
        account.deletion.delete("cifar", "anybody")
    account.onboard(FIRST)
    account.deletion.delete("cifar", "anybody")
    with pytest.raises(UnknownModel):
        account.deletion.delete("cifar", "anybody")


def test_an_upload_that_never_became_a_model_can_be_deleted(account: Account) -> None:
    account.put(FIRST)
    assert account.deletion.delete("cifar", "anybody").uploads == 1
    assert_nothing_left(account)


def test_a_late_event_does_not_bring_a_name_back(account: Account) -> None:
    upload = account.put(FIRST)
    account.onboard(SECOND)
    account.deletion.delete("cifar", "anybody")
    assert account.process(upload).outcome == "GONE"
    removal = Removal("cifar", identity(SECOND), datetime.now(UTC))
    assert account.onboarding.withdraw(removal, patient()[0]) is None
    assert account.sweep().failed == []
    assert_nothing_left(account)


def test_a_new_upload_makes_the_model_again(account: Account) -> None:
    for _ in range(2):
        account.onboard(SECOND)
        account.releases.set_policy("cifar", Policy(Mode.MANUAL), "2026-01-01T00:00:00.000+00:00")
        account.deletion.delete("cifar", "anybody")
        assert account.onboard(FIRST) == "READY"
        account.assert_live(FIRST)
        assert account.registry.model("cifar").policy.mode is Mode.AUTO
        assert [each.id for each in account.registry.versions("cifar")] == [identity(FIRST)]


def test_an_upload_that_was_rejected_for_its_name_can_be_deleted(account: Account) -> None:
    key = "mme/My Model.tgz"
    answer = account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=FIRST)
    account.process(Upload("My Model.tgz", answer["VersionId"], misnamed=key))
    assert account.stored()
    account.deletion.delete("My Model.tgz", "anybody")
    assert account.stored() == set()
    assert list(account.registry.misnamed()) == []


def test_a_key_of_another_model_is_no_name_to_delete(account: Account) -> None:
    account.onboard(FIRST)
    account.put(SECOND)
    account.put(THIRD, "sub/cats/0123456789ab")
    stored = account.stored()
    for name in (f"cifar/{identity(FIRST)}", f"cifar/{identity(FIRST)}.tar.gz", "cifar.tar.gz"):
        with pytest.raises(UnknownModel):
            account.deletion.delete(name, "anybody")
    account.put(THIRD, "sub/cats")
    assert account.deletion.delete("sub/cats", "anybody").uploads == 1
    assert account.stored() == stored


@pytest.mark.parametrize("character", ["x", "ä"])
def test_a_name_that_was_cut_can_be_deleted(account: Account, character: str) -> None:
    fill = "Y" + character * (960 // len(character.encode()))
    keys = [f"mme/{fill}{end}.tar.gz" for end in "ab"]
    names = [parse_misnamed_key(key) for key in keys]
    for key, name in zip(keys, names, strict=True):
        assert name
        answer = account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=FIRST)
        if key == keys[0]:
            account.process(Upload(name, answer["VersionId"], misnamed=key))
            account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=SECOND)
    assert account.deletion.delete(str(names[0]), "anybody").uploads == 1
    assert account.stored() == {keys[1]}


def test_objects_are_deleted_many_at_once(account: Account) -> None:
    for _ in range(5):
        account.put(FIRST)
    calls: list[str] = []

    def record(model: Any, **_: Any) -> None:
        calls.append(model.name)

    events = account.s3.meta.events
    events.register("before-call.s3", record)
    try:
        account.deletion.delete("cifar", "anybody")
    finally:
        events.unregister("before-call.s3", record)
    assert [each for each in calls if each.startswith("Delete")] == ["DeleteObjects"]
    assert_nothing_left(account)


def test_a_name_with_control_characters_can_be_deleted(account: Account) -> None:
    account.s3.put_object(Bucket=fakes.BUCKET, Key="mme/A\tb.tgz", Body=FIRST)
    assert account.deletion.delete("A\tb.tgz", "anybody").uploads == 1
    assert account.stored() == set()


def test_an_object_that_s3_does_not_delete_is_an_error(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.put(FIRST)

    def refuses(**_: Any) -> dict[str, Any]:
        return {"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "Access Denied"}]}

    monkeypatch.setattr(account.s3, "delete_objects", refuses)
    with pytest.raises(ClientError, match="AccessDenied"):
        account.deletion.delete("cifar", "anybody")
    assert account.stored() == {"mme/cifar.tar.gz"}


@dataclass
class Trigger:
    """Calls `what` once, before the nth write of S3 or DynamoDB, or the invocation."""

    most: int
    what: Callable[[], object]
    count: int = 0
    busy: bool = False
    done: bool = False

    def __call__(self, model: Any, **_: Any) -> None:
        if self.busy or not model.name.startswith(("Put", "Update", "Copy", "Transact", "Delete")):
            return
        self.count += 1
        if self.count == self.most:
            self.busy = True
            self.what()
            self.busy, self.done = False, True


@pytest.mark.parametrize("data", [FIRST, BAD], ids=["good", "bad"])
def test_deleted_before_any_write_of_an_onboarding_the_name_stays_away(
    account: Account, data: bytes
) -> None:
    clients = [account.s3, account.table.meta.client]
    for most in itertools.count(1):
        model = f"m{most}"
        account.onboard(SECOND, model)
        upload = account.put(data, model)
        trigger = Trigger(most, partial(account.deletion.delete, model, "anybody"))
        for client in clients:
            client.meta.events.register("before-call", trigger)
        try:
            account.process(upload, patient()[0])
        except ClientError:  # it copies what is gone; Lambda tries again
            account.process(upload, patient()[0])
        finally:
            for client in clients:
                client.meta.events.unregister("before-call", trigger)
        if not trigger.done:
            break
        with pytest.raises(UnknownModel):
            account.registry.model(model)
        assert account.registry.versions(model) == []
        for prefix in ("mme/", "lite/", "golden/"):
            assert account.stored(f"{prefix}{model}") == set()
    assert most > 6


@pytest.mark.parametrize("again", [False, True])
def test_a_copy_that_ends_after_the_deletion_leaves_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """With `again`, the same bytes are uploaded once more meanwhile, and stay."""
    publish = Bucket.publish

    def late(_bucket: Bucket, _upload: Upload, version: Version, _extracts: Extracts) -> None:
        monkeypatch.setattr(Bucket, "publish", publish)
        account.deletion.delete("cifar", "anybody")
        if again:
            assert account.onboard(FIRST) == "READY"
        account.s3.put_object(Bucket=fakes.BUCKET, Key=f"mme/{version.target}", Body=FIRST)
        for key in (f"golden/cifar/{version.id}", f"lite/cifar/{version.id}.tflite"):
            account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=b"late")

    upload = account.put(FIRST)
    monkeypatch.setattr(Bucket, "publish", late)
    assert account.process(upload, patient()[0]).outcome == "GONE"
    if again:
        account.assert_live(FIRST)
    else:
        assert_nothing_left(account)


def test_a_deletion_that_is_killed_before_any_write_goes_on(house: House) -> None:
    for most in itertools.count(1):
        model = f"m{most}"
        filled(house.account, model)
        delete = partial(house.account.deletion.delete, model, "anybody")
        if not house.killed(most, delete):
            assert_nothing_left(house.account, model)
            break
        try:
            delete()
        except UnknownModel:
            assert house.account.registry.versions(model) == []
        assert_nothing_left(house.account, model)
    assert most > 10


@pytest.mark.parametrize("write", ["UpdateItem", "DeleteItem"])
def test_a_write_that_meets_a_transaction_is_tried_again(account: Account, write: str) -> None:
    account.onboard(FIRST)
    conflicts = [fakes.refusal("TransactionConflictException")] * 2

    def meet(**_: Any) -> None:
        if conflicts:
            raise conflicts.pop()

    events, name = account.table.meta.client.meta.events, f"before-call.dynamodb.{write}"
    events.register(name, meet)
    try:
        account.deletion.delete("cifar", "anybody")
    finally:
        events.unregister(name, meet)
    assert conflicts == []
    assert_nothing_left(account)


def request(name: str, key: str | None, **query: str) -> dict[str, Any]:
    """What API Gateway makes of `DELETE /models/{name}`."""
    return {
        "resource": "/models/{model}",
        "httpMethod": "DELETE",
        "pathParameters": {"model": name},
        "queryStringParameters": query or None,
        "requestContext": {"requestId": "r", "identity": {"apiKeyId": key}},
    }


def asked(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = handler(event, fakes.Context())  # type: ignore[arg-type]
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.usefixtures("functions")
def test_the_api_deletes_for_the_keys_that_may(account: Account) -> None:
    account.onboard(FIRST)
    for key in ("others", None):
        status, problem = asked(request("cifar", key))
        assert (status, problem["type"]) == (403, "urn:facet:problem:not-allowed")
        assert "DeleteKeys" in problem["detail"]
    assert asked(request("cifar", "operators", dry_run="true"))[1]["deleted"] is False
    account.assert_live(FIRST)
    status, document = asked(request("cifar", "operators"))
    assert (status, document) == (
        200,
        {
            "model": "cifar",
            "versions": [identity(FIRST)],
            "uploads": 0,
            "heads": 0,
            "deleted": True,
        },
    )
    assert asked(request("cifar", "operators"))[0] == 404
    assert account.status(FIRST) is None


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("value", ["True", "1", "yes", ""])
def test_a_dry_run_that_is_not_understood_deletes_nothing(account: Account, value: str) -> None:
    account.onboard(FIRST)
    status, problem = asked(request("cifar", "operators", dry_run=value))
    assert (status, problem["type"]) == (400, "urn:facet:problem:bad-request")
    assert "dry_run must be true or false" in problem["detail"]
    account.assert_live(FIRST)
    assert asked(request("cifar", "operators", dry_run="false"))[1]["deleted"] is True


@pytest.mark.usefixtures("functions")
def test_whoever_may_invoke_the_function_may_delete(account: Account) -> None:
    account.onboard(FIRST)
    event = {"model": "cifar", "dry_run": True}
    assert not handler(event, fakes.Context())["deleted"]  # type: ignore[arg-type]
    assert account.status(FIRST) is Status.READY
    assert handler({"model": "cifar"}, fakes.Context())["deleted"]  # type: ignore[arg-type]
    assert account.status(FIRST) is None


@pytest.mark.usefixtures("functions")
def test_an_outage_is_logged_and_answered_as_a_problem(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise fakes.refusal("InternalServerError")

    monkeypatch.setattr(Registry, "versions", fails)
    status, problem = asked(request("cifar", "operators"))
    assert (status, problem["type"]) == (500, "urn:facet:problem:internal-error")
    assert (problem["request_id"], "repeat the request" in problem["detail"]) == ("r", True)
    assert "InternalServerError" not in problem["detail"]
    assert "InternalServerError" in caplog.text
