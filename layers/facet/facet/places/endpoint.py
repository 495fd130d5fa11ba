"""Invokes the multi-model endpoint: a batch of input tensors in, scores of each out."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions as botocore_errors
from botocore.config import Config

from facet.errors import (
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
)
from facet.manifest import AnyManifest
from facet.places.predict_call import Scores, check_bytes, of_container, payload, scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

REQUEST = "facet-request"
"""The custom attribute with the request's id. SageMaker forwards it verbatim (InvokeEndpoint in its
API reference), and AWS's TensorFlow image ignores attributes that do not begin with tfs-."""

NO_ENDPOINT = re.compile(r"Endpoint \S+ of account \d+ not found")
"""The text of SageMaker's ValidationError for an endpoint that does not exist, or not yet."""

BAD_ARCHIVE = re.compile(r"Failed to extract model data archive")
"""The text of SageMaker's ValidationError for an artifact that it cannot unpack."""


def client(timeout: float) -> "SageMakerRuntimeClient":
    """A runtime client that waits `timeout` seconds for an answer and does not retry."""
    return boto3.client(
        "sagemaker-runtime",
        config=Config(connect_timeout=2, read_timeout=timeout, retries={"total_max_attempts": 1}),
    )


class Endpoint:
    """The multi-model endpoint called `name`."""

    def __init__(self, runtime: "SageMakerRuntimeClient", name: str) -> None:
        self._runtime = runtime
        self._name = name

    def classify(
        self,
        version: Version,
        manifest: AnyManifest,
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        """As `Runner.classify`. The container logs `request_id` with its errors."""
        body = payload(manifest.input, batch)
        check_bytes(len(body))
        return scores(manifest, self._invoke(version.target, body, request_id), len(batch))

    def _invoke(self, target: str, body: bytes, request_id: str) -> bytes:
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._name,
                TargetModel=target,
                ContentType="application/json",
                Accept="application/json",
                CustomAttributes=f"{REQUEST}={request_id}",
                Body=body,
            )
            return answer["Body"].read()
        except botocore_errors.ReadTimeoutError as error:
            raise ModelLoading(
                "The model did not answer in time: it is loading, or slow. Try again shortly."
            ) from error
        except (botocore_errors.ConnectionError, botocore_errors.HTTPClientError) as error:
            raise EndpointUnavailable(
                "The endpoint cannot be reached at the moment. Try again shortly."
            ) from error
        except botocore_errors.ClientError as error:
            if translated := _translated(error):
                raise translated from error
            raise


def _translated(error: botocore_errors.ClientError) -> FacetError | None:
    code = error.response["Error"]["Code"]
    if code in ("ThrottlingException", "TooManyRequestsException"):
        return EndpointThrottled("The endpoint has too many requests. Try again shortly.")
    if code == "ModelNotReadyException":
        return ModelLoading("The model is loading. Try again shortly.")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in ("ServiceUnavailable", "InternalFailure", "InternalDependencyException") or (
        status >= 500  # of a proxy or load balancer, whose errors have no code of SageMaker's
    ):
        return EndpointUnavailable(
            "The endpoint cannot take requests at the moment. Try again shortly."
        )
    if code == "ValidationError" and NO_ENDPOINT.search(str(error)):
        return EndpointRemoved(
            "There is no endpoint at the moment: it was removed for off-hours, or is being "
            "created. Try again later."
        )
    if code == "ValidationError" and BAD_ARCHIVE.search(str(error)):
        return ModelFailed("the endpoint cannot unpack the archive")
    if code != "ModelError":
        return None
    message = str(error.response.get("OriginalMessage") or error)
    return of_container(error.response.get("OriginalStatusCode"), message)
