"""API Gateway for the template's own routes, on 127.0.0.1.

waitress reads all connections in one thread and gives whole requests to others, so neither idle nor
abandoned connections hold anybody up.
"""

import errno
import socket
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

from waitress import create_server, wasyncore

from facet.errors import FacetError
from local.gateway.routes import RestApi
from local.gateway.service import Service
from local.gateway.usage_plan import Meter, UsagePlan
from local.runtime.pool import Invocation

HOST = "127.0.0.1"

INTEGRATION_TIMEOUT = 29.0
"""Seconds that a function has to answer.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

_CONCURRENCY = 256
"""Requests that are carried out at a time; more wait."""

_CONNECTIONS = 512
"""Open connections; more wait for a place. A process may often open only 1,024 files at a time."""

_WAITING = 4096
"""Connections that may wait for a place. A client whose connection does not fit tries again after
1, 2, 4, … seconds."""

_IDLE = 30
"""Seconds after which a connection without a request is closed."""

_IN_MEMORY = 16 << 20
"""Bytes of a body that need no temporary file; the API's limit is below it."""


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
    with `ApiKeyRequired` accept; `plan` limits what each key may send.
    """

    def __init__(
        self,
        api: RestApi,
        invoke: Callable[[str, bytes], Invocation],
        keys: Collection[str],
        port: int = 0,
        *,
        plan: UsagePlan | None = None,
        timeout: float = INTEGRATION_TIMEOUT,
    ) -> None:
        self._port = port
        self._executor = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="gateway")
        self._service = Service(
            api,
            lambda function, event: self._executor.submit(invoke, function, event).result(timeout),
            frozenset(keys),
            Meter(plan) if plan else None,
        )
        self._sockets: dict[int, Any] = {}
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Without a slash at its end. The gateway must have been started."""
        return f"http://{HOST}:{self._server.effective_port}"

    def start(self) -> None:
        """Raises PortTaken."""
        self._server = create_server(
            self._answer,
            map=self._sockets,
            sockets=[_listen(self._port)],
            threads=_CONCURRENCY,
            backlog=_WAITING,
            connection_limit=_CONNECTIONS,
            channel_timeout=_IDLE,
            channel_request_lookahead=1,  # to notice clients that are gone
            inbuf_overflow=_IN_MEMORY,
            outbuf_overflow=_IN_MEMORY,
            asyncore_use_poll=True,  # select() takes no file descriptor over 1,023
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, name="gateway", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving, without waiting for functions that still run."""
        if self._thread is not None:
            self._server.trigger.pull_trigger(partial(wasyncore.close_all, self._sockets))
            self._thread.join()
            self._server.task_dispatcher.shutdown(timeout=0)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["waitress.client_disconnected"]():
            start_response("499 Client Closed Request", [])  # nobody gets it
            return []
        return self._service(environ, start_response)


def ensure_free(port: int) -> None:
    """Raises PortTaken at once, for a caller that has much to do before it starts a gateway."""
    _listen(port).close()


def _listen(port: int) -> socket.socket:
    """A listening socket. Raises an error that names the port if it is taken."""
    try:
        return socket.create_server((HOST, port), backlog=_WAITING)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(port) from error
