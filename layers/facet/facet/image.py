"""Picture bytes → pixels, the same for training, onboarding and serving."""

import io
import warnings

from PIL import ExifTags, Image, UnidentifiedImageError

from facet.errors import BrokenImage, UnsupportedImage

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""The formats we open. Naming them keeps Pillow's other parsers out of reach."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
"""How a file begins that is meant to be one of them, however damaged the rest is."""

MAX_PIXELS = 50_000_000
"""Far below Pillow's own bomb limit (179 million); a large phone camera makes 48 million."""

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
which fails on odd tags, and copies pictures that are upright already."""


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture as a person sees it: mode `RGB`, or `L` where it is grey; upright.

    Of an animation the first frame counts; transparency lies on white.

    Raises `UnsupportedImage` for bytes of any other kind, `BrokenImage` for pictures that are
    damaged, cut short, or larger than `max_pixels`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow only warns of does not cost the picture
        try:
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > max_pixels:
                raise _too_large(f"{picture.width} x {picture.height}", max_pixels)
            return _as_seen(picture)
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


def _as_seen(picture: Image.Image) -> Image.Image:
    picture.load()
    turn = UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    upright = picture if turn is None else picture.transpose(turn)
    if upright.mode.startswith("I"):
        return upright.point(lambda value: value / 256).convert("L")
    if upright.has_transparency_data:
        pixels = upright.convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        return Image.alpha_composite(white, pixels).convert("RGB")
    if upright.mode in ("RGB", "L"):
        return upright
    return upright.convert("L" if upright.mode == "1" else "RGB")
