"""Decodes a cleaned image into pixels, the same way in training, onboarding and serving.

What stands beside the pixels is removed first, so that only damaged pixels reject an image. The
header then says how much memory decoding takes.
"""

import io
import warnings
from dataclasses import replace

from PIL import Image, UnidentifiedImageError

from facet.errors import BrokenImage, UnsupportedImage
from facet.image import colours, jpeg, memory, png, webp
from facet.image.cleaned import Cleaned
from facet.image.exif import SWAPPED, UPRIGHT
from facet.keys import IMAGE_FORMATS

SIGNATURES = (jpeg.SIGNATURE + b"\xff", png.SIGNATURE, b"GIF87a", b"GIF89a")
"""The first bytes of a supported format, which tell a damaged image from other files."""

MAX_PIXELS = 8192 * 6144
"""Pixels of an image: those of a phone's 50-megapixel sensor, far below Pillow's own limit against
decompression bombs (179 million). The file's pixels count even if fewer are decoded."""

DETAIL = 2
"""A large JPEG is decoded to at least this many times the input's height and width.
`benchmarks/predict` measures how much that changes the input's values."""

FILLER = bytes.fromhex("5ac3962d87e14bb4") * 8
INVERTED = bytes(byte ^ 0xFF for byte in FILLER)
"""What stands for pixels that may be missing: any bits, and the opposite of each; no 0xFF."""


def decode(
    data: bytes, *, fitting: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """The image upright, as a person sees it, in mode `RGB`, or `L` if it is grey.

    Animations give their first frame, 16-bit samples their upper eight bits, and transparent pixels
    are blended with white. Colour profiles are ignored, as by the libraries that models are trained
    with.

    `fitting` is the (height, width) that the image will be resized to. A larger JPEG is decoded at
    1/2, 1/4 or 1/8 of its size, with no side under `DETAIL` times the one needed. Without it, and
    in every other format, all pixels are decoded.

    Raises `UnsupportedImage` for bytes in no supported format, `BrokenImage` for images whose
    pixels are damaged or cut short, that are larger than `max_pixels`, or that take more than
    `memory.MAX_MEMORY`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about images that it can decode
        try:
            cleaned = clean(data)
            if cleaned.complete:
                return _decode(cleaned, fitting, max_pixels)
            return _decode_without_end(cleaned, fitting, max_pixels)
        except UnidentifiedImageError as error:
            raise _unidentified(data) from error
        except Image.DecompressionBombError as error:
            raise _too_large("far too many", max_pixels) from error
        except (OSError, SyntaxError, ValueError, IndexError, EOFError) as error:
            raise _damaged() from error


def clean(data: bytes) -> Cleaned:
    """The file with nothing beside its pixels; a GIF or BMP stays as it is.

    Raises BrokenImage if no pixels are found.
    """
    if data.startswith(jpeg.SIGNATURE + b"\xff"):
        return jpeg.clean(data)
    if data.startswith(png.SIGNATURE):
        return png.clean(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return webp.clean(data)
    return Cleaned(data)


def _decode(cleaned: Cleaned, fitting: tuple[int, int] | None, max_pixels: int) -> Image.Image:
    file = Image.open(io.BytesIO(cleaned.data), formats=IMAGE_FORMATS)
    pixels = file.width * file.height
    if pixels > max_pixels:
        raise _too_large(f"{file.width} x {file.height}", max_pixels)
    if fitting:
        _scale_down(file, cleaned.orientation, fitting)
    memory.check(file, cleaned, pixels)
    file.load()
    depth = png.depth(cleaned.data) if file.format == "PNG" else 8
    if file.format == "WEBP":
        file.fp = None  # Pillow's copy of the pixels
    turn = UPRIGHT.get(cleaned.orientation)
    upright = file if turn is None else file.transpose(turn)
    del file  # and what the decoder holds, before the next copy is made
    return colours.shown(upright, depth)


def _decode_without_end(
    cleaned: Cleaned, fitting: tuple[int, int] | None, max_pixels: int
) -> Image.Image:
    """Raises BrokenImage if pixels are missing, and not only the marker after them.

    Where pixels are missing, libjpeg takes them from whatever follows.
    """
    pixels = cleaned.data.removesuffix(jpeg.END)
    decoded, other = (
        _decode(replace(cleaned, data=pixels + filler + jpeg.END), fitting, max_pixels)
        for filler in (FILLER, INVERTED)
    )
    for box in colours.tiles(decoded.size):
        if decoded.crop(box).tobytes() != other.crop(box).tobytes():
            raise _damaged()
    return decoded


def _unidentified(data: bytes) -> UnsupportedImage | BrokenImage:
    if data.startswith(SIGNATURES):
        return _damaged()
    if not data:
        return UnsupportedImage("The image is empty.")
    return UnsupportedImage("Unsupported image format; send JPEG, PNG, WebP, BMP or GIF.")


def _damaged() -> BrokenImage:
    return BrokenImage("The image is damaged or cut short; check that the whole file was sent.")


def _too_large(pixels: str, max_pixels: int) -> BrokenImage:
    return BrokenImage(
        f"The image has {pixels} pixels; the limit is {max_pixels:,}. Send a smaller copy."
    )


def _scale_down(image: Image.Image, orientation: int, fitting: tuple[int, int]) -> None:
    """Scales in libjpeg's inverse DCT; does nothing for other formats."""
    height, width = fitting
    if orientation in SWAPPED:
        height, width = width, height
    image.draft(None, (width * DETAIL, height * DETAIL))
