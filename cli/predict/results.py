"""Send batches of images and return one result for each image, even if others fail."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import Base64Bytes, BaseModel, ConfigDict

from cli.client.api import JSON, Api, ApiError, Document, parse
from cli.predict.batches import Batch, EncodedImage, batches, body
from cli.predict.sources import Source
from predict.http.body import MAX_BODY
from training.data import formats

MAX_UPLOAD = 100_000_000
"""Bytes of an image; an API may accept less. The maximum of the parameter MaxUploadBytes."""

REQUEST_ERRORS = frozenset({400, 401, 403, 404, 409})
"""Status codes of errors that affect every image."""

IMAGE_ERRORS = frozenset({413, 415, 422, 504})
"""Status codes of errors that one image or the size of the batch can cause as a whole; otherwise
the API names the image of a batch that fails."""


class Prediction(BaseModel):
    """A label and its score in 0..1."""

    model_config = ConfigDict(frozen=True)

    label: str
    score: float


class Explanation(BaseModel):
    """What in the image speaks for a label: a heat map, as a PNG."""

    model_config = ConfigDict(frozen=True)

    label: str
    heatmap: Base64Bytes


class _Error(BaseModel):
    detail: str


class _One(BaseModel):
    predictions: tuple[Prediction, ...]
    error: _Error | None = None
    familiarity: float | None = None
    unsure: bool = False
    explanation: Explanation | None = None


class _Answer(BaseModel):
    version: str
    results: tuple[_One, ...]


@dataclass(frozen=True)
class Result:
    """One image's predictions, best first, or its `error`.

    Of a model that was taught, `familiarity` (0..1) says how much the image is like those of the
    teaching, and `unsure` that this is very little. `data` are the image's bytes as they were sent,
    if there is an `explanation`.
    """

    image: str
    version: str = ""
    predictions: tuple[Prediction, ...] = ()
    error: str = ""
    familiarity: float | None = None
    unsure: bool = False
    explanation: Explanation | None = None
    data: bytes = b""


@dataclass(frozen=True)
class PredictionOptions:
    """The model, number of labels and version for every request, and whether to explain answers."""

    model: str
    top_k: int
    version: str | None = None
    explain: bool = False


def results(
    sources: Iterable[Source], stdin: BinaryIO, send: Callable[[Batch], list[Result]]
) -> Iterator[Result]:
    """Yield one result a source. Unreadable images may come before earlier ones still in a batch.

    Raises what `send` raises.
    """
    unsent: list[Result] = []

    def read() -> Iterator[EncodedImage]:
        for each in sources:
            image = _read(each, stdin)
            if isinstance(image, EncodedImage):
                yield image
            else:
                unsent.append(image)

    for batch in batches(read()):
        yield from _drain(unsent)
        yield from send(batch)
    yield from _drain(unsent)


def predict_batch(api: Api, options: PredictionOptions, batch: Batch) -> list[Result]:
    """Send a batch; if one image may be the cause of an error, send each image by itself.

    Raises ApiUnreachable, and ApiError for errors that affect every image.
    """
    try:
        content, content_type = _content(api, batch)
        document = api.predict(
            options.model,
            content,
            content_type,
            top_k=options.top_k,
            version=options.version,
            explain=options.explain,
        )
    except ApiError as error:
        if error.status in REQUEST_ERRORS:
            raise
        if len(batch) > 1 and error.status in IMAGE_ERRORS:
            return [answer for each in batch for answer in predict_batch(api, options, (each,))]
        return [Result(each.name, error=str(error)) for each in batch]
    return _results(batch, document)


def _content(api: Api, batch: Batch) -> tuple[bytes, str]:
    """Return a request's body and content type, after an upload if the body would be too large."""
    if len(batch) > 1 or len(batch[0].data) <= MAX_BODY:
        return body(batch)
    return json.dumps({"s3": api.upload(batch[0].data)}).encode(), JSON


def _results(batch: Batch, document: Document) -> list[Result]:
    many = document if "results" in document else {**document, "results": [document]}
    answer = parse(_Answer, many)
    return [
        Result(image.name, error=one.error.detail)
        if one.error
        else Result(
            image.name,
            answer.version,
            one.predictions,
            familiarity=one.familiarity,
            unsure=one.unsure,
            explanation=one.explanation,
            data=image.data if one.explanation else b"",
        )
        for image, one in zip(batch, answer.results, strict=True)
    ]


def _read(source: Source, stdin: BinaryIO) -> EncodedImage | Result:
    try:
        data = source.read(stdin, MAX_UPLOAD)
    except OSError as error:
        return Result(source.name, error=f"cannot be read: {error.strerror or error}")
    if not data:
        return Result(source.name, error="is empty")
    if formats.begins_like_phone_image(data):
        try:
            data = formats.to_jpeg(data)
        except formats.CannotConvert as error:
            return Result(source.name, error=str(error))
    if len(data) > MAX_UPLOAD:
        return Result(
            source.name,
            error=f"has over {MAX_UPLOAD / 1e6:.0f} MB, the limit of an upload; "
            "send a smaller copy, or a JPEG",
        )
    return EncodedImage(source.name, data)


def _drain(waiting: list[Result]) -> list[Result]:
    results = waiting.copy()
    waiting.clear()
    return results
