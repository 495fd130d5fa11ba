"""The Open Inference Protocol, version 2: the routes below /v2, for clients of that protocol.

A model has the input `image` (BYTES, encoded images) or, in its place, `pixels` (UINT8, images
of the model's size); and the outputs `scores` (FP32, one for each label) and `label` (BYTES, the
best one). Errors are the API's problem documents with the protocol's member `error`.
"""

from typing import Any

import numpy as np
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from facet.errors import BadRequest, NoLiveVersion
from facet.registry.models import Status, Version
from facet.settings import settings
from predict.classifier import Predictions, best_labels
from predict.clients import predictor, registry
from predict.http import tensors
from predict.http.body import check_size
from predict.http.request import deadline_of, named, raw_body, request_id, versioned
from predict.http.responses import respond, timing
from predict.http.tensors import Answered, Elements, Output
from predict.predictor import PredictionRequest

ROOT = "/v2"
IMAGE, PIXELS = "image", "pixels"
SCORES, LABEL = "scores", "label"

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/v2")
def server() -> Response[str]:
    """What this server is."""
    extensions = ["binary_tensor_data", "classification"]
    return respond({"name": "facet", "version": "2", "extensions": extensions})


@router.get("/v2/health/live")
def live() -> Response[str]:
    """The server runs."""
    return respond({"live": True})


@router.get("/v2/health/ready")
def ready() -> Response[str]:
    """The server takes requests; models are loaded when they are asked for."""
    return respond({"ready": True})


@router.get("/v2/models/<name>")
def show(name: str) -> Response[str]:
    """Inputs and outputs of the live version."""
    return respond(_metadata(registry().live(named(name))))


@router.get("/v2/models/<name>/versions/<version>")
def show_version(name: str, version: str) -> Response[str]:
    """Inputs and outputs of one version."""
    return respond(_metadata(registry().ready(named(name), versioned(name, version))))


@router.get("/v2/models/<name>/ready")
def model_ready(name: str) -> Response[str]:
    """Whether the model has a live version."""
    return respond({"name": name, "ready": bool(registry().live(named(name)))})


@router.get("/v2/models/<name>/versions/<version>/ready")
def version_ready(name: str, version: str) -> Response[str]:
    """Whether the version can be asked."""
    found = registry().ready(named(name), versioned(name, version))
    return respond({"name": name, "ready": found.status is Status.READY})


@router.post("/v2/models/<name>/infer")
def infer(name: str) -> Response[Any]:
    """The live version's answer."""
    return _infer(named(name), None)


@router.post("/v2/models/<name>/versions/<version>/infer")
def infer_version(name: str, version: str) -> Response[Any]:
    """One version's answer."""
    return _infer(named(name), versioned(name, version))


def _metadata(version: Version) -> dict[str, Any]:
    if version.manifest is None:
        raise NoLiveVersion(version.model)
    names = registry().versions(version.model)
    labels = len(version.manifest.labels)
    return {
        "name": version.model,
        "versions": [each.id for each in names if each.status is Status.READY],
        "platform": "facet",
        "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": SCORES, "datatype": "FP32", "shape": [-1, labels]},
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
        ],
    }


def _infer(name: str, version: str | None) -> Response[Any]:
    event = router.current_event
    deadline = deadline_of(router.lambda_context)
    body = raw_body(event)
    check_size(body, settings().max_body)
    if encoding := event.headers.get("content-encoding"):
        raise BadRequest(f"Content-Encoding {encoding} is not taken: send the body as it is.")
    request, given = tensors.parse(body, event.headers.get("inference-header-content-length"))
    wanted = _wanted(request.outputs)
    images = _images(given)
    answer = predictor().predict(
        PredictionRequest(request_id(event), name, images, deadline, version)
    )
    binary = request.parameters.binary_data_output
    outputs = [_output(each, answer, binary) for each in wanted]
    head = {"model_name": name, "model_version": answer.version.id}
    if request.id is not None:
        head["id"] = request.id
    content, json_length = tensors.compose(head, outputs)
    headers = timing(answer)
    if json_length is None:
        return Response(200, "application/json", content.decode(), headers=headers)
    headers["Inference-Header-Content-Length"] = str(json_length)
    return Response(200, "application/octet-stream", content, headers=headers)


def _images(given: dict[str, Elements]) -> list[Any]:
    """The images of the one input. Raises BadRequest."""
    match given:
        case {"image": list() as images, **rest} if not rest:
            found: list[Any] = images
        case {"pixels": array, **rest} if not rest and _is_pixels(array):
            found = list(array)
        case _:
            raise BadRequest(f"Send one input: {IMAGE} (BYTES) or {PIXELS} (UINT8).")
    most = settings().max_images
    if not 1 <= len(found) <= most:
        raise BadRequest(f"The input has {len(found)} images; send 1 to {most}.")
    return found


def _is_pixels(given: Elements) -> bool:
    return not isinstance(given, list) and given.ndim > 0 and given.dtype == np.uint8


def _wanted(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    """The outputs asked for, all where none is. Raises BadRequest, before anything is predicted."""
    for each in outputs:
        if each.name not in (SCORES, LABEL):
            raise BadRequest(f"There is no output '{each.name}': {SCORES} and {LABEL} are there.")
    return outputs or (Output(name=SCORES), Output(name=LABEL))


def _output(wanted: Output, answer: Predictions, binary: bool) -> Answered:
    chosen = wanted.parameters.binary_data
    sent = binary if chosen is None else chosen
    rows = answer.scores
    if wanted.name == LABEL:
        labels = [ranked[0].label for ranked in answer.ranked(1)]
        return Answered(LABEL, [len(labels)], labels, sent)
    if not wanted.parameters.classification:
        return Answered(SCORES, rows.shape, rows, sent)
    count = min(wanted.parameters.classification, rows.shape[1])
    texts = [
        f"{row[at]:.6f}:{at}:{answer.labels[at]}" for row in rows for at in best_labels(row, count)
    ]
    return Answered(SCORES, [len(rows), count], texts, sent)
