"""Answers of the API."""

import hashlib
from dataclasses import asdict

import orjson
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from facet.registry.models import Model, Version
from predict.classifier import Predictions


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


def cacheable(event: APIGatewayProxyEvent, answer: object) -> Response[str]:
    """JSON that clients may keep, but have to ask about; 304 where they have it as it is."""
    tag = f'"{hashlib.sha256(orjson.dumps(answer)).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(headers))
    return respond(answer, headers=headers)


def timing(answer: Predictions) -> dict[str, str]:
    """The headers that tell the version and where the time went."""
    steps = (f"{name};dur={spent:.2f}" for name, spent in answer.stopwatch.milliseconds.items())
    return {"X-Model-Version": answer.version.id, "Server-Timing": ", ".join(steps)}


def predictions(answer: Predictions, many: bool, top_k: int) -> dict[str, object]:
    """The body of a prediction's answer: `predictions` of one image, or `results` of many."""
    results = [[asdict(each) for each in ranked] for ranked in answer.ranked(top_k)]
    head: dict[str, object] = {"model": answer.version.model, "version": answer.version.id}
    if many:
        return head | {"results": [{"predictions": each} for each in results]}
    return head | {"predictions": results[0]}


def listed(model: Model) -> dict[str, object]:
    """A model in the body of GET /models."""
    return {"name": model.name, **_alias(model)}


def described(model: Model, versions: list[Version]) -> dict[str, object]:
    """The body of GET /models/{model}."""
    live = next((each for each in versions if each.id == model.live), None)
    manifest = live.manifest.model_dump(mode="json") if live and live.manifest else {}
    return {
        "model": model.name,
        **_alias(model),
        "description": manifest.get("description"),
        "labels": manifest.get("labels"),
        "input": manifest.get("input"),
        "versions": [_summary(each) for each in versions],
    }


def _alias(model: Model) -> dict[str, object]:
    return {
        "live": model.live,
        "previous": model.previous,
        "policy": asdict(model.policy),
        "canary": asdict(model.canary) if model.canary else None,
        "rolled_back": model.rolled_back,
        "updated_at": model.updated_at,
    }


def _summary(version: Version) -> dict[str, object]:
    return {
        "version": version.id,
        "status": version.status,
        "size": version.size,
        "uploaded_at": version.uploaded_at,
        "updated_at": version.updated_at,
        "proof": version.proof,
        "metrics": version.manifest.metrics if version.manifest else {},
        "violations": [asdict(each) for each in version.violations],
    }
