"""Heads keep their backbone, from the upload to the deletion."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from facet.heads.errors import BackboneInUse
from facet.registry.models import Status
from onboard.kinds import BackboneNotReady
from onboard.removal.deletion import handler
from tests.support.aws import fakes
from tests.support.inputs import artifacts, heads
from tests.support.inputs.artifacts import FEATURES
from tests.support.onboarding import Account, identity, patient
from tests.support.versions import overtaken

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

FIRST, SECOND, THIRD, FOURTH = (
    artifacts.packed(artifacts.backbone_members(description=text)) for text in "abcd"
)
HEAD, OTHER = (heads.artifact(identity(FIRST), description=text) for text in "ab")


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    account = Account(s3, table)
    account.runtime.scores = FEATURES
    assert account.onboard(FIRST, "mobilenet") == "READY"
    assert account.onboard(HEAD, "cats") == "READY"
    return account


def test_a_backbone_is_deleted_after_its_heads(account: Account) -> None:
    account.put(SECOND, "mobilenet")
    before = account.stored()
    with pytest.raises(BackboneInUse, match=f"'mobilenet': cats {identity(HEAD)}. First delete"):
        account.deletion.delete("mobilenet", "anybody")
    assert account.stored() == before
    assert account.registry.live("mobilenet").id == identity(FIRST)
    planned = account.deletion.plan("mobilenet")
    assert (planned.heads, planned.uploads, planned.deleted) == (1, 1, False)
    assert account.deletion.delete("cats", "anybody").deleted
    assert account.deletion.delete("mobilenet", "anybody").deleted
    assert account.stored() == set()
    assert {each["item"] for each in account.table.scan()["Items"]} == {"model"}


@pytest.mark.parametrize("reads", range(1, 8))
def test_a_head_that_is_accepted_during_a_deletion_keeps_the_backbone_whole(
    account: Account, reads: int
) -> None:
    account.deletion.delete("cats", "anybody")
    account.put(SECOND, "mobilenet")
    before = account.stored("mme/mobilenet")
    upload = account.put(OTHER, "cats")

    def accept() -> None:
        with suppress(BackboneNotReady):
            account.process(upload)

    table = overtaken(account.table, reads, accept)
    try:
        Account(account.s3, table).deletion.delete("mobilenet", "anybody")
    except BackboneInUse:
        assert account.status(OTHER, "cats") is Status.READY
        assert account.stored("mme/mobilenet") == before
        assert account.registry.live("mobilenet").id == identity(FIRST)
    else:
        account.process(upload)
        assert account.status(OTHER, "cats") is Status.REJECTED
        assert account.stored("mme/mobilenet") == set()


@pytest.mark.usefixtures("functions")
def test_the_api_says_which_heads_need_it(account: Account) -> None:
    event = {
        "pathParameters": {"model": "mobilenet"},
        "queryStringParameters": None,
        "requestContext": {"requestId": "r", "identity": {"apiKeyId": "operators"}},
    }
    answer = handler(event, fakes.Context())  # type: ignore[arg-type]
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["type"]) == (409, "urn:facet:problem:backbone-in-use")
    assert f"cats {identity(HEAD)}" in problem["detail"]
    assert account.status(FIRST, "mobilenet") is Status.READY


def test_a_backbone_that_is_retired_during_the_proof_of_a_head_rejects_it(
    account: Account,
) -> None:
    account.deletion.delete("cats", "anybody")
    for data in (SECOND, THIRD):
        account.onboard(data, "mobilenet")
    first = account.registry.ready("mobilenet", identity(FIRST))
    account.runtime.meanwhile = lambda: retire_once(account)
    assert account.process(account.put(OTHER, "cats"), patient()[0]).outcome == "REJECTED"
    (violation,) = account.report(OTHER, "cats")["violations"]
    assert violation["code"] == "head-backbone"
    assert f"version {first.id} of 'mobilenet' is RETIRED" in violation["problem"]


def retire_once(account: Account) -> None:
    version = account.registry.find("mobilenet", identity(FIRST))
    if version and version.status is Status.READY:
        account.releases.retire(version, "2026-03-01T00:00:00.000+00:00")


def test_a_deleted_artifact_of_a_backbone_says_how_many_heads_it_left(account: Account) -> None:
    account.onboard(OTHER, "dogs")
    account.onboarding.withdraw(account.delete(FIRST, "mobilenet"), patient()[0])
    kind, detail = account.events.told[-1]
    assert (kind, detail["heads"]) == ("ModelRetired", 2)
    assert "heads: 2" in account.topic.published[-1][1]
    assert account.onboard(FIRST, "mobilenet") == "READY"
    with pytest.raises(BackboneInUse):
        account.deletion.delete("mobilenet", "anybody")


def test_retention_keeps_versions_that_heads_depend_on(account: Account) -> None:
    account.keep = 1
    account.onboard(SECOND, "mobilenet")
    account.onboard(THIRD, "mobilenet")
    account.onboard(FOURTH, "mobilenet")
    assert account.status(FIRST, "mobilenet") is Status.READY
    assert account.status(SECOND, "mobilenet") is Status.RETIRED
    assert account.status(THIRD, "mobilenet") is Status.READY, "the previous one"
