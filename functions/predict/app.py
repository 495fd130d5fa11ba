"""The API's handler: routes to logic, results to JSON, errors to problem documents."""

import base64
import hashlib
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from facet import endpoint
from facet.alias import Alias
from facet.errors import BadRequest, FacetError, ModelFailed, UnknownModel
from facet.manifest import MODEL_NAME, VERSION_ID
from facet.news import News
from facet.observability import logger
from facet.registry import Registry
from facet.settings import settings
from predict import body, cors, documents, problems
from predict.answer import Asked, Predictor
from predict.classify import Classified, Classifier
from predict.deadline import Deadline
from predict.inbox import Inbox
from predict.live import LiveVersions
from predict.tally import Tally

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

MAX_TOP_K = 1000
DEFAULT_TOP_K = 5
MAX_PAGE = 100
IMPATIENT = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
"""For all but the endpoint: an outage has to show soon enough to answer from memory within API
Gateway's 29 seconds."""

app = APIGatewayRestResolver()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one API Gateway REST proxy event."""
    logger().set_correlation_id(event["requestContext"]["requestId"])
    origin = settings().allow_origin
    if event["httpMethod"] == "OPTIONS":
        return cors.preflight(origin)
    return cors.readable(app.resolve(event, context), origin)


@cache
def table() -> "Table":
    """The registry's table, as this process reaches it."""
    return boto3.resource("dynamodb", config=IMPATIENT).Table(settings().table)


@cache
def registry() -> Registry:
    """The registry of this process."""
    return Registry(table())


@cache
def news() -> News:
    """How this process tells what became of a canary. Made when one ends, which is seldom."""
    events = boto3.client("events", config=IMPATIENT)
    return News(events, boto3.client("sns", config=IMPATIENT), settings().topic)


@cache
def predictor() -> Predictor:
    """The predictor of this process."""
    name = settings()
    versions = LiveVersions(registry(), name.registry_ttl)
    return Predictor(
        versions,
        Classifier(reached, name.invoke_timeout, name.max_pixels),
        Tally(Alias(table()), news, versions.expire),
    )


@cache
def reached(timeout: float) -> endpoint.Endpoint:
    """The endpoint, by a client that waits so many seconds for it."""
    return endpoint.Endpoint(endpoint.client(timeout), settings().endpoint)


@cache
def inbox() -> Inbox:
    """Where pictures over the limit of a body come from. Made when there is one."""
    config = IMPATIENT.merge(Config(signature_version="s3v4"))
    name = settings()
    return Inbox(
        boto3.client("s3", config=config), name.bucket, name.max_upload, name.upload_expires
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
    listed = [documents.listed(each) for each in models]
    return fresh({"models": listed, "next": following})


@app.get("/models/<name>")
def show_model(name: str) -> Response[str]:
    """A model, and all its versions with their violations."""
    model = registry().model(named(name))
    return fresh(documents.described(model, registry().versions(model.name)))


@app.post("/uploads")
def offer_upload() -> Response[str]:
    """A place in the bucket for one picture over the limit of a body."""
    asked = body.document(raw_body() or b"{}")
    match asked:
        case {"content_type": str(content_type), **rest} if not rest:
            offer = inbox().offer(content_type)
        case {**rest} if not rest:
            offer = inbox().offer("image/jpeg")
        case _:
            raise BadRequest('The JSON must be {"content_type": "image/jpeg"}, or another type.')
    document = asdict(offer)
    return respond({"s3": document.pop("key"), **document}, status=201)


@app.post("/models/<name>/predict")
def predict(name: str) -> Response[str]:
    """Labels for one picture, or for each of `images`."""
    event = app.current_event
    version = event.query_string_parameters.get("version")
    if version is not None and not VERSION_ID.fullmatch(version):
        raise BadRequest(f"version must be 12 hex digits, not '{version}'.")
    deadline = Deadline.after(app.lambda_context.get_remaining_time_in_millis() / 1000)
    limits = body.Limits(settings().max_body, settings().max_pictures)
    sent = body.pictures(event.headers.get("content-type", ""), raw_body(), limits)
    asked = Asked(
        request_id=request_id(),
        model=named(name),
        pictures=sent.encoded if sent.key is None else (inbox().read(sent.key),),
        deadline=deadline,
        top_k=number("top_k", DEFAULT_TOP_K, MAX_TOP_K),
        version=version,
    )
    answer = predictor().predict(asked)
    return respond(documents.predictions(answer, sent.many), headers=timing(answer))


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


def fresh(answer: object) -> Response[str]:
    """JSON that clients may keep, but have to ask about; 304 where they have it as it is."""
    tag = f'"{hashlib.sha256(orjson.dumps(answer)).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in app.current_event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(headers))
    return respond(answer, headers=headers)


def timing(answer: Classified) -> dict[str, str]:
    """The headers that tell the version and where the time went."""
    steps = (f"{name};dur={spent:.2f}" for name, spent in answer.watch.milliseconds.items())
    return {"X-Model-Version": answer.version.id, "Server-Timing": ", ".join(steps)}


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
