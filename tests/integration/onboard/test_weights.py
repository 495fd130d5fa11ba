"""The weights of READY heads are stored again if they are deleted or changed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from onboard.app import parse
from onboard.sweep import lacking
from onboard.sweep.backfill import MissingFile
from tests.support.aws.fakes import BUCKET
from tests.support.inputs import artifacts, heads
from tests.support.inputs.artifacts import FEATURES
from tests.support.onboarding import Account, identity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

BACKBONE = artifacts.packed(artifacts.backbone_members())
HEAD = heads.artifact(identity(BACKBONE))
WEIGHTS = heads.head().to_bytes()
LATER = "2026-03-01T00:00:00.000+00:00"


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    account = Account(s3, table)
    account.runtime.scores = FEATURES
    assert account.onboard(BACKBONE, "mobilenet") == "READY"
    assert account.onboard(HEAD, "cats") == "READY"
    return account


def key(model: str = "cats") -> str:
    return f"heads/{model}/{identity(HEAD)}.npz"


def target(model: str = "cats") -> str:
    return f"{model}/{identity(HEAD)}.tar.gz"


def test_deleted_weights_are_stored_again(account: Account) -> None:
    assert account.content(key()) == WEIGHTS
    account.s3.delete_object(Bucket=BUCKET, Key=key())
    swept = account.sweep()
    assert (swept.without_weights, swept.without_litert) == ([target()], [])
    assert account.content(key()) == WEIGHTS
    assert account.sweep().without_weights == []


@pytest.mark.parametrize("content", [b"damaged", heads.head(seed=1).to_bytes(), b""])
def test_changed_weights_are_replaced(
    account: Account, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(lacking, "PUBLISHED_WITHIN", timedelta(-1))
    assert account.sweep().without_weights == []
    account.s3.put_object(Bucket=BUCKET, Key=key(), Body=content)
    assert account.sweep().without_weights == [target()]
    assert account.content(key()) == WEIGHTS
    assert account.sweep().without_weights == []


def test_an_object_that_is_too_large_for_weights_is_not_read(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lacking, "PUBLISHED_WITHIN", timedelta(-1))
    monkeypatch.setattr(lacking, "MAX_HEAD", len(WEIGHTS) - 1)
    assert account.sweep().without_weights == [target()]


def test_heads_are_neither_read_nor_looked_up_without_a_reason(account: Account) -> None:
    for _ in range(2):
        account.sweep()
    asked: list[str] = []

    def record(model: Any, params: Any, **_: Any) -> None:
        asked.append(f"{model.name} {params['body']}")

    clients = [account.s3, account.table.meta.client]
    for client in clients:
        for each in ("GetObject", "GetItem"):
            client.meta.events.register(f"before-call.*.{each}", record)
    try:
        account.sweeper(lambda _: None).sweep(datetime.now(UTC))
    finally:
        for client in clients:
            for each in ("GetObject", "GetItem"):
                client.meta.events.unregister(f"before-call.*.{each}", record)
    assert [each for each in asked if "cats" in each] == []


def test_one_event_has_all_heads_of_a_run(account: Account) -> None:
    for model in ("cats", "dogs", "birds"):
        account.onboard(HEAD, model)
        account.s3.delete_object(Bucket=BUCKET, Key=key(model))
    events: list[dict[str, Any]] = []
    account.sweeper(events.append).sweep(datetime.now(UTC))
    parsed = [[each for each in parse(event) if isinstance(each, MissingFile)] for event in events]
    (found,) = filter(None, parsed)
    assert {each.model for each in found} == {"cats", "dogs", "birds"}


def test_another_artifact_than_the_registered_one_is_not_used(account: Account) -> None:
    account.s3.delete_object(Bucket=BUCKET, Key=key())
    other = heads.artifact(identity(BACKBONE), weights=heads.head(seed=1))
    account.s3.put_object(Bucket=BUCKET, Key=f"mme/{target()}", Body=other)
    assert account.onboarding.complete(MissingFile("cats", identity(HEAD))) is None
    assert account.stored("heads/") == set()


def test_a_head_that_is_deleted_meanwhile_keeps_nothing(account: Account) -> None:
    account.s3.delete_object(Bucket=BUCKET, Key=key())

    def once(**_: Any) -> None:
        account.s3.meta.events.unregister("before-call.s3.PutObject", once)
        account.deletion.delete("cats", "anybody")

    account.s3.meta.events.register("before-call.s3.PutObject", once)
    assert account.onboarding.complete(MissingFile("cats", identity(HEAD))) is None
    listed = account.s3.list_object_versions(Bucket=BUCKET, Prefix=key())
    assert not [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
