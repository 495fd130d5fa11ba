"""The Open Inference Protocol (OIP), version 2: the routes under /v2.

A model has one input, `image` (BYTES: image files) or `pixels` (UINT8: images of the model's input
size), and two outputs, `scores` (FP32, one per label) and `label` (BYTES, the best label). A head
has a third, `familiarity` (FP32, how much the image is like those it was taught with). Errors are
the API's problem documents with the protocol's member `error`.
"""

from collections import Counter
from typing import Any

import numpy as np
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from facet.errors import BadRequest, NoLiveVersion
from facet.heads.errors import NotAClassifier
from facet.manifest import HeadManifest, LabelledManifest
from facet.registry.models import Status, Version
from facet.settings import settings
from predict.classification.predictions import Predictions, best_labels
from predict.clients import endpoint_health, predictor, registry
from predict.http import body as bodies
from predict.http import tensors
from predict.http.request import deadline_of, model_name, raw_body, request_id, shown, version_id
from predict.http.responses import check_size, prediction_headers, respond
from predict.http.tensors import OutputTensor, RequestedOutput, TensorData
from predict.predictor import PredictionRequest

ROOT = "/v2"
IMAGE, PIXELS = "image", "pixels"
SCORES, LABEL, FAMILIARITY = "scores", "label", "familiarity"

FAMILIARITY_OUTPUT = {"name": FAMILIARITY, "datatype": "FP32", "shape": [-1]}

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/v2")
def server() -> Response[str]:
    """The server's name and its protocol extensions."""
    extensions = ["binary_tensor_data", "classification"]
    return respond({"name": "facet", "version": "2", "extensions": extensions})


@router.get("/v2/health/live")
def live() -> Response[str]:
    """The liveness check."""
    return respond({"live": True})


@router.get("/v2/health/ready")
def ready() -> Response[str]:
    """The readiness check. Models load on their first request; see `/health`."""
    endpoint_health().check()
    return respond({"ready": True})


@router.get("/v2/models/<name>")
def model_metadata(name: str) -> Response[str]:
    """Inputs and outputs of the live version."""
    return respond(_metadata(registry().live(model_name(name))))


@router.get("/v2/models/<name>/versions/<version>")
def version_metadata(name: str, version: str) -> Response[str]:
    """Inputs and outputs of one version."""
    return respond(_metadata(registry().ready(model_name(name), version_id(name, version))))


@router.get("/v2/models/<name>/ready")
def model_ready(name: str) -> Response[str]:
    """Whether the model has a live version."""
    _classifier(registry().live(model_name(name)))
    return respond({"name": name, "ready": True})


@router.get("/v2/models/<name>/versions/<version>/ready")
def version_ready(name: str, version: str) -> Response[str]:
    """Whether the version is READY."""
    _classifier(registry().ready(model_name(name), version_id(name, version)))
    return respond({"name": name, "ready": True})


@router.post("/v2/models/<name>/infer")
def infer(name: str) -> Response[Any]:
    """Inference with the live version."""
    return _infer(model_name(name), None)


@router.post("/v2/models/<name>/versions/<version>/infer")
def infer_version(name: str, version: str) -> Response[Any]:
    """Inference with one version."""
    return _infer(model_name(name), version_id(name, version))


def _classifier(version: Version) -> LabelledManifest:
    """The version's manifest. Raises NotAClassifier for a backbone, which no route here serves."""
    if version.manifest is None:
        raise NoLiveVersion(version.model)
    if not isinstance(version.manifest, LabelledManifest):
        raise NotAClassifier(version.model)
    return version.manifest


def _metadata(version: Version) -> dict[str, Any]:
    manifest = _classifier(version)
    versions = registry().versions(version.model)
    return {
        "name": version.model,
        "versions": [each.id for each in versions if each.status is Status.READY],
        "platform": "facet",
        "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": SCORES, "datatype": "FP32", "shape": [-1, len(manifest.labels)]},
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
            *([FAMILIARITY_OUTPUT] if isinstance(manifest, HeadManifest) else []),
        ],
    }


