"""The API's handler: routes to logic, results to JSON, errors to problem documents."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import BadRequest, FacetError, ModelFailed
from facet.keys import MODEL_NAME, VERSION_ID
from facet.observability import count, logger
from facet.settings import settings
from predict.clients import inbox, predictor, registry
from predict.http import body, cors, oip, problems, responses
from predict.http.request import deadline_of, named, number, raw_body, request_id
from predict.http.responses import cacheable, respond, timing
from predict.predictor import PredictionRequest

MAX_TOP_K = 1000
DEFAULT_TOP_K = 5
MAX_PAGE = 100

app = APIGatewayRestResolver()
app.include_router(oip.router)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one API Gateway REST proxy event."""
    logger().set_correlation_id(event["requestContext"]["requestId"])
    origin = settings().allow_origin
    if event["httpMethod"] == "OPTIONS":
        return cors.preflight(origin)
    return cors.with_cors(app.resolve(event, context), origin)


@app.get("/health")
def health() -> Response[str]:
    """The API is up; says nothing about any model."""
    return respond({"status": "ok"})


@app.get("/models")
def list_models() -> Response[str]:
    """One page of models: `limit` names after the name `after`."""
    event = app.current_event
    after = event.query_string_parameters.get("after")
    if after and not MODEL_NAME.fullmatch(after):
        raise BadRequest("after must be the name of a model: the 'next' of the page before.")
    models, following = registry().models(number(event, "limit", MAX_PAGE, MAX_PAGE), after)
    listed = [responses.listed(each) for each in models]
    return cacheable(event, {"models": listed, "next": following})


@app.get("/models/<name>")
def show_model(name: str) -> Response[str]:
    """A model, and all its versions with their violations."""
    model = registry().model(named(name))
    return cacheable(app.current_event, responses.described(model, registry().versions(model.name)))


@app.post("/uploads")
def offer_upload() -> Response[str]:
    """A place in the bucket for one image over the limit of a body."""
    request = body.document(raw_body(app.current_event) or b"{}")
    match request:
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
    """Labels for one image, or for each of `images`."""
    event = app.current_event
    version = event.query_string_parameters.get("version")
    if version is not None and not VERSION_ID.fullmatch(version):
        raise BadRequest(f"version must be 12 hex digits, not '{version}'.")
    deadline = deadline_of(app.lambda_context)
    top_k = number(event, "top_k", DEFAULT_TOP_K, MAX_TOP_K)
    limits = body.Limits(settings().max_body, settings().max_images)
    sent = body.read_images(event.headers.get("content-type", ""), raw_body(event), limits)
    request = PredictionRequest(
        request_id=request_id(event),
        model=named(name),
        images=sent.encoded if sent.key is None else (inbox().read(sent.key),),
        deadline=deadline,
        version=version,
    )
    answer = predictor().predict(request)
    document = responses.predictions(answer, sent.many, top_k)
    return respond(document, headers=timing(answer))


@app.exception_handler(FacetError)  # type: ignore[untyped-decorator]
def refuse(error: FacetError) -> Response[str]:
    """Every error we raise on purpose, by the table."""
    if isinstance(error, ModelFailed):
        logger().error("model failed", reason=error.reason, exc_info=error)
    return answered(problems.problem_of(error), str(error), error)


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def stumble(error: Exception) -> Response[str]:
    """Everything else is a bug or an outage: logged whole, answered without its words."""
    logger().exception("unexpected error", exc_info=error)
    detail = "Try again; if it stays, give the request id to whoever runs this API."
    return answered(problems.BUG, detail)


@app.not_found
def no_route(_: NotFoundError) -> Response[str]:
    """A path that API Gateway sent here, but that is none of ours."""
    return answered(problems.NO_ROUTE, "See GET /models.")


def answered(problem: problems.Problem, detail: str, error: object = None) -> Response[str]:
    """The problem document, with what clients of the Open Inference Protocol look for."""
    count("Problems", problem=problem.name)
    event = app.current_event
    below = str(event.get("resource")).startswith(oip.ROOT)
    return problems.respond(problem, detail, request_id(event), error, protocol=below)
