"""A stand-in for SageMaker's multi-model endpoints, in a thread of this process.

Each endpoint has a container process, a disk cache of unpacked artifacts, a table of loaded models
and SageMaker's metrics. Requests are InvokeEndpoint calls, as boto3 sends them.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from local.endpoint.app import Endpoint, create_app
from local.endpoint.container import SERVING, Container
from local.endpoint.disk_cache import DiskCache
from local.endpoint.downloads import STALL, Downloads
from local.endpoint.metrics import Metrics
from local.endpoint.model_cache import ModelCache

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COLD_WAIT = 60.0  # seconds that SageMaker lets an invocation wait for its model
LOAD_TIMEOUT = "300"  # seconds in the container; a laptop may import TensorFlow for a minute
GRACE = 10  # seconds that requests in flight have when the platform is closed


@dataclass(frozen=True)
class EndpointConfig:
    """A multi-model endpoint.

    model_data_url: `s3://bucket/prefix/`, to which target models are relative.
    environment: the container's, from the template's SageMaker Model.
    """

    name: str
    model_data_url: str
    environment: Mapping[str, str]


class Platform:
    """Endpoints that are served by one thread; see `create_app` for the routes."""

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
        stall: float = STALL,
        command: Sequence[str] = SERVING,
        exists: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Budgets are bytes per endpoint; port 0 picks a free port.

        cold_wait: seconds that an invocation waits for its model.  stall: seconds without a byte
        from S3 after which a download is retried.  command: starts a container.
        exists: whether SageMaker's API knows an endpoint, which can be deleted and created again;
        its container runs on.
        """
        self._configs = endpoints
        self._s3 = s3
        self._cache_dir = cache_dir
        self._disk_budget = disk_budget
        self._memory_budget = memory_budget
        self._log_dir = log_dir
        self._port = port
        self._cold_wait = cold_wait
        self._stall = stall
        self._command = command
        self._exists = exists
        self._endpoints: Mapping[str, Endpoint] = {}
        self._started = threading.Event()

    def start(self) -> None:
        """Listen, and start the containers in the background. OSError if the port is taken."""
        self._socket = _listen(self._port)
        self._endpoints = {config.name: self._endpoint(config) for config in self._configs}
        app = create_app(self._endpoints, self._s3.meta.region_name, self._exists, self._lifespan)
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="sagemaker-platform", daemon=True
        )
        self._thread.start()
        self._started.wait()

    @property
    def url(self) -> str:
        """The value for AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Answer the requests in flight, then stop the containers."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def container_pid(self, endpoint: str) -> int | None:
        """The process id of an endpoint's container, None before the first one answers."""
        return self._endpoints[endpoint].container.pid

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        for endpoint in self._endpoints.values():
            endpoint.container.start()
        self._started.set()
        yield
        await asyncio.gather(*(endpoint.close() for endpoint in self._endpoints.values()))

    def _endpoint(self, config: EndpointConfig) -> Endpoint:
        data = urlsplit(config.model_data_url)
        temporary = self._cache_dir / ".tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        environment = {
            "SAGEMAKER_TFS_WAIT_TIME_SECONDS": LOAD_TIMEOUT,
            "FACET_SERVING_LOAD_LIMIT": LOAD_TIMEOUT,
            "TMPDIR": str(temporary),
            **config.environment,
            "FACET_SERVING_MEMORY": str(self._memory_budget),
        }
        log_file = self._log_dir / f"{config.name}.log"
        container = Container(config.name, environment, log_file, self._command)
        downloads = Downloads(self._s3, self._stall)
        disk = DiskCache(self._cache_dir / config.name, self._disk_budget, downloads.unpack)
        metrics = Metrics()
        models = ModelCache(
            container,
            disk,
            metrics,
            bucket=data.netloc,
            prefix=data.path.lstrip("/"),
            cold_wait=self._cold_wait,
        )
        return Endpoint(container, downloads, models, metrics)


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off, which costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
