"""Answers of the API."""

import hashlib

import orjson
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from predict.classify import Classified


def respond(
    answer: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[str]:
    """JSON."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=orjson.dumps(answer).decode(),
        headers=dict(headers or {}),
    )


def fresh(event: APIGatewayProxyEvent, answer: object) -> Response[str]:
    """JSON that clients may keep, but have to ask about; 304 where they have it as it is."""
    tag = f'"{hashlib.sha256(orjson.dumps(answer)).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(headers))
    return respond(answer, headers=headers)


def timing(answer: Classified) -> dict[str, str]:
    """The headers that tell the version and where the time went."""
    steps = (f"{name};dur={spent:.2f}" for name, spent in answer.watch.milliseconds.items())
    return {"X-Model-Version": answer.version.id, "Server-Timing": ", ".join(steps)}
