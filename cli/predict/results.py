"""Images → the API's answers, one for each image, whatever becomes of the others."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from cli.client.api import Api, ApiError, Document, parse
from cli.predict.batches import Batch, EncodedImage, batches, body
from cli.predict.sources import Source
from predict.http.body import MAX_BODY

REQUEST_ERRORS = frozenset({400, 401, 403, 404, 409})
"""Statuses that every other image would get as well."""

IMAGE_ERRORS = frozenset({413, 415, 422, 504})
"""Statuses that a batch may get because of one image in it, or for being one."""


class Prediction(BaseModel):
    """A label and its score in 0..1."""

    model_config = ConfigDict(frozen=True)

    label: str
    score: float


class _One(BaseModel):
    predictions: tuple[Prediction, ...]


class _Answer(BaseModel):
    version: str
    results: tuple[_One, ...]


@dataclass(frozen=True)
class Result:
    """What became of one image: its labels, the best first, or the `error` that it met."""

    image: str
    version: str = ""
    predictions: tuple[Prediction, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class PredictionOptions:
    """What every image is asked for."""

    model: str
    top_k: int
    version: str | None = None


def results(
    sources: Iterable[Source], stdin: BinaryIO, ask: Callable[[Batch], list[Result]]
) -> Iterator[Result]:
    """For each source one, as they come: what cannot be sent may overtake what waits for others.

    Raises what `ask` raises.
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
        yield from _drained(unsent)
        yield from ask(batch)
    yield from _drained(unsent)


def predict_batch(api: Api, question: PredictionOptions, batch: Batch) -> list[Result]:
    """The results of a batch; one that was refused as a whole is sent again image by image.

    Raises ApiUnreachable, and ApiError where it is no image's fault.
    """
    content, content_type = body(batch)
    try:
        document = api.predict(
            question.model,
            content,
            content_type,
            top_k=question.top_k,
            version=question.version,
        )
    except ApiError as refused:
        if refused.status in REQUEST_ERRORS:
            raise
        if len(batch) > 1 and refused.status in IMAGE_ERRORS:
            return [answer for each in batch for answer in predict_batch(api, question, (each,))]
        return [Result(each.name, error=str(refused)) for each in batch]
    return _results(batch, document)


def _results(batch: Batch, document: Document) -> list[Result]:
    many = document if "results" in document else {**document, "results": [document]}
    answer = parse(_Answer, many)
    return [
        Result(image.name, answer.version, one.predictions)
        for image, one in zip(batch, answer.results, strict=True)
    ]


def _read(source: Source, stdin: BinaryIO) -> EncodedImage | Result:
    try:
        data = source.read(stdin, MAX_BODY)
    except OSError as error:
        return Result(source.name, error=f"cannot be read: {error.strerror or error}")
    if not data:
        return Result(source.name, error="is empty")
    if len(data) > MAX_BODY:
        return Result(
            source.name,
            error=f"has over {MAX_BODY / 1e6:.1f} MB, which is all that a request may have; "
            "send a smaller copy, or a JPEG",
        )
    return EncodedImage(source.name, data)


def _drained(waiting: list[Result]) -> list[Result]:
    taken = waiting.copy()
    waiting.clear()
    return taken
