"""Turns an image into the model's input, the same way in training, onboarding and serving.

All of them call `decode` and then `apply` (or `geometry`) with the manifest's input spec.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facet import image
from facet.manifest import InputSpec

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""The manifest's names for Pillow's filters, which all but `nearest` average when they shrink."""

Pixels = NDArray[np.uint8]
Tensor = NDArray[np.float32]


def decode(spec: InputSpec, data: bytes, *, max_pixels: int = image.MAX_PIXELS) -> Image.Image:
    """The image in `data` as a person sees it, with at least the detail that `apply` needs.

    Raises what `image.decode` raises.
    """
    # `nearest` takes single pixels of the image, which a smaller one does not have
    fitting = None if spec.resize == "nearest" else (spec.height, spec.width)
    return image.decode(data, fitting=fitting, max_pixels=max_pixels)


def apply(spec: InputSpec, decoded: Image.Image) -> Pixels | Tensor:
    """The input tensor of one decoded image, without a batch axis.

    `encoding: uint8` gives uint8 RGB pixels, `float` gives normalised float32; the shape is
    (height, width, channels), or (height * width * channels,) where the layout is `flat`.
    """
    return tensor(spec, geometry(spec, decoded))


def tensor(spec: InputSpec, pixels: Pixels) -> Pixels | Tensor:
    """The input tensor of uint8 (height, width, channels) pixels; shape and dtype as of `apply`."""
    values = pixels if spec.encoding == "uint8" else normalise(spec, pixels)
    return values.reshape(-1) if spec.layout == "flat" else values


def geometry(spec: InputSpec, decoded: Image.Image) -> Pixels:
    """uint8 (height, width, channels): the pixels in RGB or grey, resized to the spec."""
    mode = "RGB" if spec.channels == 3 else "L"
    decoded = decoded if decoded.mode == mode else decoded.convert(mode)
    pixels = np.asarray(_fit(spec, decoded), dtype=np.uint8)
    return pixels.reshape(spec.height, spec.width, spec.channels)


def normalise(spec: InputSpec, pixels: Pixels) -> Tensor:
    """float32 `(pixel * scale - mean) / std` with channels in the spec's order.

    `pixels` is uint8 (…, channels) in RGB order.
    """
    ordered = pixels[..., ::-1] if spec.order == "BGR" else pixels
    values = ordered.astype(np.float32) * np.float32(spec.scale)
    if spec.mean:
        values -= np.asarray(spec.mean, dtype=np.float32)
    if spec.std:
        values /= np.asarray(spec.std, dtype=np.float32)
    return values


def _fit(spec: InputSpec, decoded: Image.Image) -> Image.Image:
    size, method = (spec.width, spec.height), FILTERS[spec.resize]
    if decoded.size == size:
        return decoded
    if spec.fit == "crop":
        return ImageOps.fit(decoded, size, method)
    if spec.fit == "pad":
        return ImageOps.pad(decoded, size, method)
    return decoded.resize(size, method)
