"""Every route of the API, as the OpenAPI document describes it. Tests hold template.yaml to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from facet.keys import IMAGE_TYPES
from openapi import bodies

Body = type[BaseModel] | tuple[type[BaseModel], ...] | dict[str, Any]
Bodies = Mapping[str, Body]
"""By media type: a model, one of several models, or a schema that is no model's."""

JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One method of one path. `problems` are names of the error table; `answer` tells the good."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    description: str
    answer: str
    content: Bodies
    status: int = 200
    headers: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    body: Bodies = field(default_factory=dict)
    body_required: bool = True
    problems: tuple[str, ...] = ()
    keyed: bool = True


def _bytes(kind: str) -> dict[str, Any]:
    """Generators of clients go by `format`, as OpenAPI 3.0 had it, 3.1 by `contentMediaType`."""
    return {"type": "string", "format": "binary", "contentMediaType": kind}


def _binary(*kinds: str) -> dict[str, Body]:
    return {kind: _bytes(kind) for kind in kinds}


def octets() -> dict[str, Body]:
    """Bytes of no kind that has a name."""
    return _binary("application/octet-stream")


IMAGE_BODIES: Bodies = {
    **_binary(*IMAGE_TYPES, "application/octet-stream"),
    "multipart/form-data": {
        "type": "object",
        "required": ["image"],
        "properties": {"image": _bytes("application/octet-stream")},
    },
    JSON: (bodies.OneImage, bodies.ManyImages, bodies.UploadedImage),
}

ANSWERING = (
    "bad-request",
    "unknown-model",
    "unknown-version",
    "no-live-version",
    "body-too-large",
    "unsupported-image",
    "broken-image",
    "throttled",
    "internal-error",
    "model-failed",
    "model-loading",
    "out-of-time",
    "unavailable",
    "no-endpoint",
)
"""The problems of every prediction."""

OPERATIONS = (
    Operation(
        "POST",
        "/models/{model}/predict",
        "predict",
        "predictions",
        "Ask a model about images",
        "The body is the image itself (any content type but the other two will do), a form with "
        "one file, or JSON: one or several images in base64, or an upload. JPEG, PNG, WebP, BMP "
        "and GIF (its first frame) are taken. Several images reach the model as one batch.\n\n"
        "Unless this API is set up otherwise, a body has up to 4.5 MB (`POST /uploads` helps with "
        "larger images), an image 50 million pixels, a batch 32 images.",
        "Labels, the best first: `predictions` of one image, `results` of `images`",
        {JSON: (bodies.Predictions, bodies.Results)},
        headers=("X-Model-Version", "Server-Timing"),
        parameters=("model", "top_k", "version"),
        body=IMAGE_BODIES,
        problems=(*ANSWERING, "unknown-upload"),
    ),
    Operation(
        "POST",
        "/uploads",
        "offerUpload",
        "predictions",
        "Get a place for a large image",
        "For an image that is too large for a request's body. Send it as a form to `url`: all of "
        "`fields`, and last the file as `file`. Then ask for a prediction with the JSON "
        '`{"s3": "…"}`. The upload is kept for a day.',
        "Where to send the image",
        {JSON: bodies.Upload},
        status=201,
        body={JSON: bodies.UploadRequest},
        body_required=False,
        problems=("bad-request", "internal-error"),
    ),
    Operation(
        "GET",
        "/models",
        "listModels",
        "models",
        "List the models",
        "By name, a page at a time.",
        "One page",
        {JSON: bodies.ModelList},
        headers=("ETag",),
        parameters=("limit", "after"),
        problems=("bad-request", "internal-error"),
    ),
    Operation(
        "GET",
        "/models/{model}",
        "showModel",
        "models",
        "Describe a model",
        "Labels and input of its live version, and every version with its status, proof, metrics "
        "and violations.",
        "The model",
        {JSON: bodies.ModelDescription},
        headers=("ETag",),
        parameters=("model",),
        problems=("unknown-model", "internal-error"),
    ),
    Operation(
        "GET",
        "/health",
        "health",
        "service",
        "Is the API up?",
        "Says nothing about any model.",
        "It is",
        {JSON: bodies.Health},
        problems=("internal-error",),
        keyed=False,
    ),
    Operation(
        "GET",
        "/",
        "page",
        "service",
        "The page",
        "Ask models in a browser.",
        "The page",
        {"text/html": {"type": "string"}},
        headers=("ETag",),
        keyed=False,
    ),
    Operation(
        "GET",
        "/docs",
        "docs",
        "service",
        "This documentation",
        "For reading, and for trying it out.",
        "A page",
        {"text/html": {"type": "string"}},
        headers=("ETag",),
        keyed=False,
    ),
    Operation(
        "GET",
        "/openapi.json",
        "openapi",
        "service",
        "This OpenAPI document",
        "OpenAPI 3.1.",
        "The document",
        {JSON: {"type": "object"}},
        headers=("ETag",),
        keyed=False,
    ),
    Operation(
        "GET",
        "/page/{file}",
        "file",
        "service",
        "A file of the pages",
        "Scripts, styles and images.",
        "The file",
        {
            "text/javascript": {"type": "string"},
            "text/css": {"type": "string"},
            **_binary("image/jpeg", "image/png", "image/svg+xml"),
        },
        headers=("ETag",),
        parameters=("file",),
        problems=("no-route",),
        keyed=False,
    ),
)
