"""Requests about data sets and teaching: bodies and parameters → checked values."""

import base64
from collections import Counter
from typing import Annotated, TypeVar

import orjson
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
)

from facet.errors import BadRequest, BodyTooLarge, UnknownModel
from facet.keys import IMAGE_SUFFIXES, IMAGE_TYPES, MODEL_NAME, MODEL_NAME_RULE, is_printable
from facet.specs import Frozen
from teach.data_sets import composed

Parsed = TypeVar("Parsed", bound=Frozen)

MAX_IMAGES = 100
"""Images of one request."""

MAX_NAMES = 1000
"""Images that one request deletes by name."""

MAX_BYTES = 200
"""Of a new label or file name in UTF-8."""

MAX_STORED_BYTES = 400
"""Of one that is there already: with the rest, a key has at most 1,024."""

SHOWN = 100
"""Characters of a client's text in a message."""


def _stored(text: str) -> str:
    """A label or a file's name that may be in the bucket, also one that another client wrote."""
    name = composed(text)
    if not 1 <= len(name.encode("utf-8", "replace")) <= MAX_STORED_BYTES or "/" in name:
        raise ValueError(f"must have 1 to {MAX_STORED_BYTES} bytes and no /")
    return name


def _new(text: str) -> str:
    """A label or a file's name as it will stand in a key: composed, as `facet data` does it."""
    name = composed(text)
    if not 1 <= len(name.encode("utf-8", "replace")) <= MAX_BYTES:
        raise ValueError(f"must have 1 to {MAX_BYTES} bytes")
    if "/" in name or name.startswith(".") or not is_printable(name):
        raise ValueError("must not contain / or control characters, nor begin with a dot")
    if name != name.strip():
        raise ValueError("must not begin or end with a space")
    return name


def _file(name: str) -> str:
    if not name.lower().endswith(IMAGE_SUFFIXES):
        raise ValueError(f"must end in one of {', '.join(IMAGE_SUFFIXES)}")
    return name


def _media_type(name: str) -> str:
    if name not in IMAGE_TYPES:
        raise ValueError(f"must be one of {', '.join(IMAGE_TYPES)}")
    return name


def _content(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise ValueError(f"must be the file in base64: {error}") from error


Stored = Annotated[str, AfterValidator(_stored)]
Label = Annotated[str, AfterValidator(_new)]
FileName = Annotated[str, AfterValidator(_new), AfterValidator(_file)]
MediaType = Annotated[str, AfterValidator(_media_type)]
Content = Annotated[
    bytes,
    BeforeValidator(_content),
    Field(min_length=1),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$")]


class SentImage(Frozen):
    """An image to be uploaded, or with `content` (the file in base64) to be stored at once."""

    name: FileName
    content_type: MediaType = IMAGE_TYPES[0]
    content: Content | None = None


def _distinct(images: tuple[SentImage, ...]) -> tuple[SentImage, ...]:
    twice = [name for name, count in Counter(each.name for each in images).items() if count > 1]
    if twice:
        raise ValueError(f"names must differ; more than once: {', '.join(twice[:5])}")
    return images


class NewImages(Frozen):
    """Images for one label, each with a name of its own."""

    label: Label
    images: Annotated[tuple[SentImage, ...], AfterValidator(_distinct)] = Field(
        min_length=1, max_length=MAX_IMAGES
    )


class DeletedImages(Frozen):
    """Images of one label; without names, all of them."""

    label: Stored
    names: tuple[Stored, ...] | None = Field(default=None, min_length=1, max_length=MAX_NAMES)


class Renaming(Frozen):
    """The label that is renamed, and what to."""

    old: Stored = Field(alias="from")
    new: Label = Field(alias="to")


class Renamed(Frozen):
    """A change of a data set."""

    rename: Renaming


class TeachRequest(Frozen):
    """What to teach, and on which backbone.

    `dataset` is by default that of the model's name, `backbone` the only one of the stack: a name,
    or NAME@VERSION. A head is published if so large a part of the images is answered rightly when
    each is left out.
    """

    dataset: Name | None = None
    backbone: str | None = None
    min_accuracy: float = Field(default=0.7, ge=0, le=1)


def data_set_name(name: str) -> str:
    """Returns the data set's name from the path. Raises BadRequest if none can have it."""
    if not MODEL_NAME.fullmatch(name):
        rule = MODEL_NAME_RULE.replace("model", "data set", 1)
        raise BadRequest(f"No data set can be named '{name[:SHOWN]}': {rule}.")
    return name


def model_name(name: str) -> str:
    """Returns the model's name from the path. Raises UnknownModel if no model can have it."""
    if not MODEL_NAME.fullmatch(name):
        raise UnknownModel(name[:SHOWN])
    return name


def parsed(kind: type[Parsed], event: APIGatewayProxyEvent, most: int) -> Parsed:
    """Returns the JSON of a request's body, which may have `most` bytes.

    Raises BadRequest with all that is wrong, and BodyTooLarge.
    """
    body = event.body or "{}"
    content = base64.b64decode(body) if event.is_base64_encoded else body.encode()
    if len(content) > most:
        raise BodyTooLarge(
            f"The body has {len(content):,} bytes; the limit is {most:,}. Send fewer images."
        )
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise BadRequest(_all(error)) from error


def _all(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    found = [
        f"{'.'.join(map(str, each['loc'])) or 'The JSON'}: "
        f"{each['msg'].removeprefix('Value error, ')}"
        for each in problems
    ]
    more = f" (and {len(found) - 10} more)" if len(found) > 10 else ""
    return f"{'; '.join(found[:10])}{more}."


def text(event: APIGatewayProxyEvent, parameter: str) -> str:
    """Returns a query parameter that must be there, composed as keys are. Raises BadRequest."""
    value = event.query_string_parameters.get(parameter)
    if not value:
        raise BadRequest(f"The query parameter {parameter} is missing.")
    try:
        return _stored(value)
    except ValueError as error:
        raise BadRequest(f"{parameter} {error}.") from error


def media_type(file: str) -> str:
    """The media type of an image by its name, as a browser wants one: it looks at the bytes."""
    suffix = file.rpartition(".")[2].lower()
    return f"image/{'jpeg' if suffix in ('jpg', 'jpeg') else suffix}"
