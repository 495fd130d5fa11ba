"""What a request says, out of API Gateway's event."""

import base64

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import BadRequest, UnknownModel, UnknownVersion
from facet.keys import MODEL_NAME, VERSION_ID
from predict.timing import Deadline


def named(name: str) -> str:
    """A model's name from the path; one that cannot be any model's is an unknown model."""
    if not MODEL_NAME.fullmatch(name):
        raise UnknownModel(name)
    return name


def versioned(model: str, version: str) -> str:
    """A version's id from the path; one that cannot be any version's is an unknown version."""
    if not VERSION_ID.fullmatch(version):
        raise UnknownVersion(named(model), version)
    return version


def number(event: APIGatewayProxyEvent, parameter: str, default: int, most: int) -> int:
    """A whole number in 1..most from the query. Raises BadRequest."""
    text = event.query_string_parameters.get(parameter, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise BadRequest(f"{parameter} must be a whole number from 1 to {most}, not '{text}'.")
    return int(text)


def raw_body(event: APIGatewayProxyEvent) -> bytes:
    """The request's body, out of the base64 in which API Gateway hands over binary."""
    if event.body is None:
        return b""
    return base64.b64decode(event.body) if event.is_base64_encoded else event.body.encode()


def deadline_of(context: LambdaContext) -> Deadline:
    """When the function's time is over."""
    return Deadline.after(context.get_remaining_time_in_millis() / 1000)


def request_id(event: APIGatewayProxyEvent) -> str:
    """API Gateway's id of this request."""
    return str(event.request_context.request_id)
