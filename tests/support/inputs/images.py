"""Generates image files of every supported format and variant."""

import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from tests.support.inputs import artifacts

ADOBE_TRANSFORM = 11
"""Offset in the `Adobe` marker of the byte that says how CMYK is stored; 2 is YCCK."""


def scene(size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Shapes with hard edges on a gradient; all corners and sides differ."""
    image = artifacts.image(size)
    pen, random = ImageDraw.Draw(image), np.random.default_rng(5)
    for number in range(24):
        left, top = random.uniform(0, 0.9, 2) * size
        right, bottom = random.uniform(0.02, 0.1, 2) * size + (left, top)
        shape = pen.ellipse if number % 2 else pen.rectangle
        shape((left, top, right, bottom), fill=tuple(random.integers(0, 256, 3).tolist()))
    return image


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def riff_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length, padded to an even number of bytes."""
    return struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)


def png(
    colour_type: int,
    depth: int,
    row: bytes,
    *extra: tuple[bytes, bytes],
    size: tuple[int, int] = (1, 1),
) -> bytes:
    """A PNG that repeats one row, for the variants that Pillow cannot write.

    `extra` are chunks before the pixels, as (name, data).
    """

    head = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    rows = zlib.compress((b"\0" + row) * size[1])
    chunks = [(b"IHDR", head), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


def jpeg(size: tuple[int, int] = (640, 480), orientation: int = 1, **options: object) -> bytes:
    """`scene` as a JPEG with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return artifacts.encoded(scene(size), "JPEG", exif=exif, **options)


def ycck(ink: tuple[int, int, int, int], size: tuple[int, int] = (16, 16)) -> bytes:
    """One colour as Adobe's YCCK, which Pillow reads but cannot write."""
    cyan, magenta, yellow, black = ink
    light = Image.new("RGB", (1, 1), (cyan, magenta, yellow)).convert("YCbCr").getpixel((0, 0))
    assert isinstance(light, tuple)
    stored = Image.new("CMYK", size, (*(255 - value for value in light), black))
    data = bytearray(artifacts.encoded(stored, "JPEG", quality=95))
    data[data.index(b"Adobe") + ADOBE_TRANSFORM] = 2
    return bytes(data)


@cache
def files() -> dict[str, bytes]:
    """Returns files by name. The JPEGs are large enough for decoding at a reduced scale."""
    plain, clear = scene(), scene((120, 90)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    small, encoded = scene((120, 90)), artifacts.encoded
    sixteen = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
    wide = np.linspace(0, 65535, 60 * 3).astype(">u2").tobytes()
    frames = [small, small.rotate(180)]
    return {
        "jpeg.jpg": encoded(plain, "JPEG"),
        "jpeg-small.jpg": encoded(small, "JPEG"),
        "jpeg-12-megapixels.jpg": jpeg((4032, 3024)),
        "jpeg-progressive.jpg": encoded(plain, "JPEG", progressive=True),
        "jpeg-444.jpg": encoded(plain, "JPEG", subsampling=0, quality=95),
        "jpeg-cmyk.jpg": encoded(plain.convert("CMYK"), "JPEG"),
        "jpeg-ycck.jpg": ycck((0, 255, 255, 0), (640, 480)),
        "jpeg-rgb.jpg": encoded(plain, "JPEG", keep_rgb=True),
        "jpeg-grey.jpg": encoded(plain.convert("L"), "JPEG"),
        "jpeg-mpo.jpg": encoded(plain, "MPO", save_all=True, append_images=[plain.rotate(180)]),
        **{f"jpeg-orientation-{each}.jpg": jpeg(orientation=each) for each in range(1, 9)},
        "png.png": encoded(small),
        "png-alpha.png": encoded(clear),
        "png-grey.png": encoded(small.convert("L")),
        "png-grey-alpha.png": encoded(clear.convert("LA")),
        "png-palette.png": encoded(small.quantize(32)),
        "png-palette-alpha.png": encoded(clear.quantize(32)),
        "png-1-bit.png": encoded(small.convert("1")),
        "png-16-bit-grey.png": encoded(sixteen),
        "png-16-bit.png": png(2, 16, wide, size=(60, 40)),
        "webp.webp": encoded(small, "WEBP"),
        "webp-alpha.webp": encoded(clear, "WEBP", lossless=True),
        "webp-animated.webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "bmp.bmp": encoded(small, "BMP"),
        "bmp-palette.bmp": encoded(small.quantize(32), "BMP"),
        "gif.gif": encoded(small, "GIF"),
        "gif-animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "gif-transparent.gif": encoded(clear, "GIF"),
    }
