"""InvokeEndpoint over HTTP, with the answers of SageMaker's runtime."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.endpoint.container import Answer, Container
from local.endpoint.downloads import Downloads
from local.endpoint.errors import (
    ACCOUNT,
    AccessDenied,
    BodyTooLarge,
    ModelError,
    PlatformError,
    ValidationError,
)
from local.endpoint.metrics import Metrics
from local.endpoint.model_cache import TARGET_HEADER, ModelCache

BODY_LIMIT = 6_291_456  # bytes; botocore's model of InvokeEndpoint
LONGEST_TARGET = 1024
ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
PASSED_ON = ("Accept", "Content-Type", ATTRIBUTES_HEADER)
PASSED_BACK = ("Content-Type", ATTRIBUTES_HEADER)
VARIANT_HEADER = "X-Amzn-SageMaker-Target-Variant"
VARIANT = "AllTraffic"


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint."""

    container: Container
    downloads: Downloads
    models: ModelCache
    metrics: Metrics

    async def close(self) -> None:
        """Stop the container, then close the connections to S3."""
        await self.container.stop()
        await self.downloads.close()


def create_app(
    endpoints: Mapping[str, Endpoint],
    region: str,
    exists: Callable[[str], bool],
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
) -> Starlette:
    """`POST /endpoints/{name}/invocations`, and `GET /metrics` of all endpoints as JSON.

    Of `endpoints` those answer for which `exists` is true at the moment.
    """

    async def invoke(request: Request) -> Response:
        started = time.perf_counter()
        name = request.path_params["name"]
        endpoint = endpoints.get(name)
        if endpoint is None or not exists(name):
            raise ValidationError(f"Endpoint {name} of account {ACCOUNT} not found.")
        try:
            answer = await _invoke(endpoint.models, request)
        except PlatformError as error:
            status = error.original_status if isinstance(error, ModelError) else None
            endpoint.metrics.add_invocation(model_error=status)
            raise
        endpoint.metrics.add_invocation(model_error=None)
        endpoint.metrics.add_latency(started, answer.seconds)
        headers = {key: answer.headers[key] for key in PASSED_BACK if key in answer.headers}
        headers["x-Amzn-Invoked-Production-Variant"] = VARIANT
        return Response(answer.body, headers=headers)

    async def metrics(_: Request) -> Response:
        return _json(
            {
                name: {
                    **endpoint.metrics.snapshot(),
                    "LoadedModelCount": len(endpoint.models.loaded),
                }
                for name, endpoint in endpoints.items()
            }
        )

    async def error_response(request: Request, error: Exception) -> Response:
        if not isinstance(error, PlatformError):
            error = PlatformError(f"{type(error).__name__}: {error}")
        if isinstance(error, ModelError):
            content = error.described(request.path_params["name"], region)
        else:
            content = error.content()
        headers = {} if isinstance(error, BodyTooLarge) else {"x-amzn-ErrorType": error.code}
        return _json(content, error.status, headers)

    return Starlette(
        routes=[
            Route("/endpoints/{name}/invocations", invoke, methods=["POST"]),
            Route("/metrics", metrics),
        ],
        exception_handlers={PlatformError: error_response, Exception: error_response},
        lifespan=lifespan,
    )


async def _invoke(models: ModelCache, request: Request) -> Answer:
    """Check the headers and invoke the target model. Raises PlatformError."""
    if "origin" in request.headers:
        raise AccessDenied("Pages in a browser may not call the local endpoint.")
    name = request.path_params["name"]
    target = request.headers.get(TARGET_HEADER, "")
    if not target or len(target) > LONGEST_TARGET:
        raise ValidationError(
            f"Endpoint {name} is a multi-model endpoint and requires target model header "
            f"of 1 to {LONGEST_TARGET} characters."
        )
    if (variant := request.headers.get(VARIANT_HEADER, VARIANT)) != VARIANT:
        raise ValidationError(f"Variant {variant} not found for endpoint {name}.")
    headers = {key: request.headers[key] for key in PASSED_ON if key in request.headers}
    return await models.invoke(target, headers, await _body(request))


async def _body(request: Request) -> bytes:
    """The request's body. Raises BodyTooLarge as soon as it exceeds the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise BodyTooLarge(f"HTTP content length exceeded {BODY_LIMIT} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
