"""Whose fault an error of the endpoint's container is: the model's, or one that passes.

Models are rejected, and canaries end, only for the former.
"""

import json
from typing import Any, cast

import pytest

from facet.errors import EndpointUnavailable, FacetError, ModelFailed, ModelLoading
from facet.manifest import Manifest
from facet.places.endpoint import Endpoint
from serving import errors
from serving.responses import error_response
from serving.statuses import STATUS
from tests.support import versions
from tests.support.aws import fakes
from tests.support.container.aws_answers import ANSWERS, Answer, Fault
from tests.support.inputs import artifacts

MANIFEST = Manifest.model_validate(artifacts.manifest())
VERSION = versions.pending(1)
PASSING = {
    errors.NotLoaded,
    errors.NoSuchVersion,
    errors.AlreadyLoaded,
    errors.LoadTimedOut,
    errors.Replacing,
    errors.Blocked,
    errors.NoRoom,
}
"""Errors of Facet's container that are not the model's."""

TEXTS = {
    errors.NotLoaded: "Model m is not loaded yet.",
    errors.NoSuchVersion: "Servable not found for request: Specific(m, 2)",
}


def fault(status: int, message: str) -> FacetError:
    """What a caller gets if the container answers so."""
    runtime = fakes.Runtime()
    runtime.error = fakes.refusal("ModelError", OriginalStatusCode=status, OriginalMessage=message)
    with pytest.raises(FacetError) as raised:
        Endpoint(cast("Any", runtime), "endpoint").classify(VERSION, MANIFEST, [], "id")
    return raised.value


@pytest.mark.parametrize("row", ANSWERS, ids=[row.case for row in ANSWERS])
def test_only_the_models_own_fault_in_awss_image_is_a_failure_of_the_model(row: Answer) -> None:
    error = fault(row.status, row.body)
    if row.fault is Fault.MODEL:
        assert isinstance(error, ModelFailed)
        assert error.reason in json.loads(row.body).get("description", row.body)
    else:
        assert isinstance(error, EndpointUnavailable | ModelLoading)
        assert row.body not in str(error), "a caller must not see the container's words"


def answered(error: Exception) -> tuple[int, str]:
    """What Facet's container answers for an error."""
    response = error_response(error)
    return response.status_code, bytes(response.body).decode()


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_only_the_models_own_fault_in_facets_container_is_a_failure_of_the_model(
    kind: type[errors.ServingError],
) -> None:
    error = fault(*answered(kind(TEXTS.get(kind, "the reason"))))
    if kind in PASSING:
        assert isinstance(error, EndpointUnavailable | ModelLoading)
    else:
        assert isinstance(error, ModelFailed)
        assert error.reason == "the reason"


@pytest.mark.parametrize("error", [MemoryError(), OSError(24, "Too many open files")])
def test_a_container_without_memory_or_files_is_no_failure_of_the_model(error: Exception) -> None:
    assert isinstance(fault(*answered(error)), EndpointUnavailable)


def test_a_bug_of_the_container_is_seen_as_the_models_failure() -> None:
    """It is the same at any time, as is the model's own fault."""
    assert isinstance(fault(*answered(KeyError("x"))), ModelFailed)


@pytest.mark.parametrize("status", [400, 404, 415, 500, 501])
def test_a_reason_that_sagemaker_cut_off_is_still_one(status: int) -> None:
    """A message has at most 2,048 characters in SageMaker's model."""
    whole = json.dumps({"error": "INTERNAL: " + "x" * 4000})
    error = fault(status, whole[:2048])
    assert isinstance(error, ModelFailed)
    assert error.reason.startswith("INTERNAL: xxx")


@pytest.mark.parametrize("text", ["Not Found", "<html>404</html>"])
def test_other_rejections_without_a_reason_are_the_models(text: str) -> None:
    error = fault(404, text)
    assert isinstance(error, ModelFailed)
    assert error.reason == text


def test_sagemakers_own_timeout_is_no_failure_of_the_model() -> None:
    text = "Your invocation timed out while waiting for a response from container primary."
    assert isinstance(fault(0, text), EndpointUnavailable)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_answer_of_a_load_balancer_has_no_code_of_sagemakers(status: int) -> None:
    runtime = fakes.Runtime()
    metadata = {"HTTPStatusCode": status}
    runtime.error = fakes.refusal(str(status), ResponseMetadata=metadata)
    with pytest.raises(EndpointUnavailable):
        Endpoint(cast("Any", runtime), "endpoint").classify(VERSION, MANIFEST, [], "id")
