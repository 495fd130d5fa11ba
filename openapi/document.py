"""The API's OpenAPI 3.1 document, made of the operations and the models of their bodies.

The functions do not import this. `make openapi` writes the document to where the page's function
serves it from: `python -m openapi.document FILE`.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from openapi.bodies import PROBLEMS
from openapi.components import components
from openapi.inference import INFERENCE
from openapi.operations import OPERATIONS, Bodies, Body, Operation
from openapi.parts import EXAMPLES, HEADERS, INFO, PARAMETERS, TAGS
from predict.http import problems
from predict.http.problems import Problem

PROBLEM, JSON = "application/problem+json", "application/json"
REQUEST_ID = "7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"
"""Of the examples."""

GATEWAY = {
    403: "No API key, or a wrong one",
    413: "The body has over 10 MB",
    429: "Over the rate or the quota",
    500: "API Gateway failed",
    502: "The function failed",
    504: "No answer in time",
}
"""What API Gateway answers by itself, instead of Facet."""


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    operations = (*OPERATIONS, *INFERENCE)
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": ".", "description": "Where this document lies"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components(operations),
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
        "security": [{"key": []}] if operation.keyed else [],
    }
    if operation.parameters:
        described["parameters"] = [
            {"$ref": f"#/components/parameters/{name}"} for name in operation.parameters
        ]
    if operation.body:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": _content(operation.body),
        }
    described["responses"] = _responses(operation)
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.answer}
    if operation.headers:
        good["headers"] = _headers(operation.headers)
    if operation.content:
        good["content"] = _content(operation.content)
    responses = {operation.status: good}
    if "ETag" in operation.headers:
        responses[304] = {
            "description": "Nothing has changed: `If-None-Match` has the `ETag` still",
            "headers": _headers(("ETag",)),
        }
    responses |= _failures(operation)
    return {str(status): responses[status] for status in sorted(responses)}


def _failures(operation: Operation) -> dict[int, dict[str, Any]]:
    """The answers that are errors: Facet's, API Gateway's, or either."""
    ours: dict[int, list[Problem]] = {}
    for name in operation.problems:
        ours.setdefault(PROBLEMS[name].status, []).append(PROBLEMS[name])
    unlikely = {403: not operation.keyed, 413: not operation.body}
    gateway = {status: text for status, text in GATEWAY.items() if not unlikely.get(status)}
    return {each: _failure(ours.get(each, []), gateway.get(each)) for each in {*ours, *gateway}}


def _failure(ours: list[Problem], gateway: str | None) -> dict[str, Any]:
    words = [f"{each.title} (`{each.name}`)" for each in ours]
    content: dict[str, Any] = {}
    if ours:
        content[PROBLEM] = _reference("Problem") | {
            "examples": {
                each.name: {"summary": each.title, "value": _example(each)} for each in ours
            }
        }
    if gateway:
        words.append(f"{gateway} (API Gateway)")
        content[JSON] = _reference("Refusal")
    answer: dict[str, Any] = {"description": "; ".join(words), "content": content}
    if any(each.retry_after for each in ours):
        answer["headers"] = _headers(("Retry-After",))
    return answer


def _example(problem: Problem) -> Any:
    error = EXAMPLES[problem.name]
    made = problems.respond(problem, str(error), REQUEST_ID, error)
    return orjson.loads(str(made.body))


def _content(bodies: Bodies) -> dict[str, Any]:
    return {kind: _media(body) for kind, body in bodies.items()}


def _media(body: Body) -> dict[str, Any]:
    """Of one model, of one among several, or of a schema that is no model's."""
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
    """Writes the document to the file named."""
    (file,) = arguments
    Path(file).write_bytes(text())


def text() -> bytes:
    """The document as it is served: JSON for people, too."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    main(sys.argv[1:])
