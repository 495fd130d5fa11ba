"""Reads an image in strips of rows, so that resizing needs little memory beside the image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROWS = 64
"""Rows of a strip, unless one output row needs more."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of an image, in whole pixels."""

Taps = NDArray[np.intp]
"""(outputs, taps): for each output position the source positions that it is computed from."""


@dataclass(frozen=True)
class Strip:
    """The source rows that some output rows need.

    `outputs` selects those output rows, `rows` is uint8 (rows, width, channels), and `taps` is
    (outputs, taps) with indices into `rows`.
    """

    outputs: slice
    rows: NDArray[np.uint8]
    taps: Taps


def memory(box: Box, size: tuple[int, int], channels: int) -> int:
    """Bytes that the largest strip takes for an output of (width, height) `size`, at most.

    Its rows are cropped, copied, and converted to four bytes a value, in several copies at the
    output's width. The filters that reach furthest need four rows for each by which they shrink.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    rows = min(height, max(ROWS, 4 * -(-height // size[1]) + 2))
    outputs = min(size[1], ROWS * -(-size[1] // height))
    values = width * (4 + 7 * channels) * rows + size[0] * channels * 16 * (rows + outputs)
    return values + 160 * (width + height)


def read(image: Image.Image, box: Box, taps: Taps) -> Iterator[Strip]:
    """The strips of a part of the image, for all output rows. `image` has mode RGB or L."""
    left, top, right, _ = box
    channels = len(image.getbands())
    for outputs in blocks(taps):
        used, local = np.unique(taps[outputs], return_inverse=True)
        first, last = int(used[0]), int(used[-1])
        part = np.asarray(image.crop((left, top + first, right, top + last + 1)))
        rows = part.reshape(last - first + 1, right - left, channels)
        yield Strip(outputs, rows[used - first], local.reshape(taps[outputs].shape))


def blocks(taps: Taps) -> Iterator[slice]:
    """Slices of consecutive outputs that together need at most `ROWS` source positions.

    An output that needs more is a block of its own.
    """
    first, last = taps.min(axis=1), taps.max(axis=1)
    begin = 0
    while begin < len(taps):
        end = max(begin + 1, int(np.searchsorted(last, first[begin] + ROWS)))
        yield slice(begin, end)
        begin = end
