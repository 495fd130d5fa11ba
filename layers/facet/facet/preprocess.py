"""Turns an image into the model's input, the same way in training, onboarding and serving.

All of them call `decode` and then `apply` (or `geometry`) with the manifest's input spec.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet.image import decoding, encoded
from facet.image.decoding import MAX_PIXELS
from facet.resizing import fit
from facet.specs import InputSpec

Pixels = fit.Pixels
Tensor = NDArray[np.float32]


def decode(spec: InputSpec, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in `data` as a person sees it, with at least the detail that `apply` needs.

    Raises what `decoding.decode` raises.
    """
    reduced = spec.decode == "reduced"
    fitting = (spec.resize_to or spec.height, spec.resize_to or spec.width) if reduced else None
    return decoding.decode(data, fitting=fitting, max_pixels=max_pixels)


def apply(spec: InputSpec, decoded: Image.Image, file: bytes = b"") -> Pixels | Tensor:
    """The input tensor of one decoded image, without a batch axis.

    `encoding: uint8` gives uint8 RGB pixels, `float` gives normalised float32; the shape is
    (height, width, channels), or (height * width * channels,) where the layout is `flat`. `jpeg`
    gives the bytes of a JPEG or PNG: uint8 (bytes,). They are those of `file`, from which the image
    was decoded, where a graph reads them as Facet does.
    """
    if spec.encoding == "jpeg" and file and (unchanged := encoded.passed_on(file)) is not None:
        return unchanged
    return tensor(spec, geometry(spec, decoded))


def tensor(spec: InputSpec, pixels: Pixels) -> Pixels | Tensor:
    """The input tensor of (height, width, channels) pixels; shape and dtype as of `apply`."""
    if spec.encoding == "jpeg":
        return encoded.png(pixels.astype(np.uint8))
    values = pixels if spec.encoding == "uint8" else normalise(spec, pixels)
    return values.reshape(-1) if spec.layout == "flat" else values


def geometry(spec: InputSpec, decoded: Image.Image) -> Pixels:
    """(height, width, channels): the pixels in RGB or grey, 0..255, at the spec's size.

    They have the dtype of `pixel_type`.
    """
    mode = "RGB" if spec.channels == 3 else "L"
    decoded = decoded if decoded.mode == mode else decoded.convert(mode)
    pixels = fit.fitted(spec, decoded)
    if spec.invert:
        pixels = 255 - pixels
    if pixels.dtype == pixel_type(spec):
        return pixels
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def pixel_type(spec: InputSpec) -> np.dtype[np.uint8 | np.float32]:
    """float32 for TensorFlow's filters, unless the model takes bytes; else uint8."""
    kept = spec.encoding == "float" and spec.resize.startswith("tf-")
    return np.dtype(np.float32 if kept else np.uint8)


def normalise(spec: InputSpec, pixels: Pixels) -> Tensor:
    """float32 `(pixel * scale - mean) / std` with channels in the spec's order, standardised.

    `pixels` is (…, height, width, channels) in RGB order.
    """
    ordered = pixels[..., ::-1] if spec.order == "BGR" else pixels
    values = ordered.astype(np.float32) * np.float32(spec.scale)
    if spec.mean:
        values -= np.asarray(spec.mean, dtype=np.float32)
    if spec.std:
        values /= np.asarray(spec.std, dtype=np.float32)
    return _standardise(values) if spec.per_image_standardization else values


def _standardise(values: Tensor) -> Tensor:
    """Mean 0 and variance 1 for each image, as by `tf.image.per_image_standardization`."""
    axes = (-3, -2, -1)
    size = np.prod(values.shape[-3:])
    centred: Tensor = values - values.mean(axis=axes, keepdims=True)
    deviation = np.maximum(values.std(axis=axes, keepdims=True), 1 / np.sqrt(np.float32(size)))
    centred /= deviation
    return centred
