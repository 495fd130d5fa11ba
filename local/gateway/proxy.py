"""A Lambda proxy integration: an HTTP request as an event, a function's result as a response.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html,
"Input format" and "Output format" of a Lambda function for proxy integration.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from local.gateway.routes import RestApi, Route
from local.moto import ACCOUNT

API_ID = "1234567890"
RESOURCE_ID = "123456"
API_KEY_ID = "a1b2c3d4e5"

KEYS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
"""Of a function's result; with any other, API Gateway takes it for malformed."""


class MalformedResult(Exception):
    """A function's result is none that API Gateway understands."""


def event(
    request: Request,
    api: RestApi,
    route: Route,
    path_parameters: Mapping[str, str],
    *,
    request_id: str,
    key: str | None,
) -> dict[str, Any]:
    """The event for a route's function. `key` is the caller's API key, if the route needs one."""
    body = request.get_data()
    query = request.args.to_dict(flat=False)
    headers = {name: request.headers.getlist(name) for name, _ in request.headers}
    headers["X-Forwarded-For"] = [request.remote_addr or ""]
    headers["X-Forwarded-Port"] = [request.environ["SERVER_PORT"]]
    headers["X-Forwarded-Proto"] = [request.scheme]
    return {
        "resource": route.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) or None,
        "stageVariables": None,
        "requestContext": _context(request, api, route, request_id, key),
        "body": _text(body, api) if body else None,
        "isBase64Encoded": api.binary and bool(body),
    }


def response(result: bytes, api: RestApi) -> Response:
    """The response of a function's result, which is JSON. Raises MalformedResult."""
    try:
        document = json.loads(result)
        if not isinstance(document, dict) or document.keys() - KEYS:
            raise MalformedResult(f"not an object with {', '.join(sorted(KEYS))}")
        status = int(document.get("statusCode", 200))
        if not 100 <= status <= 599:
            raise MalformedResult(f"statusCode {status} is no HTTP status")
        headers = _headers(document.get("headers") or {}, document.get("multiValueHeaders") or {})
        return Response(_body(document, api), status, headers)
    except (AttributeError, TypeError, ValueError) as error:
        raise MalformedResult(str(error)) from error


def _context(
    request: Request, api: RestApi, route: Route, request_id: str, key: str | None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": request.host,
        "domainPrefix": request.host.partition(":")[0].partition(".")[0],
        "extendedRequestId": request_id,
        "httpMethod": request.method,
        "identity": {
            "accessKey": None,
            "accountId": None,
            "apiKey": key,
            "apiKeyId": API_KEY_ID if key else None,
            "caller": None,
            "cognitoAuthenticationProvider": None,
            "cognitoAuthenticationType": None,
            "cognitoIdentityId": None,
            "cognitoIdentityPoolId": None,
            "sourceIp": request.remote_addr,
            "user": None,
            "userAgent": request.user_agent.string,
            "userArn": None,
        },
        "path": request.path,
        "protocol": request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        "requestId": request_id,
        "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now.timestamp() * 1000),
        "resourceId": RESOURCE_ID,
        "resourcePath": route.path,
        "stage": api.stage,
    }


def _text(body: bytes, api: RestApi) -> str:
    return base64.b64encode(body).decode() if api.binary else body.decode(errors="replace")


def _body(document: Mapping[str, Any], api: RestApi) -> bytes:
    """API Gateway decodes base64 only for the media types that the API declares binary."""
    body, encoded = document.get("body"), document.get("isBase64Encoded") or False
    if not isinstance(body, str | None) or not isinstance(encoded, bool):
        raise MalformedResult("body must be a string, isBase64Encoded a boolean")
    if encoded and api.binary:
        return base64.b64decode(body or "", validate=True)
    return (body or "").encode()


def _headers(single: Mapping[str, Any], multiple: Mapping[str, Any]) -> Headers:
    """Merges both: a pair of name and value that is in both is sent once."""
    merged = Headers()
    for name, values in multiple.items():
        if not isinstance(values, list):
            raise MalformedResult("multiValueHeaders must have a list for each header")
        for value in values:
            merged.add(name, _header(value))
    for name, value in single.items():
        if _header(value) not in merged.getlist(name):
            merged.add(name, _header(value))
    if "Content-Type" not in merged:
        merged["Content-Type"] = "application/json"
    return merged


def _header(value: object) -> str:
    if not isinstance(value, str | int | float | bool):
        raise MalformedResult("a header's value must be a string, a number or a boolean")
    return value if isinstance(value, str) else json.dumps(value)
