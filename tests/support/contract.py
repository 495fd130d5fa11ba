"""Checks responses and requests against the committed OpenAPI document."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator

FILE = Path(__file__).parents[2] / "functions/page/static/openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())

OPTIONAL_HEADERS = {"x-facet-ran-in"}
"""Headers that an answer has only if a model ran."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields the method, path and description of each operation."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def operation(method: str, path: str) -> dict[str, Any]:
    """Returns the operation for a request's path. Raises LookupError."""
    for known, template, described in operations():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if known == method and re.fullmatch(pattern, path):
            return described
    raise LookupError(f"{method} {path} is not in the OpenAPI document")


def check_answer(
    method: str, path: str, status: int, headers: Mapping[str, str], body: object
) -> None:
    """Asserts that the response is documented, with its fields, headers and problem."""
    where = f"{method} {path} {status}"
    described = operation(method, path)["responses"].get(str(status))
    assert described, f"{where} is not documented"
    sent_headers = {name.lower() for name in headers}
    if status < 400 or "x-amzn-errortype" not in sent_headers:
        documented = {name.lower() for name in described.get("headers", {})}
        assert documented - OPTIONAL_HEADERS <= sent_headers, where
    if "content" not in described:
        assert not body, where
        return
    media = described["content"].get(_media_type(headers))
    assert media, f"{where} as {_media_type(headers)} is not documented"
    check(media["schema"], body)
    if _media_type(headers) == "application/problem+json":
        assert isinstance(body, dict)
        assert body["type"].rpartition(":")[2] in media["examples"], f"{where} {body['type']}"


def check_request(method: str, path: str, content_type: str, body: object) -> None:
    """Asserts that the body is documented. Only JSON is validated against its schema."""
    kind = content_type.partition(";")[0]
    media = operation(method, path)["requestBody"]["content"].get(kind)
    assert media, f"{method} {path} of {kind} is not documented"
    if kind == "application/json":
        check(media["schema"], body)


def check(schema: dict[str, Any], value: object) -> None:
    """Asserts that the value matches the schema, without additional fields."""
    validator = OAS31Validator({**schema, "components": _closed()})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert errors == []


def _media_type(headers: Mapping[str, str]) -> str:
    sent = {name.lower(): value for name, value in headers.items()}
    return sent["content-type"].partition(";")[0]


@cache
def _closed() -> dict[str, Any]:
    """Returns the components with `additionalProperties` forbidden."""
    components: dict[str, Any] = copy.deepcopy(DOCUMENT["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components
