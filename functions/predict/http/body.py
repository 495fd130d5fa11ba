"""A request's body → the bytes of one or more images, or the key of an upload."""

from dataclasses import dataclass
from email.message import Message
from io import BytesIO

import multipart
import orjson

from facet.errors import BadRequest, BodyTooLarge
from predict.http import base64_text

MAX_BODY = 4_500_000
"""Bytes of a raw body. Lambda accepts 6 MB of JSON, and base64 makes a body a third longer."""

MAX_IMAGES = 32

CURL_DATA = "application/x-www-form-urlencoded"
UNTYPED = (CURL_DATA, "text/plain", "application/octet-stream")
"""The types of `curl -d`, of a body without a type, and of files."""

STRIPPED = b"\x89PNG\x1a"
"""How a PNG begins without its line breaks."""

FIELDS = ("top_k", "version", "explain")


@dataclass(frozen=True)
class Limits:
    """The largest body in bytes, and the most images in it."""

    body: int = MAX_BODY
    images: int = MAX_IMAGES


@dataclass(frozen=True)
class SentImages:
    """The image files of one request, or the `key` of one uploaded image instead.

    An image of a batch that is no valid base64 is the error that says so.

    `many` distinguishes a batch, even of one image, from a single image. `top_k`, `version` and
    `explain` are fields of a form.
    """

    images: tuple[bytes | BadRequest, ...] = ()
    many: bool = False
    key: str | None = None
    top_k: str | None = None
    version: str | None = None
    explain: str | None = None


def read_images(content_type: str, body: bytes, limits: Limits = Limits()) -> SentImages:
    """Reads JSON, a multipart form, or (for any other content type) the image itself.

    JSON may also have the type that curl sends by itself, since no image begins like JSON.
    Raises BadRequest for an empty or malformed body, BodyTooLarge over the limit.
    """
    check_size(body, limits.body)
    if not body:
        raise BadRequest("The body is empty: send an image, for example with --data-binary @FILE.")
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() == "application/json" or (
        header.get_content_type() in UNTYPED and body.lstrip()[:1] == b"{"
    ):
        return _from_json(body, limits.images)
    if header.get_content_type() == "multipart/form-data":
        return _from_form(str(header.get_param("boundary", "")), body)
    if header.get_content_type() == CURL_DATA and body.startswith(STRIPPED):
        raise BadRequest(
            "The image's line breaks are missing: curl's -d removes them. "
            "Send it with --data-binary @FILE."
        )
    return SentImages((body,))


def check_size(body: bytes, limit: int) -> None:
    """Raises BodyTooLarge for a body of more than `limit` bytes."""
    if len(body) > limit:
        raise BodyTooLarge(
            f"The body has {len(body):,} bytes; the limit is {limit:,}. "
            "Send a smaller copy of the image, or upload it with POST /uploads."
        )


def parse_json(body: bytes) -> object:
    """Returns the body's JSON value. Raises BadRequest."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error


def _from_json(body: bytes, max_images: int) -> SentImages:
    match parse_json(body):
        case {"image": str(image), **rest} if not rest:
            return SentImages((_from_base64(image, "image"),))
        case {"images": [*images], **rest} if images and not rest:
            if len(images) > max_images:
                raise BadRequest(f"images has {len(images)} images; send at most {max_images}.")
            return SentImages(
                tuple(_of_batch(image, f"images[{index}]") for index, image in enumerate(images)),
                many=True,
            )
        case {"s3": str(key), **rest} if not rest:
            return SentImages(key=key)
    raise BadRequest(
        'The JSON must be {"image": "<base64>"}, {"images": ["<base64>", …]} '
        'or {"s3": "<key of an upload>"}.'
    )


def _of_batch(value: object, field: str) -> bytes | BadRequest:
    try:
        return _from_base64(value, field)
    except BadRequest as error:
        return error


def _from_base64(value: object, field: str) -> bytes:
    if not isinstance(value, str):
        raise BadRequest(f"{field} must be a string: the image's bytes in base64.")
    try:
        return base64_text.decode(value)
    except ValueError as error:
        raise BadRequest(f"{field} is not valid base64: {error}.") from error


def _from_form(boundary: str, body: bytes) -> SentImages:
    try:
        parser = multipart.MultipartParser(
            BytesIO(body), boundary, len(body), spool_limit=len(body), memory_limit=len(body)
        )
        parts = list(parser)
        files = [part.raw for part in parts if part.filename or part.name == "image"]
        fields = {part.name: _text(part) for part in parts if part.name in FIELDS}
    except (multipart.MultipartError, ValueError, LookupError) as error:
        raise BadRequest(f"The multipart form is malformed: {error}.") from error
    if len(files) != 1:
        raise BadRequest(
            f"The form has {len(files)} files; send one, for example with -F image=@FILE."
        )
    top_k, version, explain = map(fields.get, FIELDS)
    return SentImages((files[0],), top_k=top_k, version=version, explain=explain)


def _text(part: multipart.MultipartPart) -> str:
    """Raises LookupError for an unknown charset, ValueError for text that no answer can quote."""
    text: str = part.value
    text.encode()  # some charsets decode to lone surrogates
    return text
