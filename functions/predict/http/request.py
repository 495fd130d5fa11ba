"""Values of a request, read from API Gateway's event and checked."""

import base64

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.errors import BadRequest, UnknownModel, UnknownVersion
from facet.keys import MODEL_NAME, VERSION_ID
from predict.timing import Deadline

MAX_DIGITS = 12
MAX_SHOWN = 100
"""Characters of a value in the message that rejects it."""


def model_name(name: str) -> str:
    """Returns the model's name from the path. Raises UnknownModel if no model can have it."""
    if not MODEL_NAME.fullmatch(name):
        raise UnknownModel(shown(name))
    return name


def version_id(model: str, version: str) -> str:
    """Returns the version's id from the path. Raises UnknownVersion if no version can have it."""
    if not VERSION_ID.fullmatch(version):
        raise UnknownVersion(model_name(model), shown(version))
    return version


def asked_version(version: str | None) -> str | None:
    """Returns the parameter `version` as it is. Raises BadRequest if no version can have it."""
    if version is not None and not VERSION_ID.fullmatch(version):
        raise BadRequest(f"version must be 12 hex digits, not '{shown(version)}'.")
    return version


def whole_number(
    event: APIGatewayProxyEvent, parameter: str, default: int | str, maximum: int
) -> int:
    """Returns a query parameter, or the default, in 1..maximum. Raises BadRequest."""
    return number(parameter, event.query_string_parameters.get(parameter, str(default)), maximum)


def number(name: str, text: str, maximum: int) -> int:
    """Returns the decimal digits in `text` as a number in 1..maximum. Raises BadRequest."""
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not (digits and 1 <= int(text) <= maximum):
        raise BadRequest(f"{name} must be a whole number from 1 to {maximum}, not '{shown(text)}'.")
    return int(text)


def flag(name: str, text: str | None) -> bool:
    """Returns whether the parameter is `true`; it may be missing. Raises BadRequest."""
    if text not in (None, "true", "false"):
        raise BadRequest(f"{name} must be true or false, not '{shown(str(text))}'.")
    return text == "true"


def shown(text: str) -> str:
    """Returns the beginning of what a client sent, short enough for a message."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


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
