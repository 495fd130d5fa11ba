"""The API's Lambda handler: routes → logic → JSON, and errors → problem documents."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import BadRequest, FacetError, ModelFailed
from facet.http import cors, problems
from facet.keys import MODEL_NAME, NAME_PART
from facet.observability import count, logger
from facet.registry.suggestions import suggestion
from facet.settings import settings
from predict.classification import explanation
from predict.clients import choice, endpoint_health, golden_images, inbox, predictor, registry
from predict.http import body, inference_protocol, responses
from predict.http.request import (
    asked_version,
    deadline_of,
    flag,
    model_name,
    raw_body,
    request_id,
    whole_number,
)
from predict.http.responses import cacheable, cacheable_image, respond
from predict.predictor import PredictionRequest

MAX_TOP_K = 1000
DEFAULT_TOP_K = 5
MAX_PAGE = 100

app = APIGatewayRestResolver()
app.include_router(inference_protocol.router)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one API Gateway REST proxy event."""
    logger().set_correlation_id(event["requestContext"]["requestId"])
    origin = settings().allow_origin
    if event["httpMethod"] == "OPTIONS":
        return cors.preflight(origin)
    return cors.with_cors(app.resolve(event, context), origin)


@app.get("/health")
def health() -> Response[str]:
    """The health check: of the API itself and, by its last predictions, of the endpoint."""
    endpoint_health().check()
    return respond({"status": "ok"})


@app.get("/models")
def list_models() -> Response[str]:
    """One page of models: up to `limit` names after the name `after`, which contain `contains`."""
    event = app.current_event
    after = event.query_string_parameters.get("after")
    if after and not MODEL_NAME.fullmatch(after):
        raise BadRequest("after must be a model's name: the value of 'next' in the previous page.")
    limit = whole_number(event, "limit", MAX_PAGE, MAX_PAGE)
    text = event.query_string_parameters.get("contains")
    if text and not NAME_PART.fullmatch(text):
        raise BadRequest(
            "contains must be a part of a name: up to 63 lower-case letters, digits and dashes."
        )
    if text:
        models, following = registry().search(text, limit, after)
    else:
        models, following = registry().models(limit, after)
    listed = [responses.listed_model(each) for each in models]
    return cacheable(event, {"models": listed, "next": following})


@app.get("/models/<name>")
def show_model(name: str) -> Response[str]:
    """A model, and a page of its versions with their violations."""
    event = app.current_event
    model = registry().model(model_name(name))
    token = event.query_string_parameters.get("next_token")
    versions = registry().versions(model.name)
    live = next((each for each in versions if each.id == model.live), None)
    explains = live is not None and explanation.possible(live, registry().ready)
    document = responses.model_body(model, versions, choice(), token, explains=explains)
    return cacheable(event, document)


@app.get("/models/<name>/golden")
def show_golden(name: str) -> Response[Any]:
    """The golden sample's image of the live version, or of another READY `version`."""
    event = app.current_event
    model, version = model_name(name), asked_version(event.query_string_parameters.get("version"))
    found = registry().ready(model, version) if version else registry().live(model)
    return cacheable_image(event, found.id, lambda: golden_images().read(model, found.id))


@app.post("/uploads")
def create_upload() -> Response[str]:
    """A presigned form for one image that is too large for a request's body."""
    request = body.parse_json(raw_body(app.current_event) or b"{}")
    match request:
        case {"content_type": str(content_type), **rest} if not rest:
            form = inbox().upload_form(content_type)
        case {**rest} if not rest:
            form = inbox().upload_form("image/jpeg")
        case _:
            raise BadRequest('The JSON must be {"content_type": "image/jpeg"}, or another type.')
    document = asdict(form)
    return respond({"s3": document.pop("key"), **document}, status=201)


@app.post("/models/<name>/predict")
def predict(name: str) -> Response[str]:
    """Labels for one image, or for each of `images`."""
    event = app.current_event
    deadline = deadline_of(app.lambda_context)
    limits = body.Limits(settings().max_body, settings().max_images)
    sent = body.read_images(event.headers.get("content-type", ""), raw_body(event), limits)
    top_k = whole_number(event, "top_k", sent.top_k or DEFAULT_TOP_K, MAX_TOP_K)
    version = asked_version(event.query_string_parameters.get("version", sent.version))
    explain = flag("explain", event.query_string_parameters.get("explain", sent.explain))
    if explain and len(sent.images) > 1:
        raise BadRequest(
            f"explain is for one image, and here are {len(sent.images)}: send a request for each."
        )
    request = PredictionRequest(
        request_id=request_id(event),
        model=model_name(name),
        images=sent.images if sent.key is None else (inbox().read(sent.key),),
        deadline=deadline,
        version=version,
        explain=explain,
    )
    predictions = predictor().predict(request)
    document = responses.prediction_body(predictions, sent.many, top_k)
    for error in predictions.failures.values():
        count("ImageProblems", problem=problems.problem_of(error).name)
    return respond(document, headers=responses.prediction_headers(predictions))


@app.exception_handler(FacetError)  # type: ignore[untyped-decorator]
def facet_error(error: FacetError) -> Response[str]:
    """Answers an error that Facet raised, by the error table."""
    if isinstance(error, ModelFailed):
        logger().error("model failed", reason=error.reason, exc_info=error)
    detail = f"{error}{suggestion(error, registry())}"
    return problem_response(problems.problem_of(error), detail, error)


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def unexpected_error(error: Exception) -> Response[str]:
    """Logs a bug or an outage with its traceback, and answers without details."""
    logger().exception("unexpected error", exc_info=error)
    return problem_response(problems.BUG, problems.BUG_DETAIL)


@app.not_found
def no_route(_: NotFoundError) -> Response[str]:
    """Answers a path that API Gateway forwards but no route handles."""
    return problem_response(problems.NO_ROUTE, "See GET /models.")


def problem_response(problem: problems.Problem, detail: str, error: object = None) -> Response[str]:
    """Counts the problem and returns its document, under /v2 with the protocol's `error`."""
    count("Problems", problem=problem.name)
    event = app.current_event
    protocol = str(event.get("resource")).startswith(inference_protocol.ROOT)
    return responses.problem(problem, detail, request_id(event), error, protocol=protocol)
