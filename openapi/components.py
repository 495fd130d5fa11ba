"""The info, tags, parameters and headers of the OpenAPI document."""

from typing import Any

from facet.keys import MODEL_NAME, NAME_PART, VERSION_ID
from facet.registry.models import Place
from predict.app import DEFAULT_TOP_K, MAX_PAGE, MAX_TOP_K

VERSION = "1.0.0"
"""The version of the API, not of Facet; the name of a stage is independent of it."""

INFO = {
    "title": "Facet",
    "summary": "Image classification with thousands of models",
    "description": (
        "Send an image to a model and get labels with scores.\n\n"
        "**Authentication.** Send an API key in the header `x-api-key`. The page, this "
        "documentation and the health checks need no key.\n\n"
        "**Errors.** Errors are problem documents (RFC 9457). `type` is stable, `detail` says what "
        "to do, and `request_id` also appears in the logs. Errors that API Gateway returns before "
        "a request reaches Facet, such as an invalid key, have only a `message`."
    ),
    "version": VERSION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS = {
    "predictions": "Classify images.",
    "models": "List models and their versions.",
    "teaching": "Collect images with labels, and teach models with them.",
    "inference": "The Open Inference Protocol, version 2.",
    "service": "The health check, the web page and this documentation. No key is needed.",
}


def _parameter(name: str, place: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    }


def _required(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return _parameter(name, "query", description, type="string", **schema) | {"required": True}


NAME_SCHEMA = {"type": "string", "pattern": f"^{MODEL_NAME.pattern}$"}
VERSION_SCHEMA = {"type": "string", "pattern": f"^{VERSION_ID.pattern}$"}
PARAMETERS = {
    "model": _parameter("model", "path", "The model's name.", **NAME_SCHEMA, examples=["cifar"]),
    "version_id": _parameter(
        "version", "path", "The version's id. The version must be READY.", **VERSION_SCHEMA
    ),
    "file": _parameter(
        "file", "path", "The file's path in the page's folder.", type="string", examples=["main.js"]
    ),
    "dataset": _parameter(
        "name", "path", "The data set's name.", **NAME_SCHEMA, examples=["my-cats"]
    ),
    "label": _required("label", "The label.", examples=["cat"]),
    "image_name": _required("name", "The image's name.", examples=["1.jpg"]),
    "after_image": _parameter(
        "after",
        "query",
        "A cursor for pagination: the value of `next` in the previous page.",
        type="string",
    ),
    "limit": _parameter(
        "limit",
        "query",
        "The maximum number of models to return.",
        type="integer",
        minimum=1,
        maximum=MAX_PAGE,
        default=MAX_PAGE,
    ),
    "after": _parameter(
        "after",
        "query",
        "A cursor for pagination: the value of `next` in the previous page.",
        **NAME_SCHEMA,
    ),
    "contains": _parameter(
        "contains",
        "query",
        "Lists only models whose name contains this text. A page may then have fewer models than "
        "`limit`; the search continues while `next` is not null.",
        type="string",
        pattern=f"^{NAME_PART.pattern}$",
        examples=["walk-"],
    ),
    "next_token": _parameter(
        "next_token",
        "query",
        "A cursor for pagination: the value of `next_token` in the previous page.",
        **VERSION_SCHEMA,
    ),
    "dry_run": _parameter(
        "dry_run",
        "query",
        "`true` deletes nothing.",
        type="boolean",
        default=False,
    ),
    "explain": _parameter(
        "explain",
        "query",
        "`true` adds to the answer of a head which part of the image speaks for its first label. "
        "For one image at a time.",
        type="boolean",
        default=False,
    ),
    "top_k": _parameter(
        "top_k",
        "query",
        "The number of labels to return, the best first.",
        type="integer",
        minimum=1,
        maximum=MAX_TOP_K,
        default=DEFAULT_TOP_K,
    ),
    "version": _parameter(
        "version",
        "query",
        "The version to use. It must be READY. By default, the live version answers, or the "
        "candidate during a canary.",
        **VERSION_SCHEMA,
    ),
}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


HEADERS = {
    "ETag": _header(
        "An identifier of this state of the resource, for `If-None-Match`.", type="string"
    ),
    "Retry-After": _header(
        "The number of seconds to wait before retrying.", type="integer", minimum=1
    ),
    "Server-Timing": _header(
        "The duration of each step in milliseconds.",
        type="string",
        examples=[
            "registry;dur=2.10, decode;dur=3.40, preprocess;dur=0.80, "
            'invoke;dur=21.00;desc="endpoint"'
        ],
    ),
    "X-Facet-Ran-In": _header(
        "The place where the version ran. Absent if no image could be read.",
        type="string",
        enum=[each.value for each in Place],
    ),
    "X-Model-Version": _header("The version that answered.", **VERSION_SCHEMA),
}
