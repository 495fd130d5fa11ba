"""Onboarding without an endpoint: uploads wait, and none is rejected."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facet.errors import EndpointRemoved
from facet.registry.models import Status
from onboard.app import handler
from onboard.uploads import LONGEST_WAIT
from tests.support.api import call, predict
from tests.support.aws import fakes
from tests.support.aws.fakes import Answer
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, patient
from tests.support.versions import make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

GOOD = artifacts.artifact(golden=artifacts.golden())
SAID = {"Message": "Endpoint facet of account 123456789012 not found."}
AWAY = Answer(status=400, code="ValidationError", body=json.dumps(SAID).encode())


@pytest.fixture
def uploaded(account: Account) -> dict[str, Any]:
    """The event of an upload."""
    upload = account.put(GOOD)
    described = {"key": upload.key, "versionId": upload.object_version}
    head = {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T12:00:00.123Z"}
    return {"Records": [head | {"s3": {"object": described}}]}


@pytest.fixture
def onboard(functions: None) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:  # noqa: ARG001
    """The handler, with all the time that Lambda gives it."""

    def outcomes(event: dict[str, Any]) -> list[dict[str, Any]]:
        answered = handler(event, fakes.Context(900))  # type: ignore[arg-type]
        found: list[dict[str, Any]] = answered["outcomes"]
        return found

    return outcomes


@pytest.mark.usefixtures("functions")
def test_predictions_answer_that_there_is_no_endpoint(
    table: "Table", sagemaker: fakes.SageMaker
) -> None:
    make_live(table, pending(1))
    sagemaker.answer = AWAY
    reply = predict()
    assert (reply.status, reply.document["type"]) == (503, "urn:facet:problem:no-endpoint")
    assert "off-hours" in reply.document["detail"]
    assert int(reply.headers["Retry-After"]) >= 60
    assert "123456789012" not in json.dumps(reply.document)


def test_onboarding_does_not_wait_for_an_endpoint_that_is_away(account: Account) -> None:
    upload = account.put(GOOD)
    refused = {"Error": {"Code": "ValidationError", **SAID}}
    account.runtime.error = ClientError(refused, "InvokeEndpoint")  # type: ignore[arg-type]
    retry, pauses = patient()
    with pytest.raises(EndpointRemoved):
        account.process(upload, retry)
    assert pauses == []


def test_an_upload_waits_and_is_not_rejected(
    account: Account,
    uploaded: dict[str, Any],
    onboard: Callable[[dict[str, Any]], list[dict[str, Any]]],
    sagemaker: fakes.SageMaker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sagemaker.answer = AWAY
    (outcome,) = onboard(uploaded)
    assert (outcome["model"], outcome["outcome"]) == ("cifar", "POSTPONED")
    assert "has no LiteRT model" in outcome["reason"]
    assert "facet pack" in outcome["reason"]
    assert account.content("mme/cifar.tar.gz") == GOOD
    assert account.status(GOOD) is Status.PENDING
    assert not any(key.startswith("rejected/") for key in account.stored())
    (counted,) = (
        json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line
    )
    assert (counted["Uploads"], counted["outcome"]) == ([1.0], "POSTPONED")
    reply = predict()
    assert (reply.status, reply.document["type"]) == (503, "urn:facet:problem:no-endpoint")
    assert "has no LiteRT model" in reply.document["detail"]
    assert "facet pack" in reply.document["detail"]
    assert int(reply.headers["Retry-After"]) >= 60
    (shown,) = call("GET", "/models/cifar").document["versions"]
    assert shown["postponed_at"]
    assert [each["code"] for each in shown["not_proven"]["function"]] == ["needs-tensorflow"]


def test_the_sweeper_brings_it_in_when_the_endpoint_is_back(
    account: Account,
    uploaded: dict[str, Any],
    onboard: Callable[[dict[str, Any]], list[dict[str, Any]]],
    sagemaker: fakes.SageMaker,
) -> None:
    sagemaker.answer = AWAY
    onboard(uploaded)
    sweeper, start = account.sweeper(onboard), datetime.now(UTC)
    night = timedelta(hours=11)
    for quarters in range(1, int(night / timedelta(minutes=15))):
        assert sweeper.sweep(start + quarters * timedelta(minutes=15)).failed == []
    assert account.content("mme/cifar.tar.gz") == GOOD

    sagemaker.answer = Answer()
    sweeper.sweep(start + night + LONGEST_WAIT)
    account.assert_live(GOOD)
    assert account.registry.live("cifar").postponed_at is None
