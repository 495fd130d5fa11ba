"""JSON responses of the API: their bodies and headers."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from facet.errors import BadRequest, BodyTooLarge, FacetError, NoLiveVersion, WaitsForEndpoint
from facet.http import problems
from facet.http.json_responses import json_response, problem_response
from facet.places.choice import Choice
from facet.registry.models import Model, Place, Status, Version
from predict.bucket.golden_images import StoredImage
from predict.classification.predictions import Predictions, Ranking

RAN_IN = "X-Facet-Ran-In"
"""The header with the place where the version ran."""

MAX_ANSWER = 6_000_000
"""Bytes of a body in Lambda's answer, which has up to 6 MB with the headers."""

MAX_VERSIONS = 100
PAGE_BYTES = 1_000_000
"""Bytes of a page's versions in JSON: Lambda answers up to 6 MB, and one version has up to 400 kB
of metrics and violations."""


def respond(
    document: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[str]:
    """Returns the document as a JSON response. Raises BodyTooLarge if Lambda cannot return it."""
    response = json_response(document, status, headers=headers)
    check_size(str(response.body))
    return response


def check_size(body: str | bytes) -> None:
    """Raises BodyTooLarge for a body that is too long as JSON, or as base64, in Lambda's answer."""
    size = len(orjson.dumps(body)) if isinstance(body, str) else len(body) * 4 // 3
    if size > MAX_ANSWER:
        raise BodyTooLarge(
            f"The answer would have {size:,} bytes; the limit is {MAX_ANSWER:,}. "
            "Ask for fewer labels, or send fewer images at once."
        )


def cacheable(event: APIGatewayProxyEvent, document: object) -> Response[str]:
    """Returns the document with an ETag, or 304 if `If-None-Match` names that ETag.

    Clients may store it but must revalidate it before each use.
    """
    headers = _caching(hashlib.sha256(orjson.dumps(document)).hexdigest()[:16])
    if headers["ETag"] in event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(headers))
    return respond(document, headers=headers)


def cacheable_image(
    event: APIGatewayProxyEvent, version: str, read: Callable[[], StoredImage]
) -> Response[Any]:
    """Returns a version's image with an ETag, or 304 as `cacheable`; then it is not read."""
    headers = {**_caching(version), "X-Model-Version": version, "X-Content-Type-Options": "nosniff"}
    if headers["ETag"] in event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(headers))
    image = read()
    return Response(200, image.media_type, image.content, headers=dict(headers))


def _caching(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}


def problem(
    kind: problems.Problem,
    detail: str,
    request_id: str,
    error: object = None,
    *,
    protocol: bool = False,
) -> Response[str]:
    """Returns the problem document, with the violations of a NoLiveVersion.

    With `protocol`, adds the member `error` that the Open Inference Protocol requires.
    """
    document = problems.document(kind, detail, request_id)
    if protocol:
        document["error"] = document["detail"]
    if isinstance(error, NoLiveVersion) and not isinstance(error, WaitsForEndpoint):
        document["violations"] = [asdict(each) for each in error.violations]
    return problem_response(kind, document)


def prediction_headers(predictions: Predictions) -> dict[str, str]:
    """Returns `X-Model-Version`, `X-Facet-Ran-In` (the place where it ran) and `Server-Timing`.

    The latter has the milliseconds of each step; that of invoke also has the place.
    """
    place = predictions.place
    steps = {
        name: f"{name};dur={spent:.2f}"
        for name, spent in predictions.stopwatch.milliseconds.items()
    }
    ran_in = {}
    if place:
        ran_in[RAN_IN] = place.value
        steps["invoke"] += f';desc="{place}"'
    timing = ", ".join(steps.values())
    return {"X-Model-Version": predictions.version.id, **ran_in, "Server-Timing": timing}


def prediction_body(predictions: Predictions, many: bool, top_k: int) -> dict[str, object]:
    """Returns `predictions` of a single image, or `results` of `many`.

    A result without an answer has an `error`. Raises the error of a single image.
    """
    version = predictions.version
    head: dict[str, object] = {"model": version.model, "version": version.id}
    ranked = predictions.ranked(top_k)
    if many:
        return head | {"results": [_result(each) for each in ranked]}
    if isinstance(ranked[0], FacetError):
        raise ranked[0]
    return head | _result(ranked[0])


