"""Invocations: the one route that nearly every request takes, as an ASGI application.

A small model answers in a tenth of a millisecond. Starlette's middleware, table of routes, request
and response would take half as long again, so this reads the scope and sends the answer itself.
"""

import re
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from serving import errors
from serving.guard.watchdog import Watchdog
from serving.metrics import Metrics
from serving.models import Models
from serving.responses import error_response
from serving.rest import request as rest

# As in AWS's image, JSON lines and CSV are accepted but parsed as JSON.
CONTENT_TYPES = {"application/json", "application/jsonlines", "application/jsons", "text/csv"}
ATTRIBUTES, CONTENT_TYPE = b"x-amzn-sagemaker-custom-attributes", b"content-type"
ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")
REQUEST = re.compile(r"\bfacet-request=([A-Za-z0-9-]{1,64})")
"""The caller's id of a request, among the custom attributes."""
METHODS = {"predict", "classify", "regress"}
JSON = (b"content-type", b"application/json")


class Invocations:
    """Answers `POST /models/{name}/invoke`."""

    def __init__(self, models: Models, metrics: Metrics, watchdog: Watchdog) -> None:
        self._models = models
        self._metrics = metrics
        self._watchdog = watchdog

    def before(self, app: ASGIApp) -> ASGIApp:
        """An application that answers invocations, and has `app` answer everything else."""

        async def first(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                parts = scope["path"].split("/")
                if len(parts) == 4 and parts[1] == "models" and parts[2] and parts[3] == "invoke":
                    await self(scope, receive, send)
                    return
            await app(scope, receive, send)

        return first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one invocation. An unexpected error is answered, and raised for the log."""
        try:
            answer = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception as error:
            self._metrics.add_error(type(error).__name__)
            await error_response(error)(scope, receive, send)
            if not isinstance(error, errors.ServingError):
                raise
            return
        headers = [JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        name: str = scope["path"].split("/")[2]
        self._watchdog.check()
        self._models.model(name)
        found: dict[bytes, bytes] = {}
        for key, value in scope["headers"]:
            if key in (CONTENT_TYPE, ATTRIBUTES):
                found.setdefault(key, value)
        version, method, request_id = None, rest.PREDICT, "-"
        if attributes := found.get(ATTRIBUTES, b"").decode("latin-1"):
            version, method = _version_and_method(attributes)
            if match := REQUEST.search(attributes):
                request_id = match[1]
        content_type = found.get(CONTENT_TYPE, b"")
        if content_type and content_type != JSON[1]:
            _check_content_type(content_type.decode("latin-1"))
        call = rest.Request(await _body(receive), method)
        return await self._models.predict(name, version, call, request_id)


class Disconnected(Exception):
    """The client has closed the connection before its request was complete."""


async def _body(receive: Receive) -> bytes:
    """The whole body of a request. Raises Disconnected."""
    parts: list[Any] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return b"".join([*parts, body]) if parts else body
        parts.append(body)


def _check_content_type(text: str) -> None:
    content_type = text.split(";")[0].strip().lower()
    if content_type and content_type not in CONTENT_TYPES:
        raise errors.UnsupportedContent(
            f"Unsupported Media Type: {content_type}; send application/json"
        )


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
