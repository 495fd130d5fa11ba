"""Responses in JSON, and the status of each error."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from serving import errors
from serving.statuses import status

OF_FRAMEWORK = (errors.BadInput, errors.NoSuchVersion, errors.InferenceFailed, errors.MalformedLoad)
"""Errors to which the framework of AWS's image gives a form: TensorFlow Serving's, and its own."""


def json_response(
    content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with content for orjson."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def error_response(error: Exception) -> Response:
    """The response to an expected error, or a 500 with the name of any other."""
    if not isinstance(error, errors.ServingError):
        text = f"{type(error).__name__}: {error}"
        return json_response({"error": text}, HTTPStatus.INTERNAL_SERVER_ERROR)
    found = status(error)
    if isinstance(error, OF_FRAMEWORK):
        return json_response(falcon(found, str(error)), found)
    return json_response({"error": str(error)}, found)


def falcon(status: HTTPStatus, reason: str = "") -> dict[str, str]:
    """An error as falcon writes it, which AWS's image uses; `error` is ours, for all errors.

    Its description is TensorFlow Serving's response.
    """
    title = f"{status.value} {status.phrase}"
    if not reason:
        return {"title": title, "error": title}
    return {"title": title, "description": json.dumps({"error": reason}), "error": reason}
