"""The container's HTTP routes, as SageMaker calls them, and the status of each error."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving import errors
from serving.guard.watchdog import Watchdog
from serving.loads import Model
from serving.metrics import CONTENT_TYPE_LATEST, Metrics
from serving.models import Models
from serving.rest import request as rest
from serving.workers import BLOCKED

log = logging.getLogger(__name__)

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

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
# As in AWS's image, JSON lines and CSV are accepted but parsed as JSON.
CONTENT_TYPES = {"application/json", "application/jsonlines", "application/jsons", "text/csv"}
ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")
REQUEST = re.compile(r"\bfacet-request=([A-Za-z0-9-]{1,64})")
"""The caller's id of a request, among the custom attributes."""
METHODS = {"predict", "classify", "regress"}


def create_app(models: Models, metrics: Metrics, watchdog: Watchdog) -> Starlette:
    """The container's app. While it runs the watchdog watches; it closes the models at the end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(watchdog.watch(models))
        yield
        watching.cancel()
        await models.close()

    app = Starlette(
        routes=[
            Route("/ping", _ping),
            Route("/metrics", _metrics),
            Route("/models", _list),
            Route("/models", _load, methods=["POST"]),
            Route("/models/{name}", _describe),
            Route("/models/{name}", _unload, methods=["DELETE"]),
            Route("/models/{name}/invoke", _invoke, methods=["POST"]),
            Route("/invocations", _invoke_without_model, methods=["POST"]),
        ],
        exception_handlers={
            errors.ServingError: _expected_error,
            HTTPException: _no_route,
            Exception: _unexpected_error,
        },
        lifespan=lifespan,
    )
    app.state.models = models
    app.state.metrics = metrics
    app.state.watchdog = watchdog
    return app


def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


def _json(
    content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


async def _expected_error(request: Request, error: Exception) -> Response:
    request.app.state.metrics.add_error(type(error).__name__)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, OF_FRAMEWORK):
        return _json(_falcon(status, str(error)), status)
    return _json({"error": str(error)}, status)


async def _no_route(request: Request, error: Exception) -> Response:
    """An unknown path or method. Below /models AWS's framework answers; elsewhere its nginx."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if not request.url.path.startswith(("/models", "/ping", "/invocations")):
        return _json({"error": status.phrase}, status)
    return _json(_falcon(status), status, error.headers)


def _falcon(status: HTTPStatus, reason: str = "") -> dict[str, str]:
    """An error as falcon writes it, which AWS's image uses; `error` is ours, for all errors.

    Its description is TensorFlow Serving's response.
    """
    title = f"{status.value} {status.phrase}"
    if not reason:
        return {"title": title, "error": title}
    return {"title": title, "description": json.dumps({"error": reason}), "error": reason}


async def _unexpected_error(request: Request, error: Exception) -> Response:
    request.app.state.metrics.add_error(type(error).__name__)
    return _json({"error": f"{type(error).__name__}: {error}"}, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _ping(request: Request) -> Response:
    request.app.state.watchdog.check()
    if _models(request).blocked:
        raise errors.Blocked(
            f"Requests wait, and for {BLOCKED:g} seconds no computation has ended."
        )
    return Response(status_code=HTTPStatus.OK)


async def _metrics(request: Request) -> Response:
    metrics: Metrics = request.app.state.metrics
    return Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _list(request: Request) -> Response:
    return _json({model.name: _status(model) for model in _models(request).loaded()})


async def _describe(request: Request) -> Response:
    model = _models(request).model(_model_name(request.path_params["name"]))
    details = {
        "target_model": model.target,
        "runtimes": {str(number): runtime.kind for number, runtime in model.runtimes.items()},
        "resident_bytes": model.reservation.size,
    }
    return _json({"model": _status(model) | details})


def _status(model: Model) -> dict[str, Any]:
    """The answer of TensorFlow Serving's `GET /v1/models/{name}`."""
    return {
        "model_version_status": [
            {
                "version": str(number),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
            for number in sorted(model.runtimes, reverse=True)
        ]
    }


async def _load(request: Request) -> Response:
    try:
        document = orjson.loads(await request.body())
        name, url = document["model_name"], document["url"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise errors.MalformedLoad(
            f"The body of a load request must be JSON with model_name and url: {error}"
        ) from error
    request.app.state.watchdog.check()
    target = request.headers.get("x-amzn-sagemaker-target-model") or str(name)
    model = await _models(request).load(_model_name(name), Path(str(url)), target)
    versions = " and ".join(
        f"version {number} on {runtime.kind}" for number, runtime in model.runtimes.items()
    )
    return _json({"success": f"Successfully loaded model {name}, {versions}."})


async def _unload(request: Request) -> Response:
    name = _model_name(request.path_params["name"])
    await _models(request).unload(name)
    return _json({"success": f"Successfully unloaded model {name}."})


async def _invoke(request: Request) -> Response:
    name: str = request.path_params["name"]
    models = _models(request)
    request.app.state.watchdog.check()
    models.model(name)
    attributes = request.headers.get("x-amzn-sagemaker-custom-attributes", "")
    version, method = _version_and_method(attributes)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type and content_type not in CONTENT_TYPES:
        raise errors.UnsupportedContent(
            f"Unsupported Media Type: {content_type}; send application/json"
        )
    request_id = match[1] if (match := REQUEST.search(attributes)) else "-"
    call = rest.Request(await request.body(), method)
    answer = await models.predict(name, version, call, request_id)
    return Response(answer, media_type="application/json")


async def _invoke_without_model(_: Request) -> Response:
    raise errors.BadRequest("Invocation request does not contain model name.")


def _model_name(name: object) -> str:
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        raise errors.BadRequest(
            f"invalid model_name: {name!r}; use letters, digits, dots, dashes and underscores, "
            "starting with a letter or digit, up to 255 characters"
        )
    return name


def _version_and_method(header: str) -> tuple[int | None, str]:
    """The model version, if any, and the method in the custom attributes. Raises BadRequest."""
    attributes = dict(ATTRIBUTE.findall(header))
    version = attributes.get("tfs-model-version")
    method = attributes.get("tfs-method", rest.PREDICT)
    if version is not None and not (version.isascii() and version.isdigit()):
        raise errors.BadRequest("invalid tfs-model-version: must be a positive integer")
    if method not in METHODS:
        raise errors.BadRequest("invalid tfs-method: must be one of predict|classify|regress")
    return None if version is None else int(version), method
