"""Builds the API's OpenAPI 3.1 document from the operations and their models.

`make openapi` writes the document to the file that the page's function serves:
`python -m openapi.document FILE`. The functions do not import this package.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from facet.http.problems import Problem
from openapi.components import HEADERS, INFO, PARAMETERS, TAGS
from openapi.data_sets import DATA_SET_OPERATIONS
from openapi.examples import EXAMPLES
from openapi.inference import INFERENCE_OPERATIONS
from openapi.models import PROBLEMS
from openapi.operations import OPERATIONS, Body, Content, Operation
from openapi.schemas import schemas
from openapi.teaching import TEACHING_OPERATIONS
from predict.http.responses import problem as problem_response

PROBLEM, JSON = "application/problem+json", "application/json"
REQUEST_ID = "7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"
"""The request id in the examples."""

GATEWAY = {
    403: "Missing or invalid API key",
    413: "Body larger than 10 MB",
    429: "Rate limit or quota exceeded",
    500: "Gateway error",
    502: "Function error",
    504: "Timeout after 29 seconds",
}
"""Errors that API Gateway returns by itself, by status."""


def document() -> dict[str, Any]:
    """Returns the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    operations = (
        *OPERATIONS,
        *DATA_SET_OPERATIONS,
        *TEACHING_OPERATIONS,
        *INFERENCE_OPERATIONS,
    )
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": ".", "description": "The API that serves this document"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas(operations),
            "headers": HEADERS,
            "parameters": PARAMETERS,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{"key": []}] if operation.needs_key else [],
    }
    if operation.parameters:
        described["parameters"] = [
            {"$ref": f"#/components/parameters/{name}"} for name in operation.parameters
        ]
    if operation.request:
        described["requestBody"] = {
            "required": operation.request_required,
            "content": _content(operation.request),
        }
    described["responses"] = _responses(operation)
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.success}
    if operation.headers:
        success["headers"] = _headers(operation.headers)
    if operation.response:
        success["content"] = _content(operation.response)
    responses = {operation.status: success}
    if "ETag" in operation.headers:
        responses[304] = {
            "description": "Not modified: `If-None-Match` names the current `ETag`.",
            "headers": _headers(("ETag",)),
        }
    responses |= _errors(operation)
    return {str(status): responses[status] for status in sorted(responses)}


def _errors(operation: Operation) -> dict[int, dict[str, Any]]:
    """Returns the error responses by status: Facet's problems and API Gateway's errors."""
    problems_by_status: dict[int, list[Problem]] = {}
    for name in operation.problems:
        problems_by_status.setdefault(PROBLEMS[name].status, []).append(PROBLEMS[name])
    impossible = {403: not operation.needs_key, 413: not operation.request}
    gateway = {status: text for status, text in GATEWAY.items() if not impossible.get(status)}
    return {
        status: _error(problems_by_status.get(status, []), gateway.get(status))
        for status in {*problems_by_status, *gateway}
    }


def _error(possible: list[Problem], gateway: str | None) -> dict[str, Any]:
    causes = [f"{each.title} (`{each.name}`)" for each in possible]
    content: dict[str, Any] = {}
    if possible:
        content[PROBLEM] = _reference("Problem") | {
            "examples": {
                each.name: {"summary": each.title, "value": _example(each)} for each in possible
            }
        }
    if gateway:
        causes.append(f"{gateway} (API Gateway)")
        content[JSON] = _reference("GatewayError")
    response: dict[str, Any] = {"description": "; ".join(causes), "content": content}
    if any(each.retry_after for each in possible):
        response["headers"] = _headers(("Retry-After",))
    return response


def _example(problem: Problem) -> Any:
    error = EXAMPLES[problem.name]
    response = problem_response(problem, str(error), REQUEST_ID, error)
    return orjson.loads(str(response.body))


def _content(content: Content) -> dict[str, Any]:
    return {media_type: _media_type_object(body) for media_type, body in content.items()}


def _media_type_object(body: Body) -> dict[str, Any]:
    if isinstance(body, dict):
        return {"schema": body}
    if isinstance(body, tuple):
        return {"schema": {"oneOf": [_reference(each.__name__)["schema"] for each in body]}}
    return _reference(body.__name__)


def _reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def main(arguments: Sequence[str]) -> None:
    """Writes the document to the file given as the only argument."""
    (file,) = arguments
    Path(file).write_bytes(text())


def text() -> bytes:
    """Returns the document as indented JSON, as it is served."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    main(sys.argv[1:])
