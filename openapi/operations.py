"""The routes of the API, except those of the Open Inference Protocol, which are in inference.py.

Tests compare the operations with the routes in template.yaml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from facet.keys import IMAGE_TYPES, VERSION_ID
from openapi import models

Body = type[BaseModel] | tuple[type[BaseModel], ...] | dict[str, Any]
"""A model, one of several models, or a schema without a model."""

Content = Mapping[str, Body]
"""The bodies of a request or response by media type."""

JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One method of one path. `problems` are names from the error table.

    `success` describes the response with `status`, `response` is its content.
    """

    method: str
    path: str
    id: str
    tag: str
    summary: str
    description: str
    success: str
    response: Content
    status: int = 200
    headers: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    request: Content = field(default_factory=dict)
    request_required: bool = True
    problems: tuple[str, ...] = ()
    needs_key: bool = True


def _file_schema(media_type: str) -> dict[str, Any]:
    """Has 3.1's `contentMediaType`, and 3.0's `format`, which client generators still read."""
    return {"type": "string", "format": "binary", "contentMediaType": media_type}


def files(*media_types: str) -> dict[str, Body]:
    """Returns the content of a body of a file, by its media types."""
    return {each: _file_schema(each) for each in media_types}


def binary() -> dict[str, Body]:
    """Returns the content of a body of arbitrary bytes."""
    return files("application/octet-stream")


IMAGE_CONTENT: Content = {
    **files(*IMAGE_TYPES, "application/octet-stream"),
    "multipart/form-data": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": _file_schema("application/octet-stream"),
            "top_k": {"type": "integer", "minimum": 1, "maximum": 1000},
            "version": {"type": "string", "pattern": f"^{VERSION_ID.pattern}$"},
            "explain": {"type": "boolean"},
        },
    },
    JSON: (models.OneImage, models.ManyImages, models.UploadedImage),
}

PREDICTION_PROBLEMS = (
    "bad-request",
    "unknown-model",
    "unknown-version",
    "no-live-version",
    "not-a-classifier",
    "backbone-missing",
    "body-too-large",
    "unsupported-image",
    "broken-image",
    "throttled",
    "internal-error",
    "model-failed",
    "model-loading",
    "out-of-time",
    "too-large-for-function",
    "unavailable",
    "function-unavailable",
    "litert-missing",
    "head-unavailable",
    "no-endpoint",
)

