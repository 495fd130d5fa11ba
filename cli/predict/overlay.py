"""An image with a heat map laid over it: the image in grey, the map from red to yellow.

The page draws the same (functions/page/static/results/heatmap.js).
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from facet.image.decoding import decode

SIDES = (512, 1600)
"""Pixels of the longest side, at least and at most."""

WEAK = np.array([215.0, 25.0, 60.0])
STRONG = np.array([255.0, 230.0, 0.0])
"""RGB of the colours between which the map goes."""

OPAQUE = 0.75
"""How far the strongest colour covers the image."""


def write(file: Path, image: bytes, heatmap: bytes) -> None:
    """Write a PNG of an image and the API's heat map of it. Raises OSError, and as `decode`."""
    drawn(decode(image), Image.open(io.BytesIO(heatmap))).save(file, "PNG")


def drawn(image: Image.Image, heatmap: Image.Image) -> Image.Image:
    """The heat map, in mode L, over the image."""
    least, most = SIDES
    longest = max(image.size)
    scale = min(max(longest, least), most) / longest
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC), np.float32)
    heat = np.asarray(heatmap.resize(size, Image.Resampling.BICUBIC), np.float32)[..., None] / 255
    covered = heat * OPAQUE
    colour = WEAK + heat * (STRONG - WEAK)
    blended = grey[..., None] * (1 - covered) + colour * covered
    return Image.fromarray(np.rint(blended).astype(np.uint8))
