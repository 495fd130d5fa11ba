"""facet.places.function: what is sent to InferFunction, and whose fault its errors are.

botocore's Stubber holds requests and answers against Lambda's service model.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from facet.errors import (
    BodyTooLarge,
    EndpointThrottled,
    FacetError,
    FunctionUnavailable,
    LiteRTMissing,
    ModelFailed,
    TooLargeForFunction,
)
from facet.manifest import Manifest
from facet.places.function import Function
from facet.places.predict_call import Scores
from tests.support import versions
from tests.support.inputs import artifacts

MANIFEST = Manifest.model_validate(artifacts.manifest())
VERSION = replace(versions.ready(1), litert_size=100, litert_sha256="ab" * 32)
IMAGE = np.zeros((8, 8, 3), np.uint8)
SCORES = [0.7, 0.2, 0.1]
NAME = "facet-infer"


def stubbed() -> tuple[Any, Stubber]:
    create: Any = boto3.client
    made = create("lambda", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    return made, Stubber(made)


def answer(document: object, **more: str) -> dict[str, Any]:
    """Lambda's response whose payload is the document."""
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    body = StreamingBody(io.BytesIO(payload), len(payload))
    return {"StatusCode": 200, "Payload": body, **more}


def classify(response: Mapping[str, Any], count: int = 1) -> list[Scores | ModelFailed]:
    client, stubber = stubbed()
    stubber.add_response("invoke", response)
    with stubber:
        return Function(client, NAME, 25).classify(VERSION, MANIFEST, [IMAGE] * count, "id")


def error(response: Mapping[str, Any]) -> FacetError:
    with pytest.raises(FacetError) as raised:
        classify(response)
    return raised.value


def refused(code: str, status: int = 400) -> Exception:
    client, stubber = stubbed()
    stubber.add_client_error("invoke", code, http_status_code=status)
    with stubber, pytest.raises((FacetError, ClientError)) as raised:
        Function(client, NAME, 25).classify(VERSION, MANIFEST, [IMAGE], "id")
    return raised.value


def killed(kind: str | None, message: str) -> FacetError:
    document = {"errorMessage": message} | ({"errorType": kind} if kind else {})
    return error(answer(document, FunctionError="Unhandled"))


def test_the_function_gets_the_object_its_digest_and_a_predict_call() -> None:
    client, stubber = stubbed()
    sent: list[Mapping[str, Any]] = []
    client.meta.events.register(
        "provide-client-params.lambda.Invoke", lambda params, **_: sent.append(params)
    )
    stubber.add_response("invoke", answer({"status": 200, "response": {"predictions": [SCORES]}}))
    with stubber:
        (row,) = Function(client, NAME, 25).classify(VERSION, MANIFEST, [IMAGE], "id-1")
    assert np.asarray(row) == pytest.approx(SCORES)
    (request,) = sent
    assert request["FunctionName"] == NAME
    payload = json.loads(request["Payload"])
    assert len(payload["request"]["instances"]) == 1
    assert payload["request"]["signature_name"] == MANIFEST.input.signature
    del payload["request"]
    key = f"lite/cifar/{VERSION.id}.tflite"
    assert payload == {"key": key, "sha256": "ab" * 32, "request_id": "id-1", "seconds": 25}


def test_an_image_without_finite_scores_fails_alone() -> None:
    text = b'{"status": 200, "response": {"predictions": [[0.7, 0.2, 0.1], [NaN, 0, 0]]}}'
    first, second = classify(answer(text), count=2)
    assert np.asarray(first) == pytest.approx(SCORES)
    assert isinstance(second, ModelFailed)


@pytest.mark.parametrize("response", [{}, {"predictions": 1}, [], None, {"predictions": [[0.1]]}])
def test_an_answer_without_predictions_is_the_models_fault(response: object) -> None:
    assert isinstance(error(answer({"status": 200, "response": response})), ModelFailed)