def _infer(model: str, version: str | None) -> Response[Any]:
    event = router.current_event
    deadline = deadline_of(router.lambda_context)
    body = raw_body(event)
    bodies.check_size(body, settings().max_body)
    if encoding := event.headers.get("content-encoding"):
        raise BadRequest(
            f"Content-Encoding {shown(encoding)} is not supported; send the body as it is."
        )
    request, inputs = tensors.parse(body, event.headers.get("inference-header-content-length"))
    requested = _requested_outputs(request.outputs)
    predictions = predictor().predict(
        PredictionRequest(request_id(event), model, _images(inputs), deadline, version)
    )
    binary = request.parameters.binary_data_output
    if not requested:
        names = (SCORES, LABEL, *([FAMILIARITY] if predictions.familiarity is not None else []))
        requested = tuple(RequestedOutput(name=each) for each in names)
    outputs = [_output(each, predictions, binary) for each in requested]
    head = {"model_name": model, "model_version": predictions.version.id}
    if request.id is not None:
        head["id"] = request.id
    content, json_length = tensors.compose(head, outputs)
    if json_length is None:
        content += b"\n"
    check_size(content if json_length else content.decode())
    headers = prediction_headers(predictions)
    if json_length is None:
        return Response(200, "application/json", content.decode(), headers=headers)
    headers["Inference-Header-Content-Length"] = str(json_length)
    return Response(200, "application/octet-stream", content, headers=headers)


def _requested_outputs(outputs: tuple[RequestedOutput, ...]) -> tuple[RequestedOutput, ...]:
    """Returns the requested outputs; none stand for all that the model has.

    Raises BadRequest for an unknown one, and for one that is requested twice.
    """
    for name, count in Counter(output.name for output in outputs).items():
        if count > 1:
            raise BadRequest(f"The output '{name}' is requested {count} times; once is enough.")
    for output in outputs:
        if output.name not in (SCORES, LABEL, FAMILIARITY):
            raise BadRequest(
                f"There is no output '{output.name}'; the outputs are {SCORES} and {LABEL}, and of "
                f"a head {FAMILIARITY}."
            )
    return outputs


def _images(inputs: dict[str, TensorData]) -> list[Any]:
    """Returns the images of the only input. Raises BadRequest."""
    match inputs:
        case {"image": list() as files, **rest} if not rest:
            images: list[Any] = files
        case {"pixels": array, **rest} if not rest and _is_pixels(array):
            images = list(array)
        case _:
            raise BadRequest(f"Send one input: {IMAGE} (BYTES) or {PIXELS} (UINT8).")
    limit = settings().max_images
    if not 1 <= len(images) <= limit:
        raise BadRequest(f"The input has {len(images)} images; send 1 to {limit}.")
    return images


def _is_pixels(data: TensorData) -> bool:
    return not isinstance(data, list) and data.ndim > 0 and data.dtype == np.uint8


def _output(
    requested: RequestedOutput, predictions: Predictions, binary_by_default: bool
) -> OutputTensor:
    parameters = requested.parameters
    binary = binary_by_default if parameters.binary_data is None else parameters.binary_data
    rows = predictions.scores
    if requested.name == LABEL:
        labels = [predictions.labels[best_labels(row, 1)[0]] for row in rows]
        return OutputTensor(LABEL, [len(labels)], labels, binary)
    if requested.name == FAMILIARITY:
        familiarity = predictions.familiarity
        if familiarity is None:
            raise BadRequest(f"Only a head has the output '{FAMILIARITY}'.")
        return OutputTensor(FAMILIARITY, familiarity.shape, familiarity, binary)
    if not parameters.classification:
        return OutputTensor(SCORES, rows.shape, rows, binary)
    count = min(parameters.classification, rows.shape[1])
    texts = [
        f"{row[index]:.6f}:{index}:{predictions.labels[index]}"
        for row in rows
        for index in best_labels(row, count)
    ]
    return OutputTensor(SCORES, [len(rows), count], texts, binary)
