"""Responses in JSON, and the status of each error."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from serving import errors

STATUS: dict[type[errors.ServingError], HTTPStatus] = {
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.BadInput: HTTPStatus.BAD_REQUEST,
    errors.NotLoaded: HTTPStatus.NOT_FOUND,
    errors.NoSuchVersion: HTTPStatus.NOT_FOUND,
    errors.NoBasePath: HTTPStatus.NOT_FOUND,
    errors.LoadTimedOut: HTTPStatus.REQUEST_TIMEOUT,
    errors.AlreadyLoaded: HTTPStatus.CONFLICT,
    errors.UnsupportedContent: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.MalformedLoad: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.LoadFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelRefused: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Overran: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Replacing: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Blocked: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NoRoom: HTTPStatus.INSUFFICIENT_STORAGE,
}

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
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, OF_FRAMEWORK):
        return json_response(falcon(status, str(error)), status)
    return json_response({"error": str(error)}, status)


def falcon(status: HTTPStatus, reason: str = "") -> dict[str, str]:
    """An error as falcon writes it, which AWS's image uses; `error` is ours, for all errors.

    Its description is TensorFlow Serving's response.
    """
    title = f"{status.value} {status.phrase}"
    if not reason:
        return {"title": title, "error": title}
    return {"title": title, "description": json.dumps({"error": reason}), "error": reason}
