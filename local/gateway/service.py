"""A template's REST API as a WSGI application.

samcli knows how to read the routes, make the events and read the answers; what it lacks (keys,
usage plans, limits, the gateway's own error documents) is here. Its API is private, so this is the
only module that touches it, and tests/integration/local/test_gateway_contract.py says what a new
version broke.
"""

import json
import logging
import uuid
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask, Response, g, request
from samcli.commands._utils.template import get_template_data
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.provider import Api
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.local.apigw.exceptions import LambdaResponseParseException
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.apigw.route import Route
from samcli.yamlhelper import yaml_parse

from local.gateway.refusals import Refusal
from local.gateway.usage_plan import Meter, QuotaExceeded, Throttled
from local.runtime.pool import Invocation, InvokeError, RequestTooLarge

LOG = logging.getLogger(__name__)

HOST = "127.0.0.1"
BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a request's body."""

RoutesWithKey = frozenset[tuple[str, str]]
"""Path and method of each route that needs an API key."""

_ANY_METHOD = "x-amazon-apigateway-any-method"


class UnsupportedApi(Exception):
    """The template asks for something of API Gateway that this gateway does not do."""


def read_api(template: Path, parameters: Mapping[str, str]) -> tuple[Api, RoutesWithKey]:
    """Raises UnsupportedApi."""
    # samcli calls functions of the SAM translator that are deprecated there.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return _routes(template, parameters), _routes_with_key(template, parameters)


class Service(LocalApigwService):  # type: ignore[misc]
    """samcli's service with a request handler of our own: no telemetry, and all that it lacks."""

    def __init__(
        self,
        api: Api,
        keyed: RoutesWithKey,
        invoke: Callable[[str, bytes], Invocation],
        keys: frozenset[str],
        meter: Meter | None,
        origin: str = "",
    ) -> None:
        super().__init__(api, SimpleNamespace(is_debugging=lambda: False), host=HOST)
        self._keyed = keyed
        self._invoke = invoke
        self._keys = keys
        self._meter = meter
        self._origin = origin

    def application(self, port: int) -> Flask:
        self.port = port
        self.create()
        app: Flask = self._app
        # Flask cuts a body off here if no header tells its size, so one byte more must be seen.
        app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT + 1
        app.before_request(_identify)
        app.after_request(_sign)
        app.after_request(self._share)
        for status, refusal in (
            (404, Refusal.NO_ROUTE),
            (405, Refusal.NO_ROUTE),
            (413, Refusal.TOO_LONG),
            (500, Refusal.FAULT),
        ):
            app.register_error_handler(status, lambda _, refusal=refusal: refusal.answer())
        return app

    def _request_handler(self, **_: str) -> Response:
        try:
            route = self._get_current_route(request)
        except KeyError:
            Refusal.NO_ROUTE.abort()  # HEAD, which Flask adds to every GET
        key = self._check_key(route)
        if len(request.get_data()) > BODY_LIMIT:
            Refusal.TOO_LONG.abort()
        event = self._generate_lambda_event(request, route, request.method, request.endpoint)
        _complete(event, key)
        return self._translate(route, self._call(route.function_name, event))

    def _share(self, response: Response) -> Response:
        """What the template's `GatewayResponses` add to answers that are not the function's."""
        if self._origin and "Access-Control-Allow-Origin" not in response.headers:
            response.headers["Access-Control-Allow-Origin"] = self._origin
        return response

    def _check_key(self, route: Route) -> str | None:
        if not self._keyed & {(route.path, request.method), (route.path, _ANY_METHOD.upper())}:
            return None
        key = request.headers.get("x-api-key", "")
        if key not in self._keys:
            Refusal.FORBIDDEN.abort()
        try:
            if self._meter:
                self._meter.spend(key)
        except Throttled:
            Refusal.THROTTLED.abort()
        except QuotaExceeded:
            Refusal.QUOTA.abort()
        return key

    def _call(self, function: str, event: dict[str, Any]) -> bytes:
        try:
            outcome = self._invoke(function, json.dumps(event).encode())
        except TimeoutError:
            LOG.error("%s %s: no answer in time", function, g.request_id)
            Refusal.TIMEOUT.abort()
        except RequestTooLarge:
            Refusal.TOO_LONG.abort()
        except InvokeError as error:
            LOG.error("%s %s: %s", function, g.request_id, error)
            Refusal.FAULT.abort()
        if outcome.error is not None:
            LOG.error("%s %s: %s", function, g.request_id, outcome.reason)
            Refusal.BAD_GATEWAY.abort()
        return outcome.payload

    def _translate(self, route: Route, answer: bytes) -> Response:
        binary = self.api.binary_media_types
        if "*/*" in binary:
            # samcli decodes base64 only for a client that says it accepts the answer's type.
            request.environ["HTTP_ACCEPT"] = "*/*"
        try:
            status, headers, body = self._parse_v1_payload_format_lambda_output(
                answer.decode(), binary, request, route.event_type
            )
            response: Response = self.service_response(body, headers, status)
        except (LambdaResponseParseException, TypeError, ValueError) as error:
            LOG.error("%s %s: malformed answer: %s", route.function_name, g.request_id, error)
            Refusal.BAD_GATEWAY.abort()
        return response


def _identify() -> None:
    g.request_id = str(uuid.uuid4())


def _sign(response: Response) -> Response:
    response.headers["x-amzn-RequestId"] = g.request_id
    return response


def _complete(event: dict[str, Any], key: str | None) -> None:
    """Puts in what samcli leaves out, or sets once when it is imported."""
    now = datetime.now(UTC)
    event["requestContext"].update(
        requestId=g.request_id,
        path=request.path,
        requestTime=now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        requestTimeEpoch=int(now.timestamp() * 1000),
    )
    event["requestContext"]["identity"].update(
        apiKey=key, sourceIp=request.remote_addr, userAgent=request.user_agent.string
    )
    event["headers"]["X-Forwarded-For"] = request.remote_addr
    event["multiValueHeaders"]["X-Forwarded-For"] = [request.remote_addr]
    event["isBase64Encoded"] = event["isBase64Encoded"] and event["body"] is not None


def _routes(template: Path, parameters: Mapping[str, str]) -> Api:
    stacks, _ = SamLocalStackProvider.get_stacks(
        str(template), parameter_overrides=dict(parameters)
    )
    api = ApiProvider(stacks, cwd=str(template.parent)).api
    if api.cors or any(route.cors for route in api.routes):
        raise UnsupportedApi("Cors")
    for route in api.routes:
        if route.authorizer_name or route.event_type != Route.API:
            raise UnsupportedApi(f"{route.path}: only REST API routes without an authorizer")
    return api


def _routes_with_key(template: Path, parameters: Mapping[str, str]) -> RoutesWithKey:
    """As CloudFormation would be told."""
    validator = SamTemplateValidator(
        get_template_data(str(template)),
        SimpleNamespace(load=dict),
        region="us-east-1",
        parameter_overrides=dict(parameters),
    )
    translated = yaml_parse(validator.get_translated_template_if_valid())
    return frozenset(
        (path, method.upper())
        for resource in translated["Resources"].values()
        if resource["Type"] == "AWS::ApiGateway::RestApi"
        for path, methods in resource["Properties"]["Body"]["paths"].items()
        for method, operation in methods.items()
        if any("api_key" in requirement for requirement in operation.get("security", ()))
    )
