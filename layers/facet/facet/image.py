"""Image bytes → pixels, the same for training, onboarding and serving."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from facet.errors import BrokenImage, UnsupportedImage
from facet.keys import IMAGE_FORMATS

PNG = b"\x89PNG\r\n\x1a\n"
SIGNATURES = (b"\xff\xd8\xff", PNG, b"GIF87a", b"GIF89a")
"""How a file begins that is meant to be one of them, however damaged the rest is."""

MAX_PIXELS = 8192 * 6144
"""What a phone's 50-megapixel sensor has; far below Pillow's own bomb limit (179 million). They are
the file's pixels also where fewer are decoded: whatever the scale, libjpeg holds all coefficients
of a progressive JPEG, two bytes for each pixel and channel."""

DETAIL = 2
"""A large JPEG is decoded at least so many times as large, each way, as the input needs it.
`benchmarks/predict` measures how far that moves the input's values."""

STRIP = 256
"""Rows that are laid on white at a time: whole, an image would be in memory five times."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation. `ImageOps.exif_transpose` also writes the EXIF data anew,
which fails on odd tags, and copies images that are upright already."""

LYING = (5, 6, 7, 8)
"""The orientations of images whose stored width is the height that is seen."""


def decode(
    data: bytes, *, fitting: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """The image as a person sees it: mode `RGB`, or `L` where it is grey; upright.

    Of an animation the first frame counts; transparency lies on white. Of 16 bits the upper eight
    count. Colour profiles are ignored, as the libraries do that models are trained with.

    `fitting` is the (height, width) that the image will be brought to: a JPEG that is larger
    comes out at 1/2, 1/4 or 1/8 of its size, but no side under `DETAIL` times the one needed.
    Without it, and of every other format, all pixels come out.

    Raises `UnsupportedImage` for bytes of any other kind, `BrokenImage` for images that are
    damaged, cut short, or larger than `max_pixels`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow only warns of does not cost the image
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
    return UnsupportedImage(
        "The bytes are not an image of a type we take: send JPEG, PNG, WebP, BMP or GIF."
    )


def _damaged() -> BrokenImage:
    return BrokenImage("The image is damaged or cut short; check that the whole file was sent.")


def _too_large(pixels: str, max_pixels: int) -> BrokenImage:
    return BrokenImage(
        f"The image has {pixels} pixels; at most {max_pixels:,} are taken. Send a smaller copy."
    )


def _scale_down(image: Image.Image, fitting: tuple[int, int]) -> None:
    """Has libjpeg scale within its inverse DCT; Pillow does nothing where it cannot."""
    height, width = fitting
    if image.getexif().get(ExifTags.Base.Orientation) in LYING:
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
    """`depth` is the one in which a PNG's transparent colour is written; Pillow leaves it so."""
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
