"""Determine the image shape that a tensor takes: height, width, channels, layout."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from cli.pack.errors import CannotPack
from facet.artifact.graphs.saved_model import TensorSpec

Layout = Literal["hwc", "flat"]
Dims = tuple[int, ...]

SIZE = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})(?:x([13]))?")
FLOAT = "float32"
BYTES = "string"
NUMBERS = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64")


class SizeNeeded(Exception):
    """The tensor's shape does not determine the image size; the message says what is missing."""


@dataclass(frozen=True)
class Size:
    """An image's size in pixels; `channels` is None if unknown."""

    height: int
    width: int
    channels: int | None = None


@dataclass(frozen=True)
class Geometry:
    """How images go into a network's tensor.

    `own` is the tensor's shape without the batch: (height, width, channels) and the like, or
    (channels, height, width) if `channels_first`. `served` says how Facet can send images to it:
    as `float` numbers, as raw `bytes`, as image `files`, or only after it is `reexported`.
    """

    height: int
    width: int
    channels: Literal[1, 3]
    layout: Layout
    own: Dims
    channels_first: bool = False
    served: Literal["float", "bytes", "files", "reexported"] = "reexported"


def parse_size(text: str) -> Size:
    """Parse `224x224` or `28x28x1`: height, width, channels. Raises CannotPack."""
    match = SIZE.fullmatch(text.strip().lower())
    if not match:
        raise CannotPack(f"'{text}' is not a size; write HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS")
    height, width, channels = match.groups()
    return Size(int(height), int(width), int(channels) if channels else None)


def geometry(tensor: TensorSpec, size: Size | None, layout: Layout | None = None) -> Geometry:
    """Determine how images go into the tensor, by its shape and, where that is open, by `size`.

    `layout` counts only if the tensor takes any shape. Raises SizeNeeded if `size` is missing,
    CannotPack if no image fits.
    """
    if tensor.dtype == BYTES:
        return _strings(tensor, size)
    if tensor.dtype not in NUMBERS:
        raise CannotPack(f"it takes {tensor.dtype}: images are numbers or strings of bytes")
    shape = _own(tensor, size, layout)
    if len(shape) == 1:
        return _flat(shape[0], tensor.dtype, size)
    if len(shape) == 2:
        _, *sides = _merged((*shape, 1), size or Size(-1, -1))
        return Geometry(sides[0], sides[1], 1, "hwc", (sides[0], sides[1]))
    if len(shape) != 3:
        raise CannotPack(f"it takes tensors of shape {_text(tensor)}: that is no image")
    return _planes(shape, tensor.dtype, size)


def _own(tensor: TensorSpec, size: Size | None, layout: Layout | None) -> Dims:
    if tensor.shape is not None:
        return tensor.shape[1:]
    if size is None:
        raise SizeNeeded("the model takes any shape")
    if layout == "flat":
        return (-1,)
    return (size.height, size.width, -1)


def _strings(tensor: TensorSpec, size: Size | None) -> Geometry:
    if tensor.shape is not None and len(tensor.shape) != 1:
        raise CannotPack(f"it takes strings of shape {_text(tensor)}: one for each image fits")
    if size is None or size.channels is None:
        raise SizeNeeded("the model takes an image in a string")
    channels = _channels(size.channels)
    return Geometry(size.height, size.width, channels, "hwc", (), served="bytes")


def _flat(values: int, dtype: str, size: Size | None) -> Geometry:
    if size is None:
        for channels in (1, 3):
            side = math.isqrt(max(values, 0) // channels)
            if side and side * side * channels == values:
                size = Size(side, side, channels)
                break
        else:
            raise SizeNeeded(f"the model takes {'any number of' if values < 0 else values} values")
    channels = size.channels or max(1, values // (size.height * size.width))
    if values >= 0 and size.height * size.width * channels != values:
        raise CannotPack(
            f"{size.height}x{size.width}x{channels} are not the {values} values that it takes"
        )
    served: Literal["float", "reexported"] = "float" if dtype == FLOAT else "reexported"
    number = size.height * size.width * channels
    return Geometry(size.height, size.width, _channels(channels), "flat", (number,), served=served)


def _planes(shape: Dims, dtype: str, size: Size | None) -> Geometry:
    first = shape[2] not in (1, 3, -1) and shape[0] in (1, 3)
    turned = (*shape[1:], shape[0]) if first else shape
    channels, height, width = _merged(turned, size or Size(-1, -1))
    own = (channels, height, width) if first else (height, width, channels)
    served: Literal["float", "reexported"] = "reexported" if first or dtype != FLOAT else "float"
    return Geometry(height, width, _channels(channels), "hwc", own, first, served)


def _merged(shape: Dims, size: Size) -> Dims:
    """Return (channels, height, width) of the tensor, completed from the size."""
    merged = []
    for side, wanted in zip(shape, (size.height, size.width, size.channels or -1), strict=True):
        if -1 not in (side, wanted) and side != wanted:
            raise CannotPack(f"--size does not fit: the model takes {list(shape)}")
        merged.append(max(side, wanted))
    if -1 in merged:
        raise SizeNeeded(f"the model takes images of {list(shape)}, -1 is any size")
    height, width, channels = merged
    return (channels, height, width)


def _channels(number: int) -> Literal[1, 3]:
    if number == 1:
        return 1
    if number == 3:
        return 3
    raise CannotPack(f"it takes {number} channels: images have 1 (grey) or 3 (colours)")


def _text(tensor: TensorSpec) -> str:
    return str(list(tensor.shape or ()))
