"""Invokes the multi-model endpoint: a batch of input tensors in, scores of each out."""

import base64
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions as botocore_errors
import numpy as np
import orjson
from botocore.config import Config
from numpy.typing import NDArray

from facet.errors import (
    BodyTooLarge,
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
)
from facet.manifest import InputSpec, Manifest, OutputSpec
from facet.preprocess import Pixels, Tensor

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

Scores = NDArray[np.float32]
"""One score for each label."""

MAX_BODY = 6_291_456
"""Bytes of an InvokeEndpoint body, from botocore's service model."""

REQUEST = "facet-request"
"""The custom attribute with the request's id. SageMaker forwards it verbatim (InvokeEndpoint in its
API reference), and AWS's TensorFlow image ignores attributes that do not begin with tfs-."""

NOT_LOADED = re.compile(r"^(Model \S+ is not loaded yet|Servable not found for request)")
"""What Facet's container and AWS's image answer when an earlier process had loaded the model."""

OF_THE_CONTAINER = re.compile(
    r"HTTPConnectionPool\(|\('Connection aborted\.'|timed out acquiring|"
    r"(MemoryError|OSError|TimeoutError|BlockingIOError)\b"
)
"""How the reason of a 500 begins that says nothing about the model: AWS's handler does not reach
the model's server process, which hangs, or ended for lack of memory (`_handle_invocation_post`);
Facet's container lacks memory, files or threads (`_unexpected_error`)."""

PASSING = (409, 429, 499, 502, 503, 504)
"""Statuses with which a container says something about itself, and not about the model. TensorFlow
Serving's are in http_server.cc (`ToHTTPStatusCode`): aborted, no resources, cancelled, unavailable,
too late. nginx in AWS's image answers 502 and 504, the latter after 60 seconds, in which loads wait
for each other."""

CUT_SHORT = re.compile(r'"(?:error|description)"\s*:\s*"(.+)', re.DOTALL)
"""The reason in JSON without its end: messages have up to 2,048 characters in SageMaker's model."""

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
        target: str,
        manifest: Manifest,
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        """For each image float32 (labels,) scores in 0..1, or why the model gave none for it.

        `batch` has each image's tensor from `preprocess.apply`; `target` is the TargetModel.
        `request_id` is logged by the container with its errors.
        Raises BodyTooLarge, EndpointThrottled, EndpointUnavailable, EndpointRemoved, ModelLoading,
        ModelFailed if the whole request fails, and botocore's ClientError for other causes, such as
        permissions.
        """
        body = payload(manifest.input, batch)
        _check_size(len(body))
        return scores(manifest, self._invoke(target, body, request_id), len(batch))

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
                "The model did not answer in time, because it is loading. Try again shortly."
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
    return _of_container(error.response.get("OriginalStatusCode"), message)


def _of_container(status: object, message: str) -> FacetError:
    """The container's error, which SageMaker passes on: the model's fault, or one that passes.

    SageMaker's own timeout has status 0. A slow load is answered 408; AWS's image answers a model
    that cannot be loaded in the same way. A 500 that gives no reason as JSON is not the model's:
    AWS's handler so answers loads that waited 60 seconds for others, and errors of the disk.
    tests/support/container/aws_answers.py has the answers of AWS's image.
    """
    reason = _reason(message)
    if status == 408:
        return ModelLoading("The model is loading. Try again shortly.")
    if status == 0:
        return EndpointUnavailable("The endpoint did not answer in time. Try again shortly.")
    if status == 507:
        return EndpointUnavailable(
            "The endpoint has no memory for the model now. Try again shortly."
        )
    if (
        status in PASSING
        or (status == 404 and NOT_LOADED.match(reason or ""))
        or (status == 500 and (reason is None or OF_THE_CONTAINER.match(reason)))
    ):
        return EndpointUnavailable(
            "The endpoint's container cannot answer for the model now. Try again shortly."
        )
    return ModelFailed(reason or message)


def _reason(message: str) -> str | None:
    """The text in a container's error: of its `error` or, in the form of AWS's image, of the JSON
    in its `description`. None for a message of another form.
    """
    try:
        document = orjson.loads(message)
    except orjson.JSONDecodeError:
        cut = CUT_SHORT.search(message)
        return cut[1] if cut else None
    for key in ("error", "description"):
        if isinstance(document, dict) and isinstance(text := document.get(key), str):
            return _reason(text) or text
    return None


def check_size(spec: InputSpec, count: int) -> None:
    """Raises BodyTooLarge if so many images have too many bytes, whatever is in them.

    The shortest number, `0.0`, and its comma have four bytes; base64 has four for three pixels.
    Image files may have any size.
    """
    if spec.encoding != "jpeg":
        _check_size(count * spec.size * 4 // (3 if spec.encoding == "uint8" else 1))


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        raise BodyTooLarge(
            f"As this model's input the images have {size:,} bytes; "
            f"the limit of one request is {MAX_BODY:,}. Send fewer images at once."
        )


def payload(spec: InputSpec, batch: Sequence[Pixels | Tensor]) -> bytes:
    """The body of TensorFlow Serving's REST predict call, in its row format."""
    rows: list[Any]
    if spec.encoding != "float":
        rows = [{"b64": base64.b64encode(image.tobytes()).decode()} for image in batch]
    else:
        rows = [np.ascontiguousarray(tensor) for tensor in batch]
    return orjson.dumps(
        {
            "signature_name": spec.signature,
            "instances": [{spec.tensor: row} for row in rows],
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def scores(manifest: Manifest, body: bytes, count: int) -> list[Scores | ModelFailed]:
    """The scores in the container's response `body`, float32 (labels,) for each of `count` images.

    A row with a number that is not finite is a ModelFailed. Raises ModelFailed for everything else,
    such as an HTTP 200 with an `error` body.
    """
    try:
        answer = _document(body)
        rows = np.asarray([_row(manifest.output, row) for row in answer["predictions"]])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFailed(
            f"it answered without predictions: {body[:500].decode(errors='replace')}"
        ) from error
    if rows.shape != (count, manifest.width) or rows.dtype.kind not in "iuf":
        raise ModelFailed(
            f"it answered {rows.dtype} of shape {rows.shape} "
            f"for {count} images and {len(manifest.labels)} labels"
        )
    with np.errstate(over="ignore"):
        values = rows.astype(np.float32)
    finite = [bool(np.isfinite(row).all()) for row in values]
    usable = np.where(np.isfinite(values), values, np.float32(0))
    return [
        row if sound else ModelFailed("it answered scores that are not finite numbers")
        for row, sound in zip(probabilities(manifest.output, usable), finite, strict=True)
    ]


def probabilities(output: OutputSpec, values: Scores) -> Scores:
    """float32 (images, labels) scores as the API answers them, from finite ones of the model."""
    if output.binary:
        logits = output.activation == "logits"
        second = 1 / (1 + np.exp(-values.clip(-80, 80))) if logits else values
        return np.concatenate([1 - second, second], axis=1)
    return softmax(values) if output.activation == "logits" else values


def _document(body: bytes) -> Any:
    """Parses JSON with NaN and Infinity, which TensorFlow Serving writes. Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def softmax(logits: Scores) -> Scores:
    """float32 (images, labels) probabilities, whose sum is 1 for each image, of finite logits."""
    with np.errstate(over="ignore"):
        powers: Scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _row(output: OutputSpec, row: Any) -> Any:
    return row[output.tensor] if isinstance(row, dict) else row
