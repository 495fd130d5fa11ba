"""Images → requests that the API takes: as few as may be. Pure."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from predict.http.body import MAX_BODY, MAX_IMAGES

ENVELOPE = len('{"images": []}')
AROUND_ONE = len('"", ')
RAW, JSON = "application/octet-stream", "application/json"


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image, of at most `MAX_BODY` bytes."""

    name: str
    data: bytes


Batch = tuple[EncodedImage, ...]


def batches(
    images: Iterable[EncodedImage], most: int = MAX_IMAGES, limit: int = MAX_BODY
) -> Iterator[Batch]:
    """Neighbours together, `most` of them and `limit` bytes of body at the utmost.

    An image that only fits as it is, not as JSON, goes alone.
    """
    batch: list[EncodedImage] = []
    length = ENVELOPE
    for each in images:
        room = _as_json(each)
        if batch and (len(batch) == most or length + room > limit):
            yield tuple(batch)
            batch, length = [], ENVELOPE
        batch.append(each)
        length += room
    if batch:
        yield tuple(batch)


def body(batch: Batch) -> tuple[bytes, str]:
    """A request's body and content type: one image as it is, several as JSON."""
    if len(batch) == 1:
        return batch[0].data, RAW
    images = [base64.b64encode(each.data).decode() for each in batch]
    return json.dumps({"images": images}).encode(), JSON


def _as_json(image: EncodedImage) -> int:
    """Bytes that it takes in a JSON body."""
    return -(-len(image.data) // 3) * 4 + AROUND_ONE
