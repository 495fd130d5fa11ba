"""Decodes an encoded image into pixels, the same way in training, onboarding and serving."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from facet.errors import BrokenImage, UnsupportedImage
from facet.keys import IMAGE_FORMATS

PNG = b"\x89PNG\r\n\x1a\n"
SIGNATURES = (b"\xff\xd8\xff", PNG, b"GIF87a", b"GIF89a")
"""The first bytes of a supported format, which tell a damaged image from other files."""

MAX_PIXELS = 8192 * 6144
"""Pixels of an image: those of a phone's 50-megapixel sensor, far below Pillow's own limit against
decompression bombs (179 million). The file's pixels count even if fewer are decoded: at any scale
libjpeg holds all coefficients of a progressive JPEG, two bytes for each pixel and channel."""

DETAIL = 2
"""A large JPEG is decoded to at least this many times the input's height and width.
`benchmarks/predict` measures how much that changes the input's values."""

STRIP = 256
"""Rows that are blended with white at a time; all at once would need five times the memory."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that undoes each EXIF orientation. `ImageOps.exif_transpose` also rewrites EXIF,
which fails on odd tags, and copies images that are upright already."""

SWAPPED = (5, 6, 7, 8)
"""The orientations whose stored width is the image's height."""


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

    Raises `UnsupportedImage` for bytes in no supported format, `BrokenImage` for images that are
    damaged, cut short, or larger than `max_pixels`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about images that it can decode
        try:
            image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
            if image.width * image.height > max_pixels:
                raise _too_large(f"{image.width} x {image.height}", max_pixels)
            if fitting:
                _scale_down(image, fitting)
            return _as_seen(image, _depth(data))
        except UnidentifiedImageError as error:
            raise _unidentified(data) from error
        except Image.DecompressionBombError as error:
            raise _too_large("far too many", max_pixels) from error
        except (OSError, SyntaxError, ValueError, IndexError) as error:
            raise _damaged() from error


def _unidentified(data: bytes) -> UnsupportedImage | BrokenImage:
    if data.startswith(SIGNATURES):
        return _damaged()
    return UnsupportedImage("Unsupported image format; send JPEG, PNG, WebP, BMP or GIF.")


def _damaged() -> BrokenImage:
    return BrokenImage("The image is damaged or cut short; check that the whole file was sent.")


def _too_large(pixels: str, max_pixels: int) -> BrokenImage:
    return BrokenImage(
        f"The image has {pixels} pixels; the limit is {max_pixels:,}. Send a smaller copy."
    )


def _scale_down(image: Image.Image, fitting: tuple[int, int]) -> None:
    """Scales in libjpeg's inverse DCT; does nothing for other formats."""
    height, width = fitting
    if image.getexif().get(ExifTags.Base.Orientation) in SWAPPED:
        height, width = width, height
    image.draft(None, (width * DETAIL, height * DETAIL))


def _depth(data: bytes) -> int:
    """Bits of a PNG's sample, or of a palette's index; 8 in every other format."""
    return data[24] if data.startswith(PNG) else 8


def _as_seen(image: Image.Image, depth: int) -> Image.Image:
    image.load()
    turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    upright = image if turn is None else image.transpose(turn)
    if upright.mode.startswith("I"):
        return _of_sixteen_bits(upright)
    if upright.has_transparency_data:
        return _on_white(upright, depth)
    if upright.mode in ("RGB", "L"):
        return upright
    return upright.convert("L" if upright.mode == "1" else "RGB")


def _of_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    seen = (values >> 8).astype(np.uint8)
    seen[values == image.info.get("transparency", -1)] = 255
    return Image.fromarray(seen)


def _on_white(image: Image.Image, depth: int) -> Image.Image:
    """Pillow leaves a PNG's transparent colour in the file's bit `depth`."""
    if image.mode == "L" and depth in (2, 4):
        image.info["transparency"] *= 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(each >> 8 for each in image.info["transparency"])
    seen = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP):
        box = (0, top, image.width, min(top + STRIP, image.height))
        pixels = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        seen.paste(Image.alpha_composite(white, pixels).convert("RGB"), box)
    return seen
