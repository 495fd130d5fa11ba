"""Values of a request, read from API Gateway's event and checked."""

import base64

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import BadRequest, UnknownModel, UnknownVersion
from facet.keys import MODEL_NAME, VERSION_ID
from predict.timing import Deadline


def model_name(name: str) -> str:
    """Returns the model's name from the path. Raises UnknownModel if no model can have it."""
    if not MODEL_NAME.fullmatch(name):
        raise UnknownModel(name)
    return name


def version_id(model: str, version: str) -> str:
    """Returns the version's id from the path. Raises UnknownVersion if no version can have it."""
    if not VERSION_ID.fullmatch(version):
        raise UnknownVersion(model_name(model), version)
    return version


def whole_number(event: APIGatewayProxyEvent, parameter: str, default: int, maximum: int) -> int:
    """Returns a query parameter in 1..maximum. Raises BadRequest."""
    text = event.query_string_parameters.get(parameter, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= maximum):
        raise BadRequest(f"{parameter} must be a whole number from 1 to {maximum}, not '{text}'.")
    return int(text)


def raw_body(event: APIGatewayProxyEvent) -> bytes:
    """Returns the request's body; API Gateway sends binary bodies in base64."""
    if event.body is None:
        return b""
    return base64.b64decode(event.body) if event.is_base64_encoded else event.body.encode()


def deadline_of(context: LambdaContext) -> Deadline:
    """Returns the end of the function's own timeout."""
    return Deadline.after(context.get_remaining_time_in_millis() / 1000)


def request_id(event: APIGatewayProxyEvent) -> str:
    """Returns API Gateway's id of this request."""
    return str(event.request_context.request_id)
