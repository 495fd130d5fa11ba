"""The API's handler: routes to logic, results to JSON, errors to problem documents."""

import base64
from dataclasses import asdict
from functools import cache
from typing import Any

import boto3
import orjson
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from facet import endpoint
from facet.errors import BadRequest, FacetError, ModelFailed, UnknownModel
from facet.manifest import MODEL_NAME, VERSION_ID
from facet.observability import logger
from facet.registry import Model, Registry, Version
from facet.settings import settings
from predict import body, problems
from predict.classify import Classified, Classifier
from predict.live import LiveVersions

MAX_TOP_K = 1000
DEFAULT_TOP_K = 5
MAX_PAGE = 100
REGISTRY_CLIENT = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
"""An outage has to show soon enough to answer from memory within API Gateway's 29 seconds."""

app = APIGatewayRestResolver()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one API Gateway REST proxy event."""
    logger().set_correlation_id(event["requestContext"]["requestId"])
    return app.resolve(event, context)


@cache
def registry() -> Registry:
    """The registry of this process."""
    dynamodb = boto3.resource("dynamodb", config=REGISTRY_CLIENT)
    return Registry(dynamodb.Table(settings().table))


@cache
def classifier() -> Classifier:
    """The classifier of this process."""
    runtime = endpoint.client(settings().invoke_timeout)
    return Classifier(
        LiveVersions(registry(), settings().registry_ttl),
        endpoint.Endpoint(runtime, settings().endpoint),
    )


@app.get("/health")
def health() -> Response[str]:
    """The API is up; says nothing about any model."""
    return respond({"status": "ok"})


@app.get("/models")
def list_models() -> Response[str]:
    """One page of models: `limit` names after the name `after`."""
    after = app.current_event.query_string_parameters.get("after")
    if after and not MODEL_NAME.fullmatch(after):
        raise BadRequest("after must be the name of a model: the 'next' of the page before.")
    models, following = registry().models(number("limit", MAX_PAGE, MAX_PAGE), after)
    return respond({"models": [asdict(each) for each in models], "next": following})


@app.get("/models/<name>")
def show_model(name: str) -> Response[str]:
    """A model, and all its versions with their violations."""
    model = registry().model(named(name))
    return respond(described(model, registry().versions(model.name)))


@app.post("/models/<name>/predict")
def predict(name: str) -> Response[str]:
    """Labels for one picture, or for each of `images`."""
    event = app.current_event
    version = event.query_string_parameters.get("version")
    if version is not None and not VERSION_ID.fullmatch(version):
        raise BadRequest(f"version must be 12 hex digits, not '{version}'.")
    sent = body.pictures(event.headers.get("content-type", ""), raw_body())
    answer = classifier().classify(
        named(name),
        sent.encoded,
        version=version,
        top_k=number("top_k", DEFAULT_TOP_K, MAX_TOP_K),
    )
    return respond(document(answer, sent.many), timing(answer))


@app.exception_handler(FacetError)  # type: ignore[untyped-decorator]
def refuse(error: FacetError) -> Response[str]:
    """Every error we raise on purpose, by the table."""
    if isinstance(error, ModelFailed):
        logger().error("model failed", reason=error.reason, exc_info=error)
    return problems.respond(problems.problem_of(error), str(error), request_id(), error)


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def stumble(error: Exception) -> Response[str]:
    """Everything else is a bug or an outage: logged whole, answered without its words."""
    logger().exception("unexpected error", exc_info=error)
    detail = "Try again; if it stays, give the request id to whoever runs this API."
    return problems.respond(problems.BUG, detail, request_id())


@app.not_found
def no_route(_: NotFoundError) -> Response[str]:
    """A path that API Gateway sent here, but that is none of ours."""
    return problems.respond(problems.NO_ROUTE, "See GET /models.", request_id())


def respond(answer: object, headers: dict[str, str] | None = None) -> Response[str]:
    """200 with JSON."""
    return Response(
        status_code=200,
        content_type="application/json",
        body=orjson.dumps(answer).decode(),
        headers=dict(headers or {}),
    )


def document(answer: Classified, many: bool) -> dict[str, object]:
    """The body of a prediction's answer: `predictions` of one picture, or `results` of many."""
    results = [[asdict(each) for each in predictions] for predictions in answer.results]
    head: dict[str, object] = {"model": answer.version.model, "version": answer.version.id}
    if many:
        return head | {"results": [{"predictions": each} for each in results]}
    return head | {"predictions": results[0]}


def timing(answer: Classified) -> dict[str, str]:
    """The headers that tell the version and where the time went."""
    steps = (f"{name};dur={spent:.2f}" for name, spent in answer.milliseconds.items())
    return {"X-Model-Version": answer.version.id, "Server-Timing": ", ".join(steps)}


def described(model: Model, versions: list[Version]) -> dict[str, object]:
    """The body of GET /models/{model}."""
    live = next((each for each in versions if each.id == model.live), None)
    manifest = live.manifest.model_dump(mode="json") if live and live.manifest else {}
    return {
        "model": model.name,
        "live": model.live,
        "previous": model.previous,
        "policy": model.policy,
        "description": manifest.get("description"),
        "labels": manifest.get("labels"),
        "input": manifest.get("input"),
        "versions": [_summary(each) for each in versions],
    }


def _summary(version: Version) -> dict[str, object]:
    return {
        "version": version.id,
        "status": version.status,
        "size": version.size,
        "dropped_at": version.dropped_at,
        "updated_at": version.updated_at,
        "proof": version.proof,
        "metrics": version.manifest.metrics if version.manifest else {},
        "violations": [asdict(each) for each in version.violations],
    }


def named(name: str) -> str:
    """A model's name from the path; one that cannot be any model's is an unknown model."""
    if not MODEL_NAME.fullmatch(name):
        raise UnknownModel(name)
    return name


def number(parameter: str, default: int, most: int) -> int:
    """A whole number in 1..most from the query. Raises BadRequest."""
    text = app.current_event.query_string_parameters.get(parameter, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise BadRequest(f"{parameter} must be a whole number from 1 to {most}, not '{text}'.")
    return int(text)


def raw_body() -> bytes:
    """The request's body, out of the base64 in which API Gateway hands over binary."""
    event = app.current_event
    if event.body is None:
        return b""
    return base64.b64decode(event.body) if event.is_base64_encoded else event.body.encode()


def request_id() -> str:
    """API Gateway's id of this request."""
    return str(app.current_event.request_context.request_id)
