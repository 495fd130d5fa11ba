"""Draws images for golden samples by code, so that an artifact contains no training data."""

import io

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 96, 72
"""Neither square nor the size of a network's input, so that the sample also tests resizing."""


def draw(seed: int) -> bytes:
    """Draws a PNG of shapes on a smooth gradient; the same seed gives the same pixels."""
    random = np.random.default_rng(seed)
    image = _gradient(random)
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = random.uniform(0.15, 0.85, 2) * (WIDTH, HEIGHT)
        reach = random.uniform(8, 28, 2)
        box = [x - reach[0], y - reach[1], x + reach[0], y + reach[1]]
        shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
        shape(box, fill=tuple(random.integers(0, 256, 3).tolist()))
    png = io.BytesIO()
    image.save(png, "PNG", optimize=True)
    return png.getvalue()


def _gradient(random: np.random.Generator) -> Image.Image:
    corners = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
