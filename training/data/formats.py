"""Which files are images, why others are skipped, and how a phone's images become JPEGs.

Training and the API read the formats of `facet.keys`. HEIC and AVIF are converted on this machine,
in the same way for a data set and for a prediction.
"""

import io
from pathlib import PurePath

from PIL import Image, ImageOps

from facet.errors import FacetError
from facet.image.decoding import SIGNATURES
from facet.keys import IMAGE_SUFFIXES

HEIC_SUFFIXES = (".heic", ".heif", ".hif")
CONVERTED_SUFFIXES = (*HEIC_SUFFIXES, ".avif")
READ_SUFFIXES = (*IMAGE_SUFFIXES, ".jfif", ".jpe")
"""The suffixes of the formats that training and the API read."""

OTHER_IMAGES = (".tif", ".tiff", ".svg", ".psd", ".ppm", ".pgm", ".tga", ".ico", ".jp2", ".jxl",
                ".dng", ".cr2", ".nef", ".arw", ".dcm")  # fmt: skip
QUALITY = 92
"""Of a JPEG that is made of a HEIC or AVIF image. Like most of those, it has half the colours'
resolution; twelve megapixels then fit into a request."""

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of HEIC and AVIF files, at byte 8."""

JUNK = ("__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "icon\r")
"""Names of what operating systems, archivers and network drives leave in folders."""


class CannotConvert(FacetError):
    """A HEIC or AVIF image that cannot be read."""


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was left by a system."""
    return name.startswith(".") or name.lower() in JUNK


def is_image(name: str) -> bool:
    """Whether the file's suffix is that of an image that is read or converted."""
    return name.lower().endswith((*READ_SUFFIXES, *CONVERTED_SUFFIXES))


def needs_conversion(name: str) -> bool:
    return name.lower().endswith(CONVERTED_SUFFIXES)


def begins_like_phone_image(content: bytes) -> bool:
    """Whether the content begins as HEIC or AVIF."""
    return content[4:8] == b"ftyp" and content[8:12] in BRANDS


def has_suffix(name: str) -> bool:
    """Whether the name ends in a suffix; `photo` and `IMG 2.0 final` have none."""
    suffix = PurePath(name).suffix
    return len(suffix) > 1 and suffix[1:].isalnum() and not suffix[1:].isdigit()


def begins_like_image(content: bytes) -> bool:
    """Whether the content begins as an image in a format that training reads."""
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return content.startswith((*SIGNATURES, b"BM")) or webp


def why_skipped(name: str) -> str:
    """The reason why a file that is not read is not."""
    suffix = PurePath(name).suffix.lower()
    if suffix in OTHER_IMAGES:
        return f"{suffix[1:].upper()} is not read; convert it to PNG or JPEG"
    return "not an image"


def to_jpeg(content: bytes) -> bytes:
    """Convert a HEIC or AVIF image: upright, in RGB. Raises CannotConvert."""
    _register_heic(content)
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(content), formats=("AVIF", "HEIF")))
        jpeg = io.BytesIO()
        _on_white(image).save(jpeg, "JPEG", quality=QUALITY)
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise CannotConvert("The image is damaged, or in no HEIC or AVIF that is read.") from error
    return jpeg.getvalue()


def _register_heic(content: bytes) -> None:
    if content[8:12] in (b"avif", b"avis"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise CannotConvert(
            "HEIC needs pillow-heif: `make training` in a checkout, else pip install 'facet[heic]'"
        ) from error
    pillow_heif.register_heif_opener()


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
