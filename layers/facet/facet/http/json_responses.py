"""JSON responses of the API, with a newline at their end for the shells of curl's users."""

import orjson
from aws_lambda_powertools.event_handler.api_gateway import Response

from facet.http.problems import PROBLEM_TYPE, Problem


def json_response(
    document: object,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """Returns the document as a response."""
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE).decode()
    return Response(status, content_type, body, headers=dict(headers or {}))


def problem_response(problem: Problem, document: object) -> Response[str]:
    """Returns a problem's document, with when to retry if that helps."""
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
    return json_response(document, problem.status, PROBLEM_TYPE, headers)
