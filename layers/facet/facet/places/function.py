"""Invokes InferFunction, which runs one LiteRT model on a batch of input tensors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions as botocore_errors
import orjson
from botocore.config import Config

from facet.errors import (
    BodyTooLarge,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    FunctionUnavailable,
    LiteRTMissing,
    ModelFailed,
    ModelLoading,
    TooLargeForFunction,
)
from facet.keys import lite_key
from facet.manifest import AnyManifest
from facet.places.predict_call import (
    Scores,
    check_bytes,
    of_container,
    payload,
    read_json,
    scores_in,
)
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MISSING = "lite-missing"
"""The `code` of an answer about an object that is not stored, or is not the one that was asked."""

NO_ROOM = 507
"""The status of a model that needs more memory than the function has, with nothing else loaded."""

OF_THE_MODEL = (
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Function.ResponseSizeTooLarge",
    "MemoryError",
)
"""Lambda's `errorType` when it ended the function's process, or its answer was too long. An
environment answers one request at a time: that request's model took the memory. Lambda's timeout is
not among them, because the function stops a slow model before it."""

DEPLOYING = (
    "ResourceNotFoundException",
    "ResourceConflictException",
    "ResourceNotReadyException",
)
"""Lambda's errors while a deploy creates or changes the function."""

AWAY = "The function for LiteRT models cannot be reached at the moment. Try again shortly."
SILENT = (
    "The function for LiteRT models did not answer in time: the model is slow, or the function was "
    "starting. Try again shortly."
)
CLOSED = "The function for LiteRT models cannot take requests at the moment. Try again shortly."
BUSY = "The function for LiteRT models has too many requests. Try again shortly."
UNABLE = "The function cannot answer for the model now. Try again shortly."


def client(timeout: float) -> "LambdaClient":
    """A client of Lambda that waits `timeout` seconds for an answer and does not retry."""
    return boto3.client(
        "lambda",
        config=Config(connect_timeout=2, read_timeout=timeout, retries={"total_max_attempts": 1}),
    )


class Function:
    """The function called `name`, for whose answer the client waits `seconds`."""

    def __init__(self, client: "LambdaClient", name: str, seconds: float) -> None:
        self._client = client
        self._name = name
        self._seconds = seconds

    def classify(
        self,
        version: Version,
        manifest: AnyManifest,
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        """As `Runner.classify`, for a version with a LiteRT model."""
        request = {
            "key": lite_key(version.model, version.id),
            "sha256": version.litert_sha256,
            "request": orjson.Fragment(payload(manifest.input, batch)),
            "request_id": request_id,
            "seconds": self._seconds,
        }
        event = orjson.dumps(request)
        check_bytes(len(event))
        answer = self._invoke(event)
        response = answer["response"]
        if answer["status"] != 200:
            raise _translated(version, answer["status"], response)
        return scores_in(manifest, response, len(batch))

    def _invoke(self, event: bytes) -> dict[str, Any]:
        try:
            invoked = self._client.invoke(FunctionName=self._name, Payload=event)
            answer: dict[str, Any] = read_json(invoked["Payload"].read())
        except botocore_errors.ReadTimeoutError as error:
            raise FunctionUnavailable(SILENT) from error
        except (botocore_errors.ConnectionError, botocore_errors.HTTPClientError) as error:
            raise FunctionUnavailable(AWAY) from error
        except botocore_errors.ClientError as error:
            if refused := _refused(error):
                raise refused from error
            raise
        if "FunctionError" in invoked:
            raise _ended(answer)
        return answer


def _refused(error: botocore_errors.ClientError) -> FacetError | None:
    """Lambda's own error. None for one that lasts, such as a lack of permission."""
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "TooManyRequestsException":
        return EndpointThrottled(BUSY)
    if code == "RequestTooLargeException":
        return BodyTooLarge("The images have too many bytes for one request. Send fewer at once.")
    if code in DEPLOYING or status >= 500:
        return FunctionUnavailable(CLOSED)
    return None


def _ended(answer: dict[str, Any]) -> FacetError:
    """The error of a function that did not answer by itself: its model's, or one of the code."""
    kind, message = str(answer.get("errorType")), str(answer.get("errorMessage"))
    if kind in OF_THE_MODEL:
        return ModelFailed(f"it ended the function: {message} ({kind})")
    return FunctionUnavailable(UNABLE, cause=f"{kind}: {message}")


def _translated(version: Version, status: int, response: dict[str, Any]) -> FacetError:
    if response.get("code") == MISSING:
        return LiteRTMissing(version.model, version.id)
    if status == NO_ROOM:
        return TooLargeForFunction(str(response.get("error")))
    error = of_container(status, orjson.dumps(response).decode())
    if isinstance(error, EndpointUnavailable | ModelLoading):
        return FunctionUnavailable(UNABLE, cause=str(response.get("error")))
    return error
