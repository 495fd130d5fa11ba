"""Brings an image to the input's size: stretch, crop or pad.

Sizes and positions are rounded as by the libraries that the filters come from: Pillow's ImageOps
and torchvision, TensorFlow and Keras, and for OpenCV the letterbox of Ultralytics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facet.image.memory import check_resize
from facet.resizing import opencv, tensorflow
from facet.resizing.strips import Box
from facet.specs import InputSpec

Pixels = NDArray[np.uint8 | np.float32]
"""(height, width, channels): TensorFlow's filters give float32, all others uint8."""

Size = tuple[int, int]
"""Width and height."""

PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""The manifest's names for Pillow's filters, which all but `nearest` average when they shrink."""

PILLOW_PIXEL = 4
"""Bytes of a pixel in Pillow, at most."""


@dataclass(frozen=True)
class _Padding:
    """The size to which the image is resized, and where it goes."""

    size: Size
    left: int
    top: int


@dataclass(frozen=True)
class _Library:
    """What differs between the libraries, beside the resampling itself.

    `crop` is the part of an image of a size that has the other's shape; `pad` brings an image of
    the first size into the second; `middle` is half of what a centre crop cuts off.
    """

    resize: Callable[[Image.Image, Box, Size, str], Pixels]
    crop: Callable[[Size, Size], Box]
    pad: Callable[[Size, Size], _Padding]
    middle: Callable[[float], int]


def fitted(spec: InputSpec, image: Image.Image) -> Pixels:
    """The image, of mode RGB or L, at the spec's size. float32 is neither rounded nor clipped.

    Raises BrokenImage if it takes too much memory.
    """
    size, method = (spec.width, spec.height), spec.resize
    library = _library(method)
    whole = (0, 0, *image.size)
    if spec.resize_to:
        larger = _larger(spec, image.size)
        return _centre(library.resize(image, whole, larger, method), size, library.middle)
    if image.size == size or spec.fit == "stretch":
        return library.resize(image, whole, size, method)
    if spec.fit == "pad":
        return _padded(spec, image, library)
    if method in PILLOW:
        return _array(ImageOps.fit(image, size, PILLOW[method]))
    return library.resize(image, library.crop(image.size, size), size, method)


def view(spec: InputSpec, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the input shows of an image of that size, in its pixels.

    `crop` shows a part of the image; with `pad` the view reaches beyond it.
    """
    target = (spec.width, spec.height)
    library = _library(spec.resize)
    if spec.resize_to:
        larger = _larger(spec, size)
        left, top = (
            library.middle((side - cut) / 2) for side, cut in zip(larger, target, strict=True)
        )
        return _enlarged((left, top, left + target[0], top + target[1]), larger, size)
    if size == target or spec.fit == "stretch":
        return (0, 0, *size)
    if spec.fit == "pad":
        padding = library.pad(size, target)
        left, top = -padding.left, -padding.top
        return _enlarged((left, top, left + target[0], top + target[1]), padding.size, size)
    return library.crop(size, target)


def _enlarged(
    box: tuple[int, int, int, int], size: Size, target: Size
) -> tuple[float, float, float, float]:
    """A box of an image of a size, as one of the same image of the size `target`."""
    across, down = (goal / max(1, side) for goal, side in zip(target, size, strict=True))
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _larger(spec: InputSpec, size: Size) -> Size:
    """The size before the centre crop, rounded down as by torchvision's Resize."""
    side = spec.resize_to or 0
    if spec.fit == "stretch":
        return side, side
    short = min(size)
    return side * size[0] // short, side * size[1] // short


def _centre(pixels: Pixels, size: Size, middle: Callable[[float], int]) -> Pixels:
    height, width, _ = pixels.shape
    left, top = middle((width - size[0]) / 2), middle((height - size[1]) / 2)
    return pixels[top : top + size[1], left : left + size[0]]


def _padded(spec: InputSpec, image: Image.Image, library: _Library) -> Pixels:
    padding = library.pad(image.size, (spec.width, spec.height))
    width, height = padding.size
    fill = spec.fill or (0,) * spec.channels
    if not (width and height):
        return np.full((spec.height, spec.width, spec.channels), fill, np.uint8)
    resized = library.resize(image, (0, 0, *image.size), padding.size, spec.resize)
    pixels = np.full((spec.height, spec.width, spec.channels), fill, resized.dtype)
    pixels[padding.top : padding.top + height, padding.left : padding.left + width] = resized
    return pixels


def _library(method: str) -> _Library:
    if method in PILLOW:
        return _Library(_pillow_resize, _whole_pixels, _pillow_pad, round)
    if method in tensorflow.METHODS:
        return _Library(tensorflow.resize, _whole_pixels, _tensorflow_pad, int)
    return _Library(opencv.resize, _whole_pixels, _letterbox, int)


def _pillow_resize(image: Image.Image, box: Box, size: Size, method: str) -> Pixels:
    if size == image.size and box == (0, 0, *size):
        return _array(image)
    # all rows are brought to the new width first
    check_resize(image, size, PILLOW_PIXEL * size[0] * (image.height + 2 * size[1]))
    return _array(image.resize(size, PILLOW[method], box))


def _array(image: Image.Image) -> Pixels:
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)


def _whole_pixels(source: Size, target: Size) -> Box:
    """The largest box of the target's shape in the middle, as by Keras's smart_resize."""
    width, height = source
    kept_height = min(height, max(1, int(np.float32(width * target[1]) / np.float32(target[0]))))
    kept_width = min(width, max(1, int(np.float32(height * target[0]) / np.float32(target[1]))))
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return left, top, left + kept_width, top + kept_height


def _pillow_pad(source: Size, target: Size) -> _Padding:
    """As ImageOps.pad."""
    wanted = source[0] / source[1]
    width, height = target
    if wanted > width / height:
        height = round(source[1] / source[0] * width)
    elif wanted < width / height:
        width = round(wanted * height)
    return _Padding(
        (width, height), round((target[0] - width) * 0.5), round((target[1] - height) * 0.5)
    )


def _tensorflow_pad(source: Size, target: Size) -> _Padding:
    """As tf.image.resize_with_pad."""
    sides = [np.float32(side) for side in source]
    goals = [np.float32(side) for side in target]
    ratio = max(sides[0] / goals[0], sides[1] / goals[1])
    resized = [side / ratio for side in sides]
    left, top = (max(0, int((goal - side) / 2)) for goal, side in zip(goals, resized, strict=True))
    return _Padding((int(resized[0]), int(resized[1])), left, top)


def _letterbox(source: Size, target: Size) -> _Padding:
    """As Ultralytics' LetterBox."""
    ratio = min(target[0] / source[0], target[1] / source[1])
    width, height = round(source[0] * ratio), round(source[1] * ratio)
    left, top = round((target[0] - width) / 2 - 0.1), round((target[1] - height) / 2 - 0.1)
    return _Padding((width, height), left, top)
