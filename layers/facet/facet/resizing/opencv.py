"""`cv2.resize` of 8-bit images in NumPy, bit for bit: INTER_LINEAR and INTER_AREA.

They restate modules/imgproc/src/resize.cpp: INTER_LINEAR in fixed point with 11 bits, INTER_AREA
with float32 sums in the order of the source's pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet.image.memory import check_resize
from facet.resizing.strips import Box, Strip, Taps, memory, read

METHODS = ("cv2-linear", "cv2-area")
"""The manifest's names."""

ONE = 2048
"""A weight of 1 in fixed point."""

LEAST = 1e-3
"""The smallest part of a pixel that INTER_AREA counts."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Linear(NamedTuple):
    """For each output position two source positions and their int32 weights: (outputs, 2)."""

    taps: Taps
    weights: NDArray[np.int32]


class Area(NamedTuple):
    """For each output position its source positions and float32 weights: (outputs, taps)."""

    taps: Taps
    weights: Floats


def resize(image: Image.Image, box: Box, size: tuple[int, int], method: str) -> Bytes:
    """uint8 (height, width, channels) of the image's `box`; `size` is (width, height).

    `image` has mode RGB or L; `method` is a name in `METHODS`. Raises BrokenImage if it takes too
    much memory.
    """
    left, top, right, bottom = box
    channels = len(image.getbands())
    check_resize(image, size, memory(box, size, channels) + size[0] * size[1] * channels)
    across, down = _scale(right - left, size[0]), _scale(bottom - top, size[1])
    shrinks = across >= 1 and down >= 1
    whole = across.is_integer() and down.is_integer()
    if method == "cv2-area" and shrinks and not whole:
        return _areas(image, box, size)
    if shrinks and whole and (method == "cv2-area" or across == down == 2):
        return _means(image, box, size, int(across), int(down))
    return _linear(image, box, size, of_area=method == "cv2-area")


def _scale(source: int, output: int) -> float:
    return 1 / (output / source)


def _empty(image: Image.Image, size: tuple[int, int]) -> Bytes:
    return np.empty((size[1], size[0], len(image.getbands())), np.uint8)


def _means(image: Image.Image, box: Box, size: tuple[int, int], across: int, down: int) -> Bytes:
    """Means of whole pixels, `across` x `down` each. OpenCV rounds those of 2 x 2 up at .5."""
    result = _empty(image, size)
    taps = np.arange(size[1])[:, None] * down + np.arange(down)
    for strip in read(image, box, taps):
        windows = strip.rows.reshape(-1, down, size[0], across, strip.rows.shape[2])
        sums = windows.sum(axis=(1, 3), dtype=np.int32)
        if across == down == 2:
            result[strip.outputs] = (sums + 2) >> 2
        else:
            means = sums.astype(np.float32) * (np.float32(1) / np.float32(across * down))
            result[strip.outputs] = np.rint(means)
    return result


def _areas(image: Image.Image, box: Box, size: tuple[int, int]) -> Bytes:
    """Means over areas whose edges cut pixels."""
    left, top, right, bottom = box
    across, down = _overlaps(right - left, size[0]), _overlaps(bottom - top, size[1])
    result = _empty(image, size)
    for strip in read(image, box, down.taps):
        rows = _weighted_columns(strip, across)
        weights = down.weights[strip.outputs]
        total = rows[strip.taps[:, 0]] * weights[:, 0, None, None]
        for tap in range(1, weights.shape[1]):
            total += rows[strip.taps[:, tap]] * weights[:, tap, None, None]
        result[strip.outputs] = np.rint(total)
    return result


def _weighted_columns(strip: Strip, across: Area) -> Floats:
    rows = strip.rows.astype(np.float32)
    total = rows[:, across.taps[:, 0]] * across.weights[:, 0, None]
    for tap in range(1, across.weights.shape[1]):
        total += rows[:, across.taps[:, tap]] * across.weights[:, tap, None]
    return total


def _overlaps(source: int, output: int) -> Area:
    """The parts of pixels in each output's interval, as shares of the interval."""
    scale = _scale(source, output)
    begin = np.arange(output) * scale
    end = begin + scale
    length = np.minimum(scale, source - begin)
    last = np.minimum(np.floor(end), source - 1)
    first = np.minimum(np.ceil(begin), last)
    before, after = first - begin, end - last
    positions = first[:, None] - 1 + np.arange(int((last - first).max()) + 2)
    parts = np.where(positions < last[:, None], 1.0, 0.0)
    parts[:, 0] = np.where(before > LEAST, before, 0)
    at_end = positions == last[:, None]
    ends = np.where(after > LEAST, np.minimum(np.minimum(after, 1), length), 0)
    parts = np.where(at_end, ends[:, None], parts)
    weights = (parts / length[:, None]).astype(np.float32)
    return Area(positions.clip(0, source - 1).astype(np.intp), weights)


def _linear(image: Image.Image, box: Box, size: tuple[int, int], *, of_area: bool) -> Bytes:
    left, top, right, bottom = box
    across = _at_edges(*_positions(right - left, size[0], of_area=of_area), right - left)
    below, upper = _positions(bottom - top, size[1], of_area=of_area)
    down = _fixed_point(np.stack([below, below + 1], axis=1).clip(0, bottom - top - 1), upper)
    result = _empty(image, size)
    for strip in read(image, box, down.taps):
        rows = strip.rows.astype(np.int32)
        wide = rows[:, across.taps[:, 0]] * across.weights[:, 0, None]
        wide += rows[:, across.taps[:, 1]] * across.weights[:, 1, None]
        wide >>= 4
        weights = down.weights[strip.outputs]
        total = (wide[strip.taps[:, 0]] * weights[:, 0, None, None]) >> 16
        total += (wide[strip.taps[:, 1]] * weights[:, 1, None, None]) >> 16
        result[strip.outputs] = (total + 2) >> 2
    return result


def _positions(source: int, output: int, *, of_area: bool) -> tuple[Taps, Floats]:
    """The source position before each output, and how far the output is behind it, in 0..1."""
    scale = _scale(source, output)
    outputs = np.arange(output)
    if of_area:
        below = np.floor(outputs * scale)
        behind = ((outputs + 1) - (below + 1) * (output / source)).astype(np.float32)
        upper = np.where(behind <= 0, np.float32(0), behind - np.floor(behind))
    else:
        positions = ((outputs + 0.5) * scale - 0.5).astype(np.float32)
        below = np.floor(positions)
        upper = positions - below
    return below.astype(np.intp), upper.astype(np.float32)


def _at_edges(below: Taps, upper: Floats, source: int) -> Linear:
    """Columns outside the image repeat its first and last one."""
    outside = (below < 0) | (below >= source - 1)
    kept = below.clip(0, source - 1)
    taps = np.stack([kept, np.minimum(kept + 1, source - 1)], axis=1)
    return _fixed_point(taps, np.where(outside, np.float32(0), upper))


def _fixed_point(taps: Taps, upper: Floats) -> Linear:
    weights = np.stack([1 - upper, upper], axis=1) * np.float32(ONE)
    return Linear(taps, np.rint(weights).astype(np.int32))
