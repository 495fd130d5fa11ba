"""The routes that invoke, load and unload a model, as an ASGI application.

Nearly every request takes one of them. A small model answers in a tenth of a millisecond;
Starlette's middleware, table of routes, request and response would take half as long again, so this
reads the scope and sends the answer itself.
"""

import re
from collections.abc import Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
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
TARGET = b"x-amzn-sagemaker-target-model"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")
REQUEST = re.compile(r"\bfacet-request=([A-Za-z0-9-]{1,64})")
"""The caller's id of a request, among the custom attributes."""
METHODS = {"predict", "classify", "regress"}
JSON = (b"content-type", b"application/json")


class Invocations:
    """Answers `POST /models/{name}/invoke`, `POST /models` and `DELETE /models/{name}`."""

    def __init__(self, models: Models, metrics: Metrics, watchdog: Watchdog) -> None:
        self._models = models
        self._metrics = metrics
        self._watchdog = watchdog

    def before(self, app: ASGIApp) -> ASGIApp:
        """An application that answers these routes, and has `app` answer all others."""

        async def first(scope: Scope, receive: Receive, send: Send) -> None:
            answer = self._route(scope, receive) if scope["type"] == "http" else None
            if answer is None:
                await app(scope, receive, send)
            else:
                await self._send(answer, scope, receive, send)

        return first

    def _route(self, scope: Scope, receive: Receive) -> Awaitable[bytes] | None:
        """The answer to a request, None for another route."""
        method, parts = scope["method"], scope["path"].split("/")
        if parts[:2] != ["", "models"]:
            return None
        if method == "POST" and len(parts) == 4 and parts[2] and parts[3] == "invoke":
            return self._invoke(parts[2], scope, receive)
        if method == "POST" and len(parts) == 2:
            return self._load(scope, receive)
        if method == "DELETE" and len(parts) == 3 and parts[2]:
            return self._unload(parts[2])
        return None

    async def _send(
        self, answer: Awaitable[bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send an answer. An unexpected error is answered, and raised for the log."""
        try:
            body = await answer
        except Disconnected:
            return
        except Exception as error:
            self._metrics.add_error(type(error).__name__)
            await error_response(error)(scope, receive, send)
            if not isinstance(error, errors.ServingError):
                raise
            return
        headers = [JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _load(self, scope: Scope, receive: Receive) -> bytes:
        try:
            document = orjson.loads(await _body(receive))
            name, url = document["model_name"], document["url"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise errors.MalformedLoad(
                f"The body of a load request must be JSON with model_name and url: {error}"
            ) from error
        self._watchdog.check()
        target = dict(reversed(scope["headers"])).get(TARGET, b"").decode("latin-1") or str(name)
        model = await self._models.load(model_name(name), Path(str(url)), target)
        versions = " and ".join(
            f"version {number} on {runtime.kind}" for number, runtime in model.runtimes.items()
        )
        return orjson.dumps({"success": f"Successfully loaded model {name}, {versions}."})

    async def _unload(self, name: str) -> bytes:
        await self._models.unload(model_name(name))
        return orjson.dumps({"success": f"Successfully unloaded model {name}."})

    async def _invoke(self, name: str, scope: Scope, receive: Receive) -> bytes:
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


def model_name(name: object) -> str:
    """A model's name in a request. Raises BadRequest."""
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        raise errors.BadRequest(
            f"invalid model_name: {name!r}; use letters, digits, dots, dashes and underscores, "
            "starting with a letter or digit, up to 255 characters"
        )
    return name
