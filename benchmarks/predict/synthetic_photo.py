"""Draws an image like a photograph: shading, hard edges, fine texture, sensor noise."""

import io

import numpy as np
from PIL import Image, ImageDraw

QUALITY = 85
COARSEST = 4
"""Spots of light and shade across the image at the coarsest scale. Each finer scale has spots half
as large and weaker by `FADING`, approximately as in a photograph."""

FADING = 0.62
LARGEST = 60.0
NOISE = 5.0
SHAPES = 40


def jpeg(size: tuple[int, int], seed: int = 1) -> bytes:
    """Draws an image of (width, height) and encodes it as JPEG."""
    encoded = io.BytesIO()
    draw(size, seed).save(encoded, "JPEG", quality=QUALITY)
    return encoded.getvalue()


def draw(size: tuple[int, int], seed: int = 1) -> Image.Image:
    """Draws an RGB image; the same seed gives the same image."""
    random = np.random.default_rng(seed)
    image = Image.merge("RGB", [_channel(size, random) for _ in range(3)])
    pen = ImageDraw.Draw(image)
    for number in range(SHAPES):
        left, top = random.uniform(0, 1, 2) * size
        reach = random.uniform(0.01, 0.2) * size[0]
        shape = pen.ellipse if number % 2 else pen.rectangle
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape((left, top, left + reach, top + reach * 0.7), fill=colour)
    noise = random.normal(0, NOISE, (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _channel(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    light = np.full((size[1], size[0]), 120, np.float32)
    spots, strength = COARSEST, LARGEST
    while spots < max(size):
        grid = random.normal(0, strength, (spots, spots)).astype(np.float32)
        light += np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))
        spots, strength = spots * 2, strength * FADING
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
