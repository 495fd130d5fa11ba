"""Pixels of any kind → 8-bit RGB or grey, with transparency on white."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

TILE = 1 << 20
"""Pixels that are converted at a time: all at once would need five times the memory."""


def shown(image: Image.Image, depth: int) -> Image.Image:
    """The image in mode `RGB`, or `L` if it is grey.

    `depth` is the bits of a PNG's sample, or of a palette's index; 8 in every other format.
    """
    if image.mode.startswith("I"):
        return _of_sixteen_bits(image)
    if image.has_transparency_data:
        return _on_white(image, depth)
    if image.mode in ("RGB", "L"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def tiles(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes (left, upper, right, lower) of an image's parts of up to `TILE` pixels."""
    width = min(size[0], TILE)
    height = max(1, TILE // width)
    for top in range(0, size[1], height):
        for left in range(0, size[0], width):
            yield left, top, min(left + width, size[0]), min(top + height, size[1])


def _of_sixteen_bits(image: Image.Image) -> Image.Image:
    seen = Image.new("L", image.size)
    for box in tiles(image.size):
        values = np.asarray(image.crop(box))
        upper = (values >> 8).astype(np.uint8)
        upper[values == image.info.get("transparency", -1)] = 255
        seen.paste(Image.fromarray(upper), box)
    return seen


def _on_white(image: Image.Image, depth: int) -> Image.Image:
    """Pillow leaves a PNG's transparent colour in the file's bit `depth`."""
    if image.mode == "L" and depth in (2, 4):
        image.info["transparency"] *= 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(each >> 8 for each in image.info["transparency"])
    seen = Image.new("RGB", image.size)
    for box in tiles(image.size):
        pixels = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        seen.paste(Image.alpha_composite(white, pixels).convert("RGB"), box)
    return seen
