"""The container's HTTP routes, as SageMaker calls them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving import errors
from serving.guard.watchdog import Watchdog
from serving.invocations import Invocations, model_name
from serving.loads import Model
from serving.metrics import CONTENT_TYPE_LATEST, Metrics
from serving.models import Models
from serving.responses import error_response, falcon, json_response
from serving.workers import BLOCKED


def create_app(models: Models, metrics: Metrics, watchdog: Watchdog) -> ASGIApp:
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
            Route("/models/{name}", _describe),
            Route("/models/{name}/invoke", _invoke_without_model, methods=["POST"]),
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
    return Invocations(models, metrics, watchdog).before(app)


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
    model = _models(request).model(model_name(request.path_params["name"]))
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


async def _invoke_without_model(_: Request) -> Response:
    raise errors.BadRequest("Invocation request does not contain model name.")
