"""How much memory decoding an image takes, computed from its header."""

from PIL import Image

from facet.errors import BrokenImage
from facet.image.cleaned import Cleaned

MAX_MEMORY = 600_000_000
"""Bytes that decoding one image may take, of the 1,024 MB that the predict function has. Its own
code takes about 110 MB, and a request of several images up to 30 MB."""

BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}
"""Bytes of a pixel by Pillow's mode; four in every other mode, `RGB` too."""

RGB = 4

WEBP = 12
"""Bytes of a pixel, beside the image itself: two canvases of libwebp's animation decoder, which
Pillow always uses, and Pillow's copy of one. A lossless file takes four bytes more while it is
decoded, but that is before Pillow's copies."""

COPIES = 3
"""Copies of the file: the request's, the cleaned one, and the decoder's."""

ROW = 16
"""Bytes of the pointers to a row, in an image and its copy; a turned image has as many rows as the
file has columns."""


def check(image: Image.Image, cleaned: Cleaned, whole: int) -> None:
    """Raises BrokenImage if decoding would take more than `MAX_MEMORY`.

    `whole` is the number of pixels in the file; `image` has fewer if it is decoded at a reduced
    scale. Orientation and conversion make a copy when the decoder has released what it held.
    """
    pixels = image.width * image.height
    stored = BYTES.get(image.mode, RGB)
    held = cleaned.held + (WEBP * whole if image.format == "WEBP" else 0)
    decodings = 1 if cleaned.complete else 2
    peak = len(cleaned.data) * COPIES + ROW * max(image.size)
    peak += pixels * stored * decodings + max(held, pixels * RGB)
    if peak > MAX_MEMORY:
        raise too_much(f"Decoding this {image.format} of {whole:,} pixels", peak)


def check_resize(image: Image.Image, size: tuple[int, int], taken: int) -> None:
    """Raises BrokenImage if resizing to `size` takes more than `MAX_MEMORY`.

    `taken` is the number of bytes beside the image, the result included.
    """
    peak = image.width * image.height * BYTES.get(image.mode, RGB) + taken
    if peak > MAX_MEMORY:
        source, target = (f"{width} x {height}" for width, height in (image.size, size))
        raise too_much(f"Resizing an image of {source} pixels to {target}", peak)


def too_much(action: str, size: int) -> BrokenImage:
    """The error for an image that takes `size` bytes."""
    return BrokenImage(
        f"{action} would take {size / 1e6:,.0f} MB; the limit is {MAX_MEMORY / 1e6:,.0f} MB. "
        "Send a smaller copy."
    )
