"""TensorFlow Serving's REST predict call, which every place answers: body, scores and errors."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facet.errors import BodyTooLarge, EndpointUnavailable, FacetError, ModelFailed, ModelLoading
from facet.manifest import AnyManifest, HeadManifest, Manifest
from facet.preprocess import Pixels, Tensor
from facet.specs import FeatureSpec, InputSpec, OutputSpec

Scores = NDArray[np.float32]
"""One score for each label, or the features that a backbone computes."""

MAX_BODY = 6_291_456
"""Bytes of an InvokeEndpoint body, from botocore's service model."""

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


def of_container(status: object, message: str) -> FacetError:
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
        check_bytes(count * spec.size * 4 // (3 if spec.encoding == "uint8" else 1))


def check_bytes(size: int) -> None:
    """Raises BodyTooLarge for a body of more bytes than MAX_BODY."""
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


def scores(manifest: AnyManifest, body: bytes, count: int) -> list[Scores | ModelFailed]:
    """The scores in the container's response `body`, float32 (labels,) for each of `count` images,
    or the features that a backbone computes, float32 (features,).

    A row with a number that is not finite is a ModelFailed. Raises ModelFailed for everything else,
    such as an HTTP 200 with an `error` body.
    """
    try:
        response = read_json(body)
    except (ValueError, RecursionError) as error:
        raise _without_predictions(body.decode(errors="replace")) from error
    return scores_in(manifest, response, count)


def scores_in(manifest: AnyManifest, response: Any, count: int) -> list[Scores | ModelFailed]:
    """As `scores`, of a response that was parsed."""
    if isinstance(manifest, HeadManifest):
        raise TypeError("a place answers for a head's backbone, not for the head")
    try:
        rows = np.asarray([_row(manifest.output, row) for row in response["predictions"]])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _without_predictions(json.dumps(response)) from error
    labels = manifest.labels if isinstance(manifest, Manifest) else None
    if rows.shape != (count, manifest.width) or rows.dtype.kind not in "iuf":
        wanted = f"{len(labels)} labels" if labels else f"{manifest.width} features"
        raise ModelFailed(
            f"it answered {rows.dtype} of shape {rows.shape} for {count} images and {wanted}"
        )
    with np.errstate(over="ignore"):
        values = rows.astype(np.float32)
    finite = [bool(np.isfinite(row).all()) for row in values]
    usable = np.where(np.isfinite(values), values, np.float32(0))
    if isinstance(manifest, Manifest):
        usable = probabilities(manifest.output, usable)
    what = "scores" if labels else "features"
    return [
        row if sound else ModelFailed(f"it answered {what} that are not finite numbers")
        for row, sound in zip(usable, finite, strict=True)
    ]


def probabilities(output: OutputSpec, values: Scores) -> Scores:
    """float32 (images, labels) scores as the API answers them, from finite ones of the model."""
    if output.binary:
        logits = output.activation == "logits"
        second = 1 / (1 + np.exp(-values.clip(-80, 80))) if logits else values
        return np.concatenate([1 - second, second], axis=1)
    return softmax(values) if output.activation == "logits" else values


def _without_predictions(response: str) -> ModelFailed:
    return ModelFailed(f"it answered without predictions: {response[:500]}")


def read_json(body: bytes) -> Any:
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


def _row(output: OutputSpec | FeatureSpec, row: Any) -> Any:
    return row[output.tensor] if isinstance(row, dict) else row
