"""moto as a WSGI application and its request handler.

AWS keeps connections open and logs no request on the caller's screen; moto's handler closes each
connection and prints a line for it. At each request moto also reads its own folders for a list of
services, which is read once here. For a page of its own it keeps each object, item and message that
it ever made, and each copy of one; here they go with their owner.

Contract: tests/integration/local/test_aws.py.
"""

from contextlib import AbstractContextManager
from functools import cache
from io import BytesIO
from typing import Any
from unittest import mock

from moto import backends
from moto.backends import list_of_moto_modules as _list_of_moto_modules
from moto.core.common_models import BaseModel
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wrappers import Request

from local.moto import cloudformation


def application() -> DomainDispatcherApplication:
    """moto with state machines that run and the patches of local/moto/cloudformation.py."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    cloudformation.patch()
    backends.list_of_moto_modules = cache(lambda: tuple(_list_of_moto_modules()))
    return DomainDispatcherApplication(create_backend_app)


def forgetting_models() -> AbstractContextManager[object]:
    """While it is entered, moto keeps no list of all that it makes."""
    return mock.patch.object(BaseModel, "__new__", staticmethod(_untracked))


def _untracked(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
    """A model that moto forgets with its owner; moto's own keeps each one in a list for good."""
    return object.__new__(cls)


class Server(ThreadedWSGIServer):
    """A thread for each connection: an invocation keeps its thread while its function makes
    requests of its own, so a bounded number of threads could wait for each other."""

    request_queue_size = 4096


def read_body(environ: dict[str, Any]) -> bytes:
    """The body of a request, which the application can read again. Raises ClientDisconnected."""
    body = Request(environ).get_data(cache=False)
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


class QuietHandler(MotoRequestHandler):
    """Keeps connections open and prints nothing for a request."""

    protocol_version = "HTTP/1.1"
    timeout = 120  # seconds without a byte, after which a connection and its thread end
    disable_nagle_algorithm = True  # it would hold a response's last packet back for 40 ms

    def log_request(self, *_: object) -> None:
        """Prints nothing."""
