"""What operations of the OpenAPI document share: its head, parameters, headers, examples."""

from typing import Any

from facet import errors
from facet.errors import FacetError, Violation
from facet.keys import MODEL_NAME, VERSION_ID
from predict.app import DEFAULT_TOP_K, MAX_PAGE, MAX_TOP_K

VERSION = "1.0.0"
"""Of the API; not of Facet, nor of what a stage is called."""

INFO = {
    "title": "Facet",
    "summary": "Labels for images, by thousands of image classifiers",
    "description": (
        "Post an image to a model, and get its labels. All but the page, this documentation and "
        "the health routes need an API key in the header `x-api-key`.\n\n"
        "Errors are problem documents (RFC 9457): `type` is stable, `detail` says what to do, and "
        "the logs have the `request_id`, too. What API Gateway refuses by itself, such as a wrong "
        "key, is a plain `message`."
    ),
    "version": VERSION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS = {
    "predictions": "Ask a model about images.",
    "models": "Which models and versions there are, and how they stand.",
    "inference": "The Open Inference Protocol, version 2, for its clients.",
    "service": "Whether the API is up; the page, and this documentation. No key is needed.",
}


def _parameter(name: str, place: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    }


NAME = {"type": "string", "pattern": f"^{MODEL_NAME.pattern}$"}
VERSION_NAME = {"type": "string", "pattern": f"^{VERSION_ID.pattern}$"}
PARAMETERS = {
    "model": _parameter("model", "path", "A model's name.", **NAME, examples=["cifar"]),
    "version_id": _parameter("version", "path", "A READY version.", **VERSION_NAME),
    "file": _parameter("file", "path", "A file's name.", type="string", examples=["main.js"]),
    "limit": _parameter(
        "limit",
        "query",
        "Names a page.",
        type="integer",
        minimum=1,
        maximum=MAX_PAGE,
        default=MAX_PAGE,
    ),
    "after": _parameter("after", "query", "Begin after this name: the `next` before.", **NAME),
    "top_k": _parameter(
        "top_k",
        "query",
        "How many labels.",
        type="integer",
        minimum=1,
        maximum=MAX_TOP_K,
        default=DEFAULT_TOP_K,
    ),
    "version": _parameter(
        "version",
        "query",
        "Another version than the live one (or a canary's candidate); it must be READY.",
        **VERSION_NAME,
    ),
}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


HEADERS = {
    "ETag": _header("Names this state of the answer, for `If-None-Match`.", type="string"),
    "Retry-After": _header("Seconds after which to try again.", type="integer", minimum=1),
    "Server-Timing": _header(
        "Milliseconds of each step.",
        type="string",
        examples=["registry;dur=2.10, decode;dur=3.40, preprocess;dur=0.80, invoke;dur=21.00"],
    ),
    "X-Model-Version": _header("The version that answered.", **VERSION_NAME),
}

_VIOLATION = Violation(
    code="no-manifest",
    place="facet.json",
    problem="The artifact has no facet.json.",
    remedy="Make one with `facet pack`, or add one as the first member.",
)
AGAIN = "Try again shortly."
EXAMPLES: dict[str, FacetError] = {
    "bad-request": errors.BadRequest("version must be 12 hex digits, not 'latest'."),
    "unknown-model": errors.UnknownModel("cifra"),
    "unknown-version": errors.UnknownVersion("cifar", "0d1e2f3a4b5c"),
    "unknown-upload": errors.UnknownUpload("inbox/7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"),
    "no-route": FacetError("See GET /models."),
    "no-live-version": errors.NoLiveVersion("cifar", [_VIOLATION]),
    "body-too-large": errors.BodyTooLarge(
        "The body has 6,000,000 bytes; at most 4,500,000 are taken. "
        "Send a smaller copy of the image."
    ),
    "unsupported-image": errors.UnsupportedImage("The bytes are no JPEG, PNG, WebP, BMP or GIF."),
    "broken-image": errors.BrokenImage("The image is cut short. Send it again."),
    "throttled": errors.EndpointThrottled(f"The endpoint has too much to do. {AGAIN}"),
    "internal-error": FacetError(
        "Try again; if it stays, give the request id to whoever runs this API."
    ),
    "model-failed": errors.ModelFailed(""),
    "model-loading": errors.ModelLoading(f"The model is being loaded. {AGAIN}"),
    "out-of-time": errors.OutOfTime("Send fewer images at once, or smaller ones."),
    "unavailable": errors.EndpointUnavailable(
        f"The endpoint cannot be reached at the moment. {AGAIN}"
    ),
    "no-endpoint": errors.EndpointRemoved(
        "There is no endpoint at the moment: it is away out of hours, or being made. "
        "Try again later."
    ),
}
"""An error for each problem that an operation names; its message is the example's detail."""
