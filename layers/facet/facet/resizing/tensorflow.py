"""`tf.image.resize` in NumPy: float32, not rounded, equal within float32's rounding.

Each method gives, for an axis, the source positions of every output position and their weights.
They restate TensorFlow's kernels: resize_bilinear_op, resize_nearest_neighbor_op, resize_bicubic_op
and resize_area_op, and with antialiasing scale_and_translate_op (tensorflow/core/kernels/image).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet.image.memory import check_resize
from facet.resizing.strips import Box, Taps, blocks, memory, read

Floats = NDArray[np.float32]
FLOAT = 4


class Weights(NamedTuple):
    """For each output position its source positions and their weights: both (outputs, taps)."""

    taps: Taps
    weights: Floats


Method = Callable[[int, int], Weights]
"""Sizes of the source and of the output along one axis → the weights."""


def resize(image: Image.Image, box: Box, size: tuple[int, int], method: str) -> Floats:
    """float32 (height, width, channels) of the image's `box`; `size` is (width, height).

    `image` has mode RGB or L; `method` is a name in `METHODS`. Raises BrokenImage if it takes too
    much memory.
    """
    left, top, right, bottom = box
    width, height = size
    channels = len(image.getbands())
    # the rows at their own width are in memory three times, the result twice
    kept = height * (3 * (right - left) + 2 * width) * channels
    check_resize(image, size, memory(box, size, channels) + kept * FLOAT)
    down = METHODS[method](bottom - top, height)
    tall = np.empty((height, right - left, channels), np.float32)
    for strip in read(image, box, down.taps):
        matrix = _matrix(strip.taps, down.weights[strip.outputs], len(strip.rows))
        values = strip.rows.reshape(len(strip.rows), -1).astype(np.float32)
        tall[strip.outputs] = (matrix @ values).reshape(-1, right - left, channels)
    across = METHODS[method](right - left, width)
    columns = np.ascontiguousarray(tall.swapaxes(0, 1)).reshape(right - left, -1)
    turned = np.empty((width, height * channels), np.float32)
    for outputs in blocks(across.taps):
        used, local = np.unique(across.taps[outputs], return_inverse=True)
        taps = local.reshape(across.taps[outputs].shape)
        turned[outputs] = _matrix(taps, across.weights[outputs], len(used)) @ columns[used]
    return np.ascontiguousarray(turned.reshape(width, height, channels).swapaxes(0, 1))


def _matrix(taps: Taps, weights: Floats, sources: int) -> Floats:
    matrix = np.zeros((len(taps), sources), np.float32)
    np.add.at(matrix, (np.arange(len(taps))[:, None], taps), weights)
    return matrix


def _centres(output: int, scale: np.float32) -> Floats:
    """The source position of each output pixel's centre; `scale` is source / output."""
    return (np.arange(output, dtype=np.float32) + np.float32(0.5)) * scale


def _scale(source: int, output: int) -> np.float32:
    return np.float32(source) / np.float32(output)


def _nearest(source: int, output: int) -> Weights:
    centres = _centres(output, _scale(source, output))
    taps = np.minimum(np.floor(centres), source - 1).astype(np.intp)[:, None]
    return Weights(taps, np.ones(taps.shape, np.float32))


def _bilinear(source: int, output: int) -> Weights:
    centres = _centres(output, _scale(source, output))
    positions = centres - np.float32(0.5)
    below = np.floor(positions)
    upper = positions - below
    taps = np.stack([below, np.ceil(positions)], axis=1).clip(0, source - 1).astype(np.intp)
    return Weights(taps, np.stack([1 - upper, upper], axis=1))


CUBIC_STEPS = 1024
"""Steps between two pixels for which resize_bicubic_op has weights."""


def _bicubic(source: int, output: int) -> Weights:
    centres = _centres(output, _scale(source, output))
    positions = centres - np.float32(0.5)
    below = np.floor(positions)
    steps = np.rint((positions - below) * CUBIC_STEPS) / CUBIC_STEPS
    offsets = np.arange(-1, 3)
    taps = below.astype(np.intp)[:, None] + offsets
    weights = _cubic(steps[:, None] - offsets.astype(np.float32))
    return _inside(taps, weights, source)


def _area(source: int, output: int) -> Weights:
    """The mean over each output pixel's interval of the source."""
    scale = _scale(source, output)
    begin = np.arange(output, dtype=np.float32) * scale
    end = np.arange(1, output + 1, dtype=np.float32) * scale
    most = int(np.ceil(scale)) + 1
    taps = np.floor(begin).astype(np.intp)[:, None] + np.arange(most)
    covered = np.minimum(end[:, None], taps + 1) - np.maximum(begin[:, None], taps)
    within = (taps < begin[:, None]) & (taps + 1 > end[:, None])
    covered = np.where(within, scale, np.maximum(covered, 0))
    return Weights(taps.clip(0, source - 1), (covered / scale).astype(np.float32))


def _antialiased(kernel: Callable[[Floats], Floats], radius: float) -> Method:
    """A kernel that is widened by the factor by which the image shrinks."""

    def method(source: int, output: int) -> Weights:
        scale = np.float32(1) / _scale(output, source)  # not source / output, which rounds once
        centres = _centres(output, scale)
        wide = max(scale, np.float32(1))
        reach = np.float32(radius) * wide
        first = np.ceil(centres - reach - np.float32(0.5)).astype(np.intp).clip(0, source - 1)
        last = np.floor(centres + reach - np.float32(0.5)).astype(np.intp).clip(0, source - 1)
        taps = first[:, None] + np.arange(int((last - first).max()) + 1)
        distances = taps.astype(np.float32) + np.float32(0.5) - centres[:, None]
        weights = np.where(taps <= last[:, None], kernel(distances / wide), np.float32(0))
        return _inside(taps, weights.astype(np.float32), source)

    return method


def _inside(taps: Taps, weights: Floats, source: int) -> Weights:
    """Leaves out positions outside the image; the other weights then add up to 1."""
    kept = np.where((taps >= 0) & (taps < source), weights, np.float32(0))
    return Weights(taps.clip(0, source - 1), kept / kept.sum(axis=1, keepdims=True))


def _triangle(distances: Floats) -> Floats:
    weights: Floats = np.maximum(np.float32(0), 1 - np.abs(distances))
    return weights


def _cubic(distances: Floats) -> Floats:
    """Keys's cubic, a = -0.5."""
    x = np.abs(distances)
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights: Floats = np.where(x < 1, near, np.where(x < 2, far, 0)).astype(np.float32)
    return weights


METHODS: dict[str, Method] = {
    "tf-nearest": _nearest,
    "tf-bilinear": _bilinear,
    "tf-bilinear-antialias": _antialiased(_triangle, 1),
    "tf-bicubic": _bicubic,
    "tf-bicubic-antialias": _antialiased(_cubic, 2),
    "tf-area": _area,
}
"""The manifest's names: `method` of `tf.image.resize`, with `antialias=True` where it says so."""
