"""Calls the API's handler with API Gateway REST proxy events."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from predict import app
from tests.support import contract
from tests.support.aws import fakes
from tests.support.inputs import artifacts

PNG = artifacts.encoded()
REQUEST_ID = "7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"


@dataclass(frozen=True)
class Reply:
    """The handler's response: its body parsed from JSON, or the bytes of an image."""

    status: int
    headers: dict[str, str]
    document: dict[str, Any]
    image: bytes = b""

    @property
    def problem(self) -> tuple[int, str]:
        """The status and name of the problem."""
        return self.status, self.document["type"].removeprefix("urn:facet:problem:")


def call(
    method: str,
    path: str,
    body: bytes | None = None,
    content_type: str = "",
    *,
    request_id: str = REQUEST_ID,
    seconds: float = 29,
    headers: dict[str, str] | None = None,
    handler: Callable[[dict[str, Any], Any], dict[str, Any]] = app.handler,
    **query: Any,
) -> Reply:
    """Returns the handler's response, checked against the OpenAPI document.

    The function has `seconds` left. By default it is the one that predicts.
    """
    request_headers = ({"Content-Type": content_type} if content_type else {}) | (headers or {})
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": request_headers or None,
        "multiValueHeaders": None,
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"requestId": request_id, "stage": "v1", "path": f"/v1{path}"},
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }
    context = fakes.Context(seconds)
    answer = json.loads(json.dumps(handler(event, context)))
    response_headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    if answer["isBase64Encoded"]:
        image = base64.b64decode(answer["body"])
        contract.check_answer(method, path, answer["statusCode"], response_headers, image.hex())
        return Reply(answer["statusCode"], response_headers, {}, image)
    assert not answer["body"] or answer["body"].endswith("}\n"), "curl would leave the prompt there"
    reply = Reply(answer["statusCode"], response_headers, json.loads(answer["body"] or "{}"))
    if reply.document.get("type") != "urn:facet:problem:no-route":
        contract.check_answer(method, path, reply.status, reply.headers, reply.document)
    return reply


def predict(
    body: bytes = PNG,
    content_type: str = "image/png",
    *,
    request_id: str = REQUEST_ID,
    **query: Any,
) -> Reply:
    """Calls `POST /models/cifar/predict`."""
    return call("POST", "/models/cifar/predict", body, content_type, request_id=request_id, **query)
