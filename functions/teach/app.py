"""The handler of the routes for data sets and teaching."""

from collections import Counter
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import FacetError
from facet.http import cors, json_responses, problems
from facet.http.json_responses import json_response
from facet.observability import count, logger
from facet.registry.teachings import Teaching, utc_now
from facet.settings import settings
from teach import requests
from teach.clients import data_sets, teachings
from teach.data_sets import MAX_SHOWN_BYTES
from teach.requests import data_set_name, model_name, parsed
from teach.start import start

PAGE = 1000
"""Images of one page of a label."""

COUNTED = 10_000
"""Images that one page of labels counts, with ten requests to S3."""

app = APIGatewayRestResolver()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one API Gateway REST proxy event."""
    logger().set_correlation_id(event["requestContext"]["requestId"])
    return cors.with_cors(app.resolve(event, context), settings().allow_origin)


@app.post("/datasets/<name>/images")
def add_images(name: str) -> Response[str]:
    """Forms for images of one label; those whose content is in the request are stored."""
    dataset = data_set_name(name)
    sent = parsed(requests.NewImages, app.current_event, settings().max_body)
    uploads = [
        data_sets().put(dataset, sent.label, each.name, each.content)
        if each.content is not None
        else data_sets().form(
            dataset,
            sent.label,
            each.name,
            each.content_type,
            settings().max_upload,
            settings().upload_expires,
        )
        for each in sent.images
    ]
    return json_response({"uploads": [asdict(each) for each in uploads]}, 201)


@app.get("/datasets/<name>")
def show_data_set(name: str) -> Response[str]:
    """One page of the images of a data set, counted by label."""
    dataset, event = data_set_name(name), app.current_event
    after = event.query_string_parameters.get("after", "")
    images, following = data_sets().page(dataset, None, COUNTED, after)
    counts = Counter(each.label for each in images)
    labels = [{"label": label, "images": number} for label, number in counts.items()]
    document = {"dataset": dataset, "images": len(images), "labels": labels, "next": following}
    return json_response(document)


@app.get("/datasets/<name>/images")
def list_images(name: str) -> Response[str]:
    """One page of the images of a label."""
    dataset, event = data_set_name(name), app.current_event
    after = event.query_string_parameters.get("after", "")
    images, following = data_sets().page(dataset, requests.text(event, "label"), PAGE, after)
    listed = [{"name": each.name, "size": each.size} for each in images]
    return json_response({"images": listed, "next": following})


@app.get("/datasets/<name>/image")
def show_image(name: str) -> Response[Any]:
    """An image of a data set."""
    dataset, event = data_set_name(name), app.current_event
    label, file = requests.text(event, "label"), requests.text(event, "name")
    content = data_sets().read(dataset, label, file, MAX_SHOWN_BYTES)
    headers: dict[str, str | list[str]] = {
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(200, requests.media_type(file), content, headers=headers)


@app.delete("/datasets/<name>/images")
def delete_images(name: str) -> Response[str]:
    """Deletes images of a label, or the label."""
    dataset = data_set_name(name)
    chosen = parsed(requests.DeletedImages, app.current_event, settings().max_body)
    deleted = data_sets().delete(dataset, chosen.label, chosen.names)
    return json_response({"dataset": dataset, "deleted": deleted})


@app.patch("/datasets/<name>")
def rename_label(name: str) -> Response[str]:
    """Renames a label."""
    dataset = data_set_name(name)
    renaming = parsed(requests.Renamed, app.current_event, settings().max_body).rename
    moved = data_sets().rename(dataset, renaming.old, renaming.new)
    return json_response({"dataset": dataset, "moved": moved})


@app.post("/models/<name>/teach")
def teach(name: str) -> Response[str]:
    """Starts to teach a model."""
    model = model_name(name)
    request = parsed(requests.TeachRequest, app.current_event, settings().max_body)
    return json_response(document_of(start().start(model, request, uuid4().hex)), 202)


@app.get("/models/<name>/teach")
def show_teaching(name: str) -> Response[str]:
    """How far the teaching of a model is, or how the last one ended."""
    return json_response(document_of(teachings().find(model_name(name)).as_of(utc_now())))


def document_of(teaching: Teaching) -> dict[str, object]:
    """The JSON of a teaching."""
    return {
        "model": teaching.model,
        "teaching": teaching.id,
        "status": teaching.state,
        "step": teaching.step,
        "done": teaching.done,
        "total": teaching.total,
        "dataset": teaching.dataset,
        "backbone": {"model": teaching.backbone, "version": teaching.backbone_version},
        "min_accuracy": teaching.min_accuracy,
        "started_at": teaching.started_at,
        "updated_at": teaching.updated_at,
        "version": teaching.version,
        "problems": [asdict(each) for each in teaching.problems],
        "report": teaching.report,
    }


@app.exception_handler(FacetError)  # type: ignore[untyped-decorator]
def facet_error(error: FacetError) -> Response[str]:
    """Answers an error that Facet raised, by the error table."""
    return problem_response(problems.problem_of(error), str(error))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def unexpected_error(error: Exception) -> Response[str]:
    """Logs a bug or an outage with its traceback, and answers without details."""
    logger().exception("unexpected error", exc_info=error)
    return problem_response(problems.BUG, problems.BUG_DETAIL)


@app.not_found
def no_route(_: NotFoundError) -> Response[str]:
    """Answers a name with characters that no route takes, such as an emoji."""
    return problem_response(problems.NO_ROUTE, "See /docs.")


def problem_response(problem: problems.Problem, detail: str) -> Response[str]:
    """Counts the problem and returns its document."""
    count("Problems", problem=problem.name)
    request = str(app.current_event.request_context.request_id)
    return json_responses.problem_response(problem, problems.document(problem, detail, request))
