"""The API's limits, timeouts, caching and CORS."""

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from facet.registry.models import Version
from predict import app
from tests.support.api import PNG, call, predict
from tests.support.aws import fakes
from tests.support.aws.fakes import Answer
from tests.support.versions import make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

pytestmark = pytest.mark.usefixtures("functions")

ORIGIN = "https://app.example.com"


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch, live: Version, cold_start: None) -> None:  # noqa: ARG001
    limits = {"FACET_MAX_BODY": "2000", "FACET_MAX_PIXELS": "63", "FACET_MAX_IMAGES": "2"}
    for name, value in limits.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("limited")
def test_limits_are_settings() -> None:
    large = predict(bytes(2001))
    assert large.problem == (413, "body-too-large")
    assert "the limit is 2,000" in large.document["detail"]
    pixels = predict(PNG)
    assert pixels.problem == (422, "broken-image")
    assert "the limit is 63" in pixels.document["detail"]
    images = json.dumps({"images": [base64.b64encode(b"x").decode()] * 3}).encode()
    many = predict(images, "application/json")
    assert many.problem == (400, "bad-request")
    assert "send at most 2" in many.document["detail"]


@pytest.mark.usefixtures("live", "cold_start")
def test_a_slow_endpoint_times_out_before_the_deadline(
    sagemaker: fakes.SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual timeout is 25 seconds. With 8 left and 2.5 in reserve, it is 5."""
    monkeypatch.setenv("FACET_INVOKE_TIMEOUT", "25")
    assert predict().status == 200  # creates the clients, which takes seconds on a busy machine
    sagemaker.answer = Answer(seconds=6)
    reply = predict(seconds=8)
    assert reply.problem == (503, "model-loading")
    assert reply.headers["Retry-After"]


@pytest.mark.usefixtures("live")
def test_without_time_left_the_endpoint_is_not_invoked(sagemaker: fakes.SageMaker) -> None:
    reply = predict(seconds=2)
    assert reply.problem == (503, "out-of-time")
    assert reply.headers["Retry-After"]
    assert sagemaker.asked == []


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("path", ["/models", "/models/cifar"])
def test_an_unchanged_resource_is_not_modified(path: str, table: "Table") -> None:
    first = call("GET", path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = call("GET", path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status, again.document, again.headers["ETag"]) == (304, {}, tag)
    make_live(table, pending(2))
    changed = call("GET", path, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


@pytest.fixture
def cors_origin(monkeypatch: pytest.MonkeyPatch, live: Version, cold_start: None) -> None:  # noqa: ARG001
    monkeypatch.setenv("FACET_ALLOW_ORIGIN", ORIGIN)


def preflight(path: str = "/models/cifar/predict") -> dict[str, Any]:
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "OPTIONS",
        "requestContext": {"requestId": "1"},
    }
    answer: dict[str, Any] = app.handler(event, fakes.Context(29))  # type: ignore[arg-type]
    return answer


@pytest.mark.usefixtures("cors_origin")
def test_a_preflight_allows_the_configured_origin() -> None:
    answer = preflight()
    headers = {name: value for name, (value,) in answer["multiValueHeaders"].items()}
    assert answer["statusCode"] == 204
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Vary"] == "Origin"
    assert "X-Api-Key" in headers["Access-Control-Allow-Headers"]
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "Inference-Header-Content-Length" in headers["Access-Control-Allow-Headers"]


@pytest.mark.usefixtures("cors_origin")
@pytest.mark.parametrize("body", [PNG, b"no image"], ids=["answer", "problem"])
def test_responses_and_errors_are_readable_by_the_configured_origin(body: bytes) -> None:
    headers = predict(body).headers
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = headers["Access-Control-Expose-Headers"]
    expected = {
        "X-Model-Version",
        "X-Facet-Ran-In",
        "Server-Timing",
        "Retry-After",
        "Inference-Header-Content-Length",
    }
    assert expected <= set(exposed.split(", "))


@pytest.mark.usefixtures("live")
def test_cors_is_off_by_default() -> None:
    assert not any(name.startswith("Access-Control") for name in predict().headers)
    assert preflight()["multiValueHeaders"] == {}
