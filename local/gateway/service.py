"""API Gateway as a WSGI application: route, key, usage plan, limits, function, response."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local.gateway import proxy
from local.gateway.refusals import Refusal, Refused
from local.gateway.routes import ANY, RestApi, Route
from local.gateway.usage_plan import Meter, QuotaExceeded, Throttled
from local.runtime.pool import Invocation, InvokeError, RequestTooLarge

LOG = logging.getLogger(__name__)

BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a request's body.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


class _Request(Request):
    # A chunked body is cut off here without an error, so one byte more must be readable.
    max_content_length = BODY_LIMIT + 1


class Service:
    """Answers the requests to a REST API.

    `invoke` gets a function's logical id and an event; it may raise TimeoutError and InvokeError.
    """

    def __init__(
        self,
        api: RestApi,
        invoke: Callable[[str, bytes], Invocation],
        keys: frozenset[str],
        meter: Meter | None,
    ) -> None:
        self._api = api
        self._invoke = invoke
        self._keys = keys
        self._meter = meter
        rules = [_rule(route) for route in api.routes]
        self._rules = Map(rules, strict_slashes=False, merge_slashes=False)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request_id = str(uuid.uuid4())
        response = self._respond(_Request(environ), request_id)
        response.headers["x-amzn-RequestId"] = request_id
        return response(environ, start_response)

    def _respond(self, request: Request, request_id: str) -> Response:
        try:
            return self._handle(request, request_id)
        except Refused as refused:
            refusal = refused.refusal
        except RequestEntityTooLarge:
            refusal = Refusal.TOO_LONG
        except Exception:
            # The outermost frame of a request: API Gateway answers 500, and the log has the reason.
            LOG.exception("%s: the request failed", request_id)
            refusal = Refusal.FAULT
        return refusal.response(self._api.error_headers)

    def _handle(self, request: Request, request_id: str) -> Response:
        route, parameters = self._route(request)
        key = self._check_key(route, request)
        if len(request.get_data()) > BODY_LIMIT:
            raise Refused(Refusal.TOO_LONG)
        event = proxy.event(request, self._api, route, parameters, request_id=request_id, key=key)
        result = self._call(route.function, request_id, event)
        try:
            return proxy.response(result, self._api)
        except proxy.MalformedResult as error:
            LOG.error("%s %s: malformed result: %s", route.function, request_id, error)
            raise Refused(Refusal.BAD_GATEWAY) from error

    def _route(self, request: Request) -> tuple[Route, dict[str, Any]]:
        try:
            route, parameters = self._rules.bind_to_environ(request.environ).match()
        except HTTPException as error:
            raise Refused(Refusal.NO_ROUTE) from error
        if route.method not in (request.method, ANY):  # a rule for GET matches HEAD, too
            raise Refused(Refusal.NO_ROUTE)
        return route, dict(parameters)

    def _check_key(self, route: Route, request: Request) -> str | None:
        if not route.needs_key:
            return None
        key = request.headers.get("x-api-key", "")
        if key not in self._keys:
            raise Refused(Refusal.FORBIDDEN)
        try:
            if self._meter:
                self._meter.spend(key)
        except Throttled as error:
            raise Refused(Refusal.THROTTLED) from error
        except QuotaExceeded as error:
            raise Refused(Refusal.QUOTA) from error
        return key

    def _call(self, function: str, request_id: str, event: dict[str, Any]) -> bytes:
        try:
            outcome = self._invoke(function, json.dumps(event).encode())
        except TimeoutError as error:
            LOG.error("%s %s: no result in time", function, request_id)
            raise Refused(Refusal.TIMEOUT) from error
        except RequestTooLarge as error:
            raise Refused(Refusal.TOO_LONG) from error
        except InvokeError as error:
            LOG.error("%s %s: %s", function, request_id, error)
            raise Refused(Refusal.FAULT) from error
        if outcome.error is not None:
            LOG.error("%s %s: %s", function, request_id, outcome.reason)
            raise Refused(Refusal.BAD_GATEWAY)
        return outcome.payload


def _rule(route: Route) -> Rule:
    """`/files/{proxy+}` matches every path below /files, other parameters one segment."""
    path = _PARAMETER.sub(lambda match: f"<{'path:' if match[2] else ''}{match[1]}>", route.path)
    return Rule(path, endpoint=route, methods=None if route.method == ANY else [route.method])