def _result(ranked: Ranking | FacetError) -> dict[str, object]:
    if isinstance(ranked, FacetError):
        return {"predictions": [], "error": problems.of_image(ranked)}
    result: dict[str, object] = {"predictions": [asdict(each) for each in ranked.predictions]}
    if ranked.familiarity is not None:
        result["familiarity"] = ranked.familiarity
    if ranked.unsure:
        result["unsure"] = True
    if ranked.explanation:
        heatmap = base64.b64encode(ranked.explanation.heatmap).decode()
        result["explanation"] = {"label": ranked.explanation.label, "heatmap": heatmap}
    return result


def listed_model(model: Model) -> dict[str, object]:
    """Returns a model's entry in the body of `GET /models`."""
    return {"name": model.name, "kind": model.kind, **_release_state(model)}


def model_body(
    model: Model,
    versions: list[Version],
    choice: Choice,
    next_token: str | None = None,
    *,
    explains: bool = False,
) -> dict[str, object]:
    """Returns the body of `GET /models/{model}`: a page of `versions`, which begin with the newest.

    `choice` says where each runs, `explains` if answers of the live one can be explained.
    `next_token` is that of the page before. Raises BadRequest if the model has no such version.
    """
    live = next((each for each in versions if each.id == model.live), None)
    manifest = live.manifest.model_dump(mode="json") if live and live.manifest else {}

    def places(version: Version) -> list[Place]:
        return choice.places(version, model.run_in) if version.status is Status.READY else []

    page, following = _page(versions, places, next_token)
    return {
        "model": model.name,
        "kind": model.kind,
        **_release_state(model),
        "description": manifest.get("description"),
        "labels": manifest.get("labels"),
        "features": manifest.get("output", {}).get("width"),
        "backbone": manifest.get("backbone"),
        "explains": explains,
        "input": manifest.get("input"),
        "versions": page,
        "next_token": following,
    }


def _page(
    versions: list[Version], places: Callable[[Version], list[Place]], after: str | None
) -> tuple[list[dict[str, object]], str | None]:
    """Returns the versions that follow the one with the id `after`, and the token of the next page.

    A page has at least one version, and at most MAX_VERSIONS and about PAGE_BYTES.
    """
    ids = [each.id for each in versions]
    if after is not None and after not in ids:
        raise BadRequest(
            "next_token must be the value of 'next_token' in the page before; start again without."
        )
    first = 0 if after is None else ids.index(after) + 1
    page: list[dict[str, object]] = []
    size = 0
    for at, each in enumerate(versions[first:], first):
        summary = _version_summary(each, places(each))
        size += len(orjson.dumps(summary))
        if page and (size > PAGE_BYTES or len(page) == MAX_VERSIONS):
            return page, ids[at - 1]
        page.append(summary)
    return page, None


def _release_state(model: Model) -> dict[str, object]:
    return {
        "live": model.live,
        "previous": model.previous,
        "policy": asdict(model.policy),
        "run_in": model.run_in,
        "canary": asdict(model.canary) if model.canary else None,
        "rolled_back": model.rolled_back,
        "updated_at": model.updated_at,
    }


def _version_summary(version: Version, places: list[Place]) -> dict[str, object]:
    return {
        "version": version.id,
        "status": version.status,
        "size": version.size,
        "uploaded_at": version.uploaded_at,
        "updated_at": version.updated_at,
        "postponed_at": version.postponed_at,
        "proof": version.proof,
        "proven_in": {place.value: at for place, at in version.proven_in.items()},
        "not_proven": {
            place.value: [asdict(each) for each in reasons]
            for place, reasons in version.not_proven.items()
        },
        "runs_in": places,
        "function_seconds": version.function_seconds,
        "litert_size": version.litert_size,
        "max_batch_size": version.max_batch_size,
        "metrics": version.manifest.metrics if version.manifest else {},
        "violations": [asdict(each) for each in version.violations],
    }