OPERATIONS = (
    Operation(
        "POST",
        "/models/{model}/predict",
        "predict",
        "predictions",
        "Classify images",
        "Returns the labels with the highest scores for one or more images.\n\n"
        "Send the image file as the body, with any content type except JSON or form data; as the "
        "only file of a `multipart/form-data` form; or as JSON: `image` or `images` in base64 "
        "(line breaks, a `data:` prefix, missing padding and the URL alphabet are accepted), or "
        "the `s3` of an upload. Supported formats are JPEG, PNG, WebP, BMP and GIF (the first "
        "frame). The model classifies `images` as one batch; an image that fails has an `error` in "
        "its place in `results`, and the others are answered.\n\n"
        "By default, a body may have up to 4.5 MB, an image up to 50 million pixels, and a batch "
        "up to 32 images. Use `POST /uploads` for larger images.",
        "Returns `predictions` for a single image, or `results` for `images`.",
        {JSON: (models.Predictions, models.Results)},
        headers=("X-Model-Version", "X-Facet-Ran-In", "Server-Timing"),
        parameters=("model", "top_k", "version", "explain"),
        request=IMAGE_CONTENT,
        problems=(*PREDICTION_PROBLEMS, "unknown-upload", "not-explainable", "explanation-failed"),
    ),
    Operation(
        "POST",
        "/uploads",
        "offerUpload",
        "predictions",
        "Create an upload",
        "Returns a presigned form for an image that is too large for a request's body.\n\n"
        "Send all of `fields` to `url` as a form, with the image as the last field, `file`. Then "
        'request a prediction with the body `{"s3": "…"}`. Uploads are deleted after one day.',
        "Returns the form for the upload.",
        {JSON: models.Upload},
        status=201,
        request={JSON: models.UploadRequest},
        request_required=False,
        problems=("bad-request", "internal-error"),
    ),
    Operation(
        "GET",
        "/models",
        "listModels",
        "models",
        "List models",
        "Returns the models, ordered by name, one page at a time.",
        "Returns a page of models.",
        {JSON: models.ModelList},
        headers=("ETag",),
        parameters=("limit", "after", "contains"),
        problems=("bad-request", "internal-error"),
    ),
    Operation(
        "GET",
        "/models/{model}",
        "showModel",
        "models",
        "Retrieve a model",
        "Returns the labels and input of the model's live version, and its versions with their "
        "status, proof, places, metrics and violations, one page of up to 100 versions and about "
        "1 MB at a time.",
        "Returns the model.",
        {JSON: models.ModelDescription},
        headers=("ETag",),
        parameters=("model", "next_token"),
        problems=("bad-request", "unknown-model", "internal-error"),
    ),
    Operation(
        "GET",
        "/models/{model}/golden",
        "showGolden",
        "models",
        "Retrieve a golden image",
        "Returns the image of the golden sample with which the live version, or `version`, was "
        "proven: an example that fits the model. Images over 4 MB are not kept.",
        "Returns the image.",
        files(*IMAGE_TYPES),
        headers=("ETag", "X-Model-Version"),
        parameters=("model", "version"),
        problems=(
            "bad-request",
            "unknown-model",
            "unknown-version",
            "no-golden-image",
            "no-live-version",
            "internal-error",
            "no-endpoint",
        ),
    ),
    Operation(
        "DELETE",
        "/models/{model}",
        "deleteModel",
        "models",
        "Delete a model",
        "Deletes a model for good, with its versions, artifacts, reports, and the uploads that "
        "wait. A new upload makes a model of this name again. Repeat the request if it is "
        "interrupted.\n\n"
        "Only API keys in the stack's parameter `DeleteKeys` may do this.",
        "Returns what was deleted, or with `dry_run` what would be.",
        {JSON: models.Deleted},
        parameters=("model", "dry_run"),
        problems=(
            "bad-request",
            "not-allowed",
            "unknown-model",
            "backbone-in-use",
            "internal-error",
        ),
    ),
    Operation(
        "GET",
        "/health",
        "health",
        "service",
        "Check the API's health",
        "Returns 200 while the API is running, and 503 if the endpoint lately answered for none of "
        "several models.",
        "The API is running.",
        {JSON: models.Health},
        problems=("unavailable", "internal-error"),
        needs_key=False,
    ),
    Operation(
        "GET",
        "/",
        "page",
        "service",
        "Open the web page",
        "Returns the page for classifying images in a browser.",
        "Returns the page.",
        {"text/html": {"type": "string"}},
        headers=("ETag",),
        needs_key=False,
    ),
    Operation(
        "GET",
        "/docs",
        "docs",
        "service",
        "Open this documentation",
        "Returns the interactive API reference.",
        "Returns the page.",
        {"text/html": {"type": "string"}},
        headers=("ETag",),
        needs_key=False,
    ),
    Operation(
        "GET",
        "/openapi.json",
        "openapi",
        "service",
        "Retrieve this OpenAPI document",
        "Returns the API's OpenAPI 3.1 document, for example for client generators.",
        "Returns the document.",
        {JSON: {"type": "object"}},
        headers=("ETag",),
        needs_key=False,
    ),
    Operation(
        "GET",
        "/page/{file}",
        "file",
        "service",
        "Retrieve a file of the web pages",
        "Returns a script, style sheet or image.",
        "Returns the file.",
        {
            "text/javascript": {"type": "string"},
            "text/css": {"type": "string"},
            **files("image/jpeg", "image/png", "image/svg+xml"),
        },
        headers=("ETag",),
        parameters=("file",),
        problems=("no-route",),
        needs_key=False,
    ),
)
