"""The container's HTTP routes, as SageMaker calls them."""

import asyncio
import re
from collections.abc import AsyncIterator
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
from starlette.types import ASGIApp

from serving import errors
from serving.guard.watchdog import Watchdog
from serving.invocations import Invocations
from serving.loads import Model
from serving.metrics import CONTENT_TYPE_LATEST, Metrics
from serving.models import Models
from serving.responses import error_response, falcon, json_response
from serving.workers import BLOCKED

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def create_app(models: Models, metrics: Metrics, watchdog: Watchdog) -> ASGIApp:
    """The container's app. While it runs the watchdog watches; it closes the models at the end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(watchdog.watch(models))
        yield
        watching.cancel()
        await models.close()

    invocations = Invocations(models, metrics, watchdog)
    app = Starlette(
        routes=[
            Route("/ping", _ping),
            Route("/metrics", _metrics),
            Route("/models", _list),
            Route("/models", _load, methods=["POST"]),
            Route("/models/{name}", _describe),
            Route("/models/{name}", _unload, methods=["DELETE"]),
            Route("/models/{name}/invoke", invocations, methods=["POST"]),
            Route("/invocations", _invoke_without_model, methods=["POST"]),
        ],
        exception_handlers={
            errors.ServingError: _error,
            HTTPException: _no_route,
            Exception: _error,
        },
        lifespan=lifespan,
    )
    app.state.models = models
    app.state.metrics = metrics
    app.state.watchdog = watchdog
    return invocations.before(app)


def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


async def _error(request: Request, error: Exception) -> Response:
    request.app.state.metrics.add_error(type(error).__name__)
    return error_response(error)


async def _no_route(request: Request, error: Exception) -> Response:
    """An unknown path or method. Below /models AWS's framework answers; elsewhere its nginx."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if not request.url.path.startswith(("/models", "/ping", "/invocations")):
        return json_response({"error": status.phrase}, status)
    return json_response(falcon(status), status, error.headers)


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
    return json_response({model.name: _status(model) for model in _models(request).loaded()})


async def _describe(request: Request) -> Response:
    model = _models(request).model(_model_name(request.path_params["name"]))
    details = {
        "target_model": model.target,
        "runtimes": {str(number): runtime.kind for number, runtime in model.runtimes.items()},
        "resident_bytes": model.reservation.size,
        "mapped_bytes": model.mapped,
    }
    return json_response({"model": _status(model) | details})


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
    return json_response({"success": f"Successfully loaded model {name}, {versions}."})


async def _unload(request: Request) -> Response:
    name = _model_name(request.path_params["name"])
    await _models(request).unload(name)
    return json_response({"success": f"Successfully unloaded model {name}."})


async def _invoke_without_model(_: Request) -> Response:
    raise errors.BadRequest("Invocation request does not contain model name.")


def _model_name(name: object) -> str:
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        raise errors.BadRequest(
            f"invalid model_name: {name!r}; use letters, digits, dots, dashes and underscores, "
            "starting with a letter or digit, up to 255 characters"
        )
    return name
