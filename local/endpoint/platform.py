"""A stand-in for SageMaker's endpoints: InvokeEndpoint over the multi-model container."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.endpoint.container import Container
from local.endpoint.diskcache import DiskCache
from local.endpoint.errors import (
    ACCOUNT,
    BodyTooLarge,
    ModelError,
    PlatformError,
    ValidationError,
)
from local.endpoint.metrics import Metrics
from local.endpoint.modelcache import TARGET_HEADER, ModelCache

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY_LIMIT = 6_291_456  # bytes; botocore's model of InvokeEndpoint
LONGEST_TARGET = 1024
COLD_WAIT = 60.0  # seconds
LOAD_TIMEOUT = "300"  # seconds in the container; a laptop may import TensorFlow for a minute
GRACE = 10  # seconds for requests in flight when it is closed
ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
PASSED_ON = ("Accept", "Content-Type", ATTRIBUTES_HEADER)
VARIANT = "AllTraffic"


@dataclass(frozen=True)
class EndpointConfig:
    """A multi-model endpoint.

    model_data_url: `s3://bucket/prefix/` that target models are under.  environment: the
    container's, of the template's SageMaker Model.
    """

    name: str
    model_data_url: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """A running one."""

    container: Container
    models: ModelCache
    metrics: Metrics


class Platform:
    """Serves `POST /endpoints/{name}/invocations` and `GET /metrics` from a thread of its own."""

    def __init__(
        self,
        endpoints: Sequence[EndpointConfig],
        s3: "S3Client",
        cache_dir: Path,
        *,
        disk_budget: int,
        memory_budget: int,
        log_dir: Path,
        port: int = 0,
        cold_wait: float = COLD_WAIT,
    ) -> None:
        """Budgets in bytes and for each endpoint; port 0 takes a free one."""
        self._configs = endpoints
        self._s3 = s3
        self._cache_dir = cache_dir
        self._disk_budget = disk_budget
        self._memory_budget = memory_budget
        self._log_dir = log_dir
        self._port = port
        self._cold_wait = cold_wait
        self._endpoints: Mapping[str, Endpoint] = {}
        self._started = threading.Event()

    def start(self) -> None:
        """Raises OSError where the port is taken. Containers come up in the background."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for every invocation
        self._socket = _listen(self._port)
        self._endpoints = {config.name: self._endpoint(config) for config in self._configs}
        config = uvicorn.Config(
            self._app(),
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="sagemaker-platform", daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME should be."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Answer the requests in flight, then end the containers."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def container_pid(self, endpoint: str) -> int | None:
        """The process that serves an endpoint's models, None before the first is up."""
        return self._endpoints[endpoint].container.pid

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/endpoints/{name}/invocations", self._invoke, methods=["POST"]),
                Route("/metrics", self._metrics),
            ],
            exception_handlers={PlatformError: self._refuse, Exception: self._refuse},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        for endpoint in self._endpoints.values():
            endpoint.container.start()
        self._started.set()
        yield
        await asyncio.gather(*(each.container.stop() for each in self._endpoints.values()))

    def _endpoint(self, config: EndpointConfig) -> Endpoint:
        data = urlsplit(config.model_data_url)
        environment = {
            "SAGEMAKER_TFS_WAIT_TIME_SECONDS": LOAD_TIMEOUT,
            **config.environment,
            "FACET_SERVING_MEMORY": str(self._memory_budget),
        }
        container = Container(config.name, environment, self._log_dir / f"{config.name}.log")
        disk = DiskCache(self._cache_dir / config.name, self._disk_budget, self._s3)
        metrics = Metrics()
        models = ModelCache(
            container,
            disk,
            metrics,
            bucket=data.netloc,
            prefix=data.path.lstrip("/"),
            cold_wait=self._cold_wait,
        )
        return Endpoint(container, models, metrics)

    async def _invoke(self, request: Request) -> Response:
        name = request.path_params["name"]
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise ValidationError(f"Endpoint {name} of account {ACCOUNT} not found.")
        target = request.headers.get(TARGET_HEADER, "")
        if not target or len(target) > LONGEST_TARGET:
            raise ValidationError(
                f"Endpoint {name} is a multi-model endpoint and requires target model header "
                f"of 1 to {LONGEST_TARGET} characters."
            )
        body = await _body(request)
        headers = {each: request.headers[each] for each in PASSED_ON if each in request.headers}
        return _answer(await endpoint.models.invoke(target, headers, body))

    async def _refuse(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, PlatformError):
            error = PlatformError(f"{type(error).__name__}: {error}")
        if isinstance(error, ModelError):
            region = self._s3.meta.region_name
            content = error.described(request.path_params["name"], region)
        else:
            content = error.content()
        headers = {} if isinstance(error, BodyTooLarge) else {"x-amzn-ErrorType": error.code}
        return _json(content, error.status, headers)

    async def _metrics(self, _: Request) -> Response:
        return _json(
            {
                name: {**each.metrics.snapshot(), "LoadedModelCount": len(each.models.loaded)}
                for name, each in self._endpoints.items()
            }
        )


def _listen(port: int) -> socket.socket:
    """Raises OSError where the port is taken."""
    # The protocol is named, else asyncio would leave Nagle's algorithm on: 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


async def _body(request: Request) -> bytes:
    """Raises BodyTooLarge as soon as it is."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise BodyTooLarge(f"HTTP content length exceeded {BODY_LIMIT} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _answer(answer: httpx.Response) -> Response:
    passed_on = ("Content-Type", ATTRIBUTES_HEADER)
    headers = {each: answer.headers[each] for each in passed_on if each in answer.headers}
    return Response(
        answer.content, headers={**headers, "x-Amzn-Invoked-Production-Variant": VARIANT}
    )


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
