"""Image files for models whose graph decodes them (`encoding: jpeg`).

A JPEG or PNG that TensorFlow's decoders read as Facet does is passed on with its pixels unchanged,
so the graph's own decoding and resizing apply. Everything else is brought to the manifest's size
and sent as PNG.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet.errors import BodyTooLarge
from facet.image.decoding import clean
from facet.keys import IMAGE_FORMATS

Bytes = NDArray[np.uint8]

MAX_FILE = 4_500_000
"""Bytes of a file that is passed on. Base64 of it fits into the body of one InvokeEndpoint call,
6,291,456 bytes."""


def passed_on(data: bytes) -> Bytes | None:
    """The file as uint8 (bytes,), or None if TensorFlow would read it differently, or not at all.

    TensorFlow's decoders ignore EXIF orientation and transparency, and read no WebP. `data` is
    an image that `facet.image.decoding.decode` accepts; what is beside its pixels is left out.
    """
    cleaned = clean(data)
    with Image.open(io.BytesIO(cleaned.data), formats=IMAGE_FORMATS) as image:
        alike = (
            image.format in ("JPEG", "PNG")
            and image.mode in ("RGB", "L")
            and not image.has_transparency_data
            and cleaned.orientation == 1
        )
    fits = len(cleaned.data) <= MAX_FILE
    return np.frombuffer(cleaned.data, np.uint8) if alike and fits else None


def png(pixels: NDArray[np.uint8]) -> Bytes:
    """A PNG file as uint8 (bytes,) of uint8 (height, width, channels) pixels.

    Raises BodyTooLarge for a file that does not fit into a request.
    """
    buffer = io.BytesIO()
    grey = pixels.shape[-1] == 1
    Image.fromarray(pixels[..., 0] if grey else pixels).save(buffer, "PNG")
    if buffer.tell() > MAX_FILE:
        raise BodyTooLarge(
            f"As this model's input the image has {buffer.tell():,} bytes; "
            f"the limit is {MAX_FILE:,}. Send a JPEG or PNG of that size."
        )
    return np.frombuffer(buffer.getvalue(), np.uint8)
