"""API Gateway for the template's own routes, on 127.0.0.1."""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from facet.errors import FacetError
from local.gateway.routes import RestApi
from local.gateway.service import Service
from local.gateway.usage_plan import Meter, UsagePlan
from local.runtime.pool import Invocation

LOG = logging.getLogger(__name__)

HOST = "127.0.0.1"

INTEGRATION_TIMEOUT = 29.0
"""Seconds that a function has to answer.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

_CONCURRENCY = 256


class PortTaken(FacetError):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is in use. Stop the program that listens there, or choose another port: "
            "FACET_PORT=8001 make run, or facet up --port 8001"
        )


class Gateway:
    """Serves a REST API from `start` to `close`.

    `invoke` gets a function's logical id and a proxy event. `keys` are the API keys that routes
    with `ApiKeyRequired` accept; `plan` limits what each key may send. Pages of `origin`, if any,
    may read API Gateway's own errors.
    """

    def __init__(
        self,
        api: RestApi,
        invoke: Callable[[str, bytes], Invocation],
        keys: Collection[str],
        port: int = 0,
        *,
        plan: UsagePlan | None = None,
        origin: str = "",
        timeout: float = INTEGRATION_TIMEOUT,
    ) -> None:
        self._port = port
        self._executor = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="gateway")
        self._service = Service(
            api,
            lambda function, event: self._executor.submit(invoke, function, event).result(timeout),
            frozenset(keys),
            Meter(plan) if plan else None,
            origin,
        )
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Without a slash at its end. The gateway must have been started."""
        assert self._server is not None
        return f"http://{HOST}:{self._server.port}"

    def start(self) -> None:
        """Raises PortTaken."""
        with _listen(self._port) as listener:
            self._server = make_server(
                HOST,
                listener.getsockname()[1],
                self._service,
                threaded=True,
                request_handler=_Handler,
                fd=listener.fileno(),
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops serving, without waiting for functions that still run."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._executor.shutdown(wait=False, cancel_futures=True)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it would hold an answer's last packet back for 40 ms

    def log(self, kind: str, message: str, *args: object) -> None:
        LOG.log(logging.ERROR if kind == "error" else logging.DEBUG, message, *args)


def ensure_free(port: int) -> None:
    """Raises PortTaken at once, for a caller that has much to do before it starts a gateway."""
    _listen(port).close()


def _listen(port: int) -> socket.socket:
    """A listening socket; werkzeug would end the program when the port is taken."""
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(port) from error
