"""The REST API of a template: which function answers which path, and who needs a key.

They are read from the OpenAPI body that the SAM translator writes for CloudFormation, with API
Gateway's extensions:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.supported import UnsupportedTemplate

REST_API = "AWS::ApiGateway::RestApi"
STAGE = "AWS::ApiGateway::Stage"

ANY = "ANY"
EVERY_TYPE = "*/*"

_ANY_METHOD = "x-amazon-apigateway-any-method"
_HEADER = "gatewayresponse.header."
_FUNCTION = re.compile(r"functions/\$\{(\w+)\.Arn\}/invocations")


@dataclass(frozen=True)
class Route:
    """A path such as `/models/{model}`, its method (or ANY), and the logical id of its function."""

    path: str
    method: str
    function: str
    needs_key: bool


@dataclass(frozen=True)
class RestApi:
    """`binary`: bodies of every type travel as base64, as with the media type `*/*`.

    `error_headers` are those of API Gateway's own errors, by `DEFAULT_4XX` and `DEFAULT_5XX`.
    """

    routes: tuple[Route, ...]
    binary: bool
    stage: str
    error_headers: Mapping[str, Mapping[str, str]]


def read_api(resources: Mapping[str, Mapping[str, Any]], stage: str = "") -> RestApi:
    """Reads the only REST API of translated resources. Raises UnsupportedTemplate."""
    bodies = [each["Properties"]["Body"] for each in resources.values() if each["Type"] == REST_API]
    if len(bodies) != 1:
        raise UnsupportedTemplate(f"the local stack needs one REST API, not {len(bodies)}")
    (body,) = bodies
    types = body.get("x-amazon-apigateway-binary-media-types", [])
    if types not in ([], [EVERY_TYPE]):
        raise UnsupportedTemplate(
            f"the local stack supports BinaryMediaTypes {EVERY_TYPE} or none, not {types}"
        )
    responses = body.get("x-amazon-apigateway-gateway-responses", {})
    return RestApi(
        tuple(_routes(body["paths"])),
        binary=bool(types),
        stage=stage,
        error_headers={name: dict(_headers(name, each)) for name, each in responses.items()},
    )


def _headers(name: str, response: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A gateway response's static headers: in quotes, as API Gateway wants them."""
    others = {part for part, value in response.items() if value} - {"responseParameters"}
    if others or name not in ("DEFAULT_4XX", "DEFAULT_5XX"):
        raise UnsupportedTemplate(
            f"{name}: the local stack supports only headers of DEFAULT_4XX and DEFAULT_5XX"
        )
    for parameter, value in response.get("responseParameters", {}).items():
        static = re.fullmatch(r"'(.*)'", value) if isinstance(value, str) else None
        if not parameter.startswith(_HEADER) or not static:
            raise UnsupportedTemplate(
                f"{name}: the local stack supports only static headers, not {parameter}: {value}"
            )
        yield parameter.removeprefix(_HEADER), static[1]


def _routes(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[Route]:
    for path, operations in paths.items():
        for name, operation in operations.items():
            method = ANY if name == _ANY_METHOD else name.upper()
            yield Route(
                path, method, _function(f"{method} {path}", operation), _needs_key(path, operation)
            )


def _function(route: str, operation: Mapping[str, Any]) -> str:
    integration = operation.get("x-amazon-apigateway-integration", {})
    uri = integration.get("uri", {})
    found = _FUNCTION.search(uri.get("Fn::Sub", ""))
    if integration.get("type") != "aws_proxy" or found is None:
        raise UnsupportedTemplate(
            f"{route}: the local stack supports Lambda proxy integrations only; "
            "Cors makes others, so let the function answer OPTIONS"
        )
    return found[1]


def _needs_key(path: str, operation: Mapping[str, Any]) -> bool:
    schemes = {name for each in operation.get("security", ()) for name in each}
    if others := schemes - {"api_key"}:
        raise UnsupportedTemplate(
            f"{path}: the local stack supports no authorizer ({', '.join(sorted(others))})"
        )
    return bool(schemes)
