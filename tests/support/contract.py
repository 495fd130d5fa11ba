"""Answers and requests, held against the committed OpenAPI document."""

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


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def operation(method: str, path: str) -> dict[str, Any]:
    """The one that a request's path means. Raises LookupError."""
    for known, template, described in operations():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if known == method and re.fullmatch(pattern, path):
            return described
    raise LookupError(f"{method} {path} is not in the OpenAPI document")


def check_answer(
    method: str, path: str, status: int, headers: Mapping[str, str], body: object
) -> None:
    """Asserts that the document tells of such an answer, of each field, header and problem."""
    where = f"{method} {path} {status}"
    described = operation(method, path)["responses"].get(str(status))
    assert described, f"{where} is not documented"
    sent = {name.lower() for name in headers}
    if status < 400 or "x-amzn-errortype" not in sent:
        assert {name.lower() for name in described.get("headers", {})} <= sent, where
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
    """Asserts that the document tells of such a body; only JSON is looked into."""
    kind = content_type.partition(";")[0]
    media = operation(method, path)["requestBody"]["content"].get(kind)
    assert media, f"{method} {path} of {kind} is not documented"
    if kind == "application/json":
        check(media["schema"], body)


def check(schema: dict[str, Any], value: object) -> None:
    """Asserts that the value has what the schema says, and nothing beside."""
    validator = OAS31Validator({**schema, "components": _closed()})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert errors == []


def _media_type(headers: Mapping[str, str]) -> str:
    sent = {name.lower(): value for name, value in headers.items()}
    return sent["content-type"].partition(";")[0]


@cache
def _closed() -> dict[str, Any]:
    """The components, whose objects take no field that they do not name."""
    components: dict[str, Any] = copy.deepcopy(DOCUMENT["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components