def test_the_models_own_error_is_the_models_fault() -> None:
    found = error(answer({"status": 400, "response": {"error": "wrong shape"}}))
    assert isinstance(found, ModelFailed)
    assert found.reason == "wrong shape"


def test_a_model_with_too_little_memory_is_the_models_fault() -> None:
    found = error(answer({"status": 507, "response": {"error": "it needs 900 MB"}}))
    assert isinstance(found, TooLargeForFunction)
    assert found.reason == "it needs 900 MB"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed"),
        ("Runtime.OutOfMemory", "RequestId: 1 Error: Runtime exited with error: signal: killed"),
        ("MemoryError", ""),
        ("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed"),
    ],
)
def test_a_function_that_was_ended_is_the_models_fault(kind: str | None, message: str) -> None:
    found = killed(kind, message)
    assert isinstance(found, ModelFailed)
    assert message in found.reason


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 20.00 seconds"),
        (None, "2026-11-28T10:00:00Z 1 Task timed out after 20.00 seconds"),
    ],
)
def test_a_function_that_ran_out_of_time_is_not_the_models_fault(
    kind: str | None, message: str
) -> None:
    """It stops a model earlier: S3 was slow, or the function's own code."""
    found = killed(kind, message)
    assert isinstance(found, FunctionUnavailable)
    assert message in str(found.cause)


@pytest.mark.parametrize("kind", ["Runtime.ImportModuleError", "KeyError", "ModelUnreadable"])
def test_an_error_of_the_functions_code_is_not_the_models(kind: str) -> None:
    found = killed(kind, "it is broken")
    assert isinstance(found, FunctionUnavailable)
    assert found.cause == f"{kind}: it is broken"
    assert "broken" not in str(found), "a caller must not see it"


def test_a_container_status_that_passes_makes_the_function_unavailable() -> None:
    for status in (408, 429, 503):
        found = error(answer({"status": status, "response": {"error": "not now"}}))
        assert isinstance(found, FunctionUnavailable)
        assert found.cause == "not now"


def test_an_object_that_is_not_stored_is_neither() -> None:
    response = {"error": "lite/cifar/1.tflite is not stored", "code": "lite-missing"}
    found = error(answer({"status": 404, "response": response}))
    assert isinstance(found, LiteRTMissing)
    assert VERSION.id in str(found)


def test_a_throttled_request_is_throttled() -> None:
    assert isinstance(refused("TooManyRequestsException", 429), EndpointThrottled)


@pytest.mark.parametrize(
    ("code", "status"),
    [("ServiceException", 500), ("EC2ThrottledException", 502), ("ResourceNotFoundException", 404)],
)
def test_lambdas_own_errors_pass(code: str, status: int) -> None:
    error = refused(code, status)
    assert isinstance(error, FunctionUnavailable)
    assert "cannot take requests" in str(error), "Lambda was reached"


def test_a_lack_of_permission_is_raised_as_it_is() -> None:
    assert isinstance(refused("AccessDeniedException", 403), ClientError)


def test_too_large_a_body_is_not_sent() -> None:
    client, stubber = stubbed()  # which has no answer
    side = 1500
    spec = MANIFEST.input.model_copy(update={"width": side, "height": side})
    manifest = MANIFEST.model_copy(update={"input": spec})
    with stubber, pytest.raises(BodyTooLarge):
        Function(client, NAME, 25).classify(
            VERSION, manifest, [np.zeros((side, side, 3), np.uint8)], "id"
        )
    assert isinstance(refused("RequestTooLargeException", 413), BodyTooLarge)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(ReadTimeoutError, "did not answer in time"), (ConnectTimeoutError, "cannot be reached")],
)
def test_no_answer_in_time_makes_the_function_unavailable(kind: Any, said: str) -> None:
    class Silent:
        def invoke(self, **_: object) -> None:
            raise kind(endpoint_url="https://lambda")

    with pytest.raises(FunctionUnavailable, match=said):
        Function(Silent(), NAME, 25).classify(VERSION, MANIFEST, [IMAGE], "id")  # type: ignore[arg-type]
