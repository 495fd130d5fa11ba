"""A request's body → the bytes of one or more images, or the key of an upload."""

import base64
import binascii
from dataclasses import dataclass
from email.message import Message
from io import BytesIO

import multipart
import orjson

from facet.errors import BadRequest, BodyTooLarge

MAX_BODY = 4_500_000
"""Bytes of a raw body: Lambda takes 6 MB of JSON, in which base64 makes it a third longer."""

MAX_IMAGES = 32


@dataclass(frozen=True)
class Limits:
    """Bytes of a body, and images in it."""

    body: int = MAX_BODY
    images: int = MAX_IMAGES


@dataclass(frozen=True)
class SentImages:
    """The encoded images of one request. `many` tells a batch, even of one, from a single one.

    `key` names an image that lies in the bucket; then there are no encoded ones.
    """

    encoded: tuple[bytes, ...] = ()
    many: bool = False
    key: str | None = None


def read_images(content_type: str, body: bytes, limits: Limits = Limits()) -> SentImages:
    """What a body holds: JSON, a multipart form, or (any other content type) the image itself.

    Raises BadRequest for what cannot be understood, BodyTooLarge over the limit.
    """
    check_size(body, limits.body)
    if not body:
        raise BadRequest("The body is empty: send an image, for example with --data-binary @FILE.")
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() == "application/json":
        return _from_json(body, limits.images)
    if header.get_content_type() == "multipart/form-data":
        return _from_form(str(header.get_param("boundary", "")), body)
    return SentImages((body,))


def check_size(body: bytes, most: int) -> None:
    """Raises BodyTooLarge over so many bytes."""
    if len(body) > most:
        raise BodyTooLarge(
            f"The body has {len(body):,} bytes; at most {most:,} are taken. "
            "Send a smaller copy of the image, or POST /uploads and name the upload."
        )


def document(body: bytes) -> object:
    """The body, out of JSON. Raises BadRequest."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error


def _from_json(body: bytes, most: int) -> SentImages:
    match document(body):
        case {"image": str(image), **rest} if not rest:
            return SentImages((_decoded(image, "image"),))
        case {"images": [*images], **rest} if images and not rest:
            if len(images) > most:
                raise BadRequest(f"images has {len(images)} images; send {most} at most.")
            return SentImages(
                tuple(_decoded(each, f"images[{at}]") for at, each in enumerate(images)), many=True
            )
        case {"s3": str(key), **rest} if not rest:
            return SentImages(key=key)
    raise BadRequest(
        'The JSON must be {"image": "<base64>"}, {"images": ["<base64>", …]} '
        'or {"s3": "<key of an upload>"}.'
    )


def _decoded(value: object, place: str) -> bytes:
    if not isinstance(value, str):
        raise BadRequest(f"{place} must be a string: the image's bytes in base64.")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{place} is not valid base64: {error}.") from error


def _from_form(boundary: str, body: bytes) -> SentImages:
    try:
        parser = multipart.MultipartParser(
            BytesIO(body), boundary, len(body), spool_limit=len(body), memory_limit=len(body)
        )
        files = [part.raw for part in parser if part.filename or part.name == "image"]
    except (multipart.MultipartError, ValueError) as error:
        raise BadRequest(f"The multipart form cannot be read: {error}.") from error
    if len(files) != 1:
        raise BadRequest(
            f"The form has {len(files)} files; send one, for example with -F image=@FILE."
        )
    return SentImages((files[0],))
