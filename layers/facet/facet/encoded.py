"""Image files for models whose graph decodes them (`encoding: jpeg`).

A JPEG or PNG that TensorFlow's decoders read as Facet does is passed on unchanged, so the graph's
own decoding and resizing apply. Everything else is brought to the manifest's size and sent as PNG.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Bytes = NDArray[np.uint8]

END = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""The last bytes of whole files. TensorFlow's decoders reject files that are cut short."""

MAX_FILE = 4_500_000
"""Bytes of a file that is passed on. Base64 of it fits into the body of one InvokeEndpoint call,
6,291,456 bytes."""


def passed_on(data: bytes) -> Bytes | None:
    """The file as uint8 (bytes,), or None if TensorFlow would read it differently, or not at all.

    TensorFlow's decoders ignore EXIF orientation and transparency, and read no WebP. `data` is
    an image that `facet.image.decode` accepts.
    """
    with Image.open(io.BytesIO(data)) as image:
        alike = (
            image.format in END
            and data.endswith(END[image.format])
            and image.mode in ("RGB", "L")
            and not image.has_transparency_data
            and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        )
    return np.frombuffer(data, np.uint8) if alike and len(data) <= MAX_FILE else None


def png(pixels: NDArray[np.uint8]) -> Bytes:
    """A PNG file as uint8 (bytes,) of uint8 (height, width, channels) pixels."""
    buffer = io.BytesIO()
    grey = pixels.shape[-1] == 1
    Image.fromarray(pixels[..., 0] if grey else pixels).save(buffer, "PNG")
    return np.frombuffer(buffer.getvalue(), np.uint8)
