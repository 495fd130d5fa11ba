"""Group images into as few API requests as possible."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.client.api import JSON, RAW
from predict.http.body import MAX_BODY, MAX_IMAGES

ENVELOPE = len('{"images": []}')
AROUND_ONE = len('"", ')


@dataclass(frozen=True)
class EncodedImage:
    """An image file's bytes."""

    name: str
    data: bytes


Batch = tuple[EncodedImage, ...]


def batches(
    images: Iterable[EncodedImage], max_images: int = MAX_IMAGES, max_body: int = MAX_BODY
) -> Iterator[Batch]:
    """Group consecutive images: at most `max_images` and `max_body` bytes of JSON a batch.

    An image that is too large for JSON goes alone, as raw bytes or through an upload.
    """
    batch: list[EncodedImage] = []
    length = ENVELOPE
    for image in images:
        size = _json_length(image)
        if batch and (len(batch) == max_images or length + size > max_body):
            yield tuple(batch)
            batch, length = [], ENVELOPE
        batch.append(image)
        length += size
    if batch:
        yield tuple(batch)


def body(batch: Batch) -> tuple[bytes, str]:
    """Return a request's body and content type: raw bytes for one image, JSON for several."""
    if len(batch) == 1:
        return batch[0].data, RAW
    images = [base64.b64encode(each.data).decode() for each in batch]
    return json.dumps({"images": images}).encode(), JSON


def _json_length(image: EncodedImage) -> int:
    """Bytes of the image in a JSON body."""
    return -(-len(image.data) // 3) * 4 + AROUND_ONE
