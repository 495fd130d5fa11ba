"""API Gateway for the template's own routes, on 127.0.0.1."""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.gateway.service import HOST, Service, UnsupportedApi, read_api
from local.gateway.usage_plan import Meter, UsagePlan
from local.runtime.pool import Invocation

__all__ = ["Gateway", "PortTaken", "UnsupportedApi", "UsagePlan"]

LOG = logging.getLogger(__name__)

INTEGRATION_TIMEOUT = 29.0
"""Seconds that a function has to answer."""

_CONCURRENCY = 256


class PortTaken(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken by another program; choose another one")


class Gateway:
    """Serves a SAM template's REST API from `start` to `close`.

    `invoke` gets a function's logical id and a proxy event. `keys` are the API keys that routes
    with `ApiKeyRequired` accept; `plan` is what each key may use. Pages of the parameter
    `AllowOrigin` may read refusals, too. Raises UnsupportedApi.
    """

    def __init__(
        self,
        template: Path,
        parameters: Mapping[str, str],
        invoke: Callable[[str, bytes], Invocation],
        keys: Collection[str],
        port: int = 0,
        *,
        plan: UsagePlan | None = None,
        timeout: float = INTEGRATION_TIMEOUT,
    ) -> None:
        self._port = port
        self._executor = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="gateway")
        api, keyed = read_api(template, parameters)
        self._service = Service(
            api,
            keyed,
            lambda function, event: self._executor.submit(invoke, function, event).result(timeout),
            frozenset(keys),
            Meter(plan) if plan else None,
            parameters.get("AllowOrigin", ""),
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
            port = listener.getsockname()[1]
            app = self._service.application(port)
            self._server = make_server(
                HOST, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno()
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops serving. What is being invoked is not waited for."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._executor.shutdown(wait=False, cancel_futures=True)


class _Handler(WSGIRequestHandler):
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
