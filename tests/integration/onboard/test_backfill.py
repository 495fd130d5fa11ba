"""LiteRT models that READY versions lack are stored, whatever happens meanwhile."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.validation import Rules
from facet.registry.models import VERSION_ITEM
from onboard.app import handler, parse
from onboard.sweep import lacking
from onboard.sweep.backfill import MissingFile
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, identity
from tests.support.processes.killing import House, Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD, OTHER = (artifacts.with_litert(golden=artifacts.golden(), description=text) for text in "ab")
PLAIN = artifacts.artifact(golden=artifacts.golden())
HOUR = timedelta(hours=1)
LATER = "2026-01-01T00:00:00.000+00:00"


def target(data: bytes, model: str = "cifar") -> str:
    return f"{model}/{identity(data)}.tar.gz"


def older(account: Account, data: bytes, model: str = "cifar") -> None:
    """Makes a version one of a release that did not look for LiteRT models."""
    account.table.update_item(
        Key={"model": model, "item": VERSION_ITEM + identity(data)},
        UpdateExpression="REMOVE litert_size, litert_sha256",
    )
    prefix = f"lite/{model}/{identity(data)}"
    for each in account.s3.list_object_versions(Bucket=BUCKET, Prefix=prefix).get("Versions", []):
        account.s3.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])


def swept(account: Account) -> list[str]:
    return sorted(account.sweep().without_litert)


def complete(account: Account, data: bytes = GOOD) -> str | None:
    result = account.onboarding.complete(MissingFile("cifar", identity(data)))
    return result.outcome if result else None


def test_the_sweeper_adds_the_litert_models_of_an_earlier_release(account: Account) -> None:
    for data in (GOOD, OTHER):
        account.onboard(data)
    assert swept(account) == []
    older(account, GOOD)
    assert swept(account) == [target(GOOD)]
    account.assert_litert(account.registry.ready("cifar", identity(GOOD)))
    assert swept(account) == []


def test_an_artifact_without_a_litert_model_is_read_once(account: Account) -> None:
    account.onboard(PLAIN)
    assert swept(account) == [], "onboarding has recorded that there is none"
    older(account, PLAIN)
    assert swept(account) == [target(PLAIN)]
    account.assert_litert(account.registry.ready("cifar", identity(PLAIN)))
    assert swept(account) == []


def test_a_deleted_litert_model_is_stored_again(account: Account) -> None:
    account.onboard(GOOD)
    key = f"lite/cifar/{identity(GOOD)}.tflite"
    account.s3.delete_object(Bucket=BUCKET, Key=key)
    assert swept(account) == [target(GOOD)]
    account.assert_litert(account.registry.live("cifar"))


def test_versions_that_are_not_ready_get_none(account: Account) -> None:
    for data in (GOOD, OTHER):
        account.onboard(data)
        older(account, data)
    account.releases.retire(account.registry.ready("cifar", identity(GOOD)), LATER)
    account.runtime.error = fakes.refusal("ModelNotReadyException")
    waiting = artifacts.with_litert()
    with pytest.raises(Exception, match="is loading"):
        account.onboard(waiting, "waiting")
    account.s3.delete_object(Bucket=BUCKET, Key=f"lite/waiting/{identity(waiting)}.tflite")
    events: list[dict[str, Any]] = []
    found = account.sweeper(events.append).sweep(datetime.now(UTC))
    assert found.without_litert == [target(OTHER)]
    items = [each for event in events for each in parse(event)]
    (missing,) = [each for each in items if isinstance(each, MissingFile)]
    assert missing == MissingFile("cifar", identity(OTHER))
    assert complete(account, GOOD) is None
    assert account.onboarding.complete(MissingFile("nobody", "0" * 12)) is None
    assert account.stored("lite/") == set()


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_LITERT", 2), ("MAX_LITERT_READ", 2 * len(GOOD))]
)
def test_a_run_has_few_stored_and_the_next_one_goes_on(
    account: Account, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(lacking, limit, value)
    models = ("a", "b", "c")
    for model in models:
        account.onboard(GOOD, model)
        older(account, GOOD, model)
    first, second = swept(account), swept(account)
    assert (len(first), len(second)) == (2, 1)
    assert sorted(first + second) == [target(GOOD, model) for model in models]


def test_a_large_artifact_is_read_alone(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lacking, "MAX_LITERT_READ", 1)
    for model in ("a", "b"):
        account.onboard(GOOD, model)
        older(account, GOOD, model)
    assert len(swept(account)) == len(swept(account)) == 1
    assert swept(account) == []


def test_what_todays_rules_forbid_gets_none(account: Account) -> None:
    model = pb.SavedModel.FromString(artifacts.saved_model())
    model.meta_graphs[0].graph_def.node.add(name="n", op="Print")
    files = artifacts.members() | {artifacts.LITERT: artifacts.litert()}
    data = artifacts.packed(files | {"1/saved_model.pb": model.SerializeToString()})
    account.rules = Rules(ops=frozenset({"Print"}))
    assert account.onboard(data) == "READY"
    older(account, data)
    account.rules = Rules()
    assert complete(account, data) is None
    assert account.registry.live("cifar").litert_size == 0
    assert account.stored("lite/") == set()


def test_a_golden_sample_is_required_of_uploads_only(account: Account) -> None:
    data = artifacts.with_litert()
    account.onboard(data)
    older(account, data)
    account.rules = Rules(golden_required=True)
    assert complete(account, data) == "LITERT_STORED"
    account.assert_litert(account.registry.live("cifar"))


def test_another_artifact_than_the_registered_one_is_not_used(account: Account) -> None:
    account.onboard(GOOD)
    older(account, GOOD)
    account.s3.put_object(Bucket=BUCKET, Key=f"mme/{target(GOOD)}", Body=OTHER)
    assert complete(account) is None
    assert account.registry.live("cifar").litert_size is None
    assert account.stored("lite/") == set()


def test_without_its_artifact_nothing_is_stored(account: Account) -> None:
    account.onboard(GOOD)
    older(account, GOOD)
    account.delete(GOOD)
    assert complete(account) is None
    assert account.stored("lite/") == set()


def test_killed_before_any_write_the_next_run_completes_it(s3: "S3Client", table: "Table") -> None:
    watched = Watched()
    house = House(Account(s3, table, watched, watched, watched), watched)
    for most in itertools.count(1):
        model = f"m{most}"
        house.onboarded(model, GOOD)
        older(house.account, GOOD, model)
        ended = house.killed(most, house.account.sweep)
        house.account.sweep()
        house.assert_settled(model)
        if not ended:
            break
    assert most == 3, "the record, then the object"


def retired_and_swept(account: Account) -> None:
    account.onboard(OTHER)
    account.releases.retire(account.registry.ready("cifar", identity(GOOD)), LATER)
    assert account.sweep(HOUR).deleted == [target(GOOD)]


def deleted(account: Account) -> None:
    account.deletion.delete("cifar", "anybody")


@pytest.mark.parametrize("what", [retired_and_swept, deleted])
@pytest.mark.parametrize("write", ["s3.PutObject", "dynamodb.UpdateItem"])
def test_a_version_that_is_deleted_meanwhile_keeps_nothing(
    account: Account, what: Callable[[Account], None], write: str
) -> None:
    account.onboard(GOOD)
    older(account, GOOD)
    client = account.s3 if write.startswith("s3") else account.table.meta.client

    def once(**_: Any) -> None:
        client.meta.events.unregister(f"before-call.{write}", once)
        what(account)

    client.meta.events.register(f"before-call.{write}", once)
    assert complete(account) is None
    listed = account.s3.list_object_versions(Bucket=BUCKET, Prefix=f"lite/cifar/{identity(GOOD)}")
    assert not [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]


def event(key: str) -> dict[str, Any]:
    described = {"key": key, "versionId": "x"}
    at = datetime.now(UTC).isoformat()
    record = {"eventName": "ObjectRemoved:Delete", "eventTime": at, "s3": {"object": described}}
    return {"Records": [record]}


@pytest.mark.parametrize("key", ["lite/cifar/0123456789ab.tar.gz", "lite/0123456789ab.tflite"])
def test_other_keys_are_ignored(key: str) -> None:
    assert list(parse(event(key))) == []


@pytest.mark.usefixtures("cold_start")
def test_an_error_is_counted_and_left_to_the_sweeper(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.onboard(GOOD)
    older(account, GOOD)
    missing = event(f"lite/cifar/{identity(GOOD)}.tflite")

    def refuse(*_: Any) -> None:
        raise fakes.refusal("SlowDown")

    with monkeypatch.context() as broken:
        broken.setattr("onboard.bucket.Bucket.store", refuse)
        assert handler(missing, fakes.Context(900)) == {"outcomes": []}  # type: ignore[arg-type]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["outcome"] for each in lines if "Uploads" in each] == ["FAILED"]
    (stored,) = handler(missing, fakes.Context(900))["outcomes"]  # type: ignore[arg-type]
    assert (stored["outcome"], stored["version"]) == ("LITERT_STORED", identity(GOOD))
    account.assert_litert(account.registry.live("cifar"))
