"""PNG files: the chunks that have the pixels, checked as libpng checks them."""

import struct
import zlib
from collections.abc import Iterator

from facet.errors import BrokenImage
from facet.image.cleaned import Cleaned
from facet.image.exif import orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = struct.Struct(">IIBBBBB")
GREY, RGB, PALETTE = 0, 2, 3
"""The colour types that can have a transparent colour."""

CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}


def clean(data: bytes) -> Cleaned:
    """The PNG with only its header, palette, transparency and pixels, all with right checksums.

    Pillow rejects a file for large texts and colour profiles and for other odd chunks beside the
    pixels, and reads frames of animations; browsers ignore such chunks, and show the default image
    if the frames are damaged. A missing end is added: if pixels are missing, Pillow notices.

    Raises BrokenImage if a chunk with pixels is damaged.
    """
    kept: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    turned = 1
    for kind, content, intact in _chunks(data):
        if kind == b"IEND" or (pixels and kind != b"IDAT"):
            break
        if not intact:
            if kind in (b"IHDR", b"PLTE", b"IDAT"):
                raise BrokenImage(f"The PNG's checksum of {kind.decode()} is wrong.")
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"eXIf":
            turned = orientation(content)
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            kept.setdefault(kind, content)
    if len(kept.get(b"IHDR", b"")) != HEADER.size or not pixels:
        raise BrokenImage("The PNG has no header, or no pixels.")
    width, _, depth, colours, *_ = HEADER.unpack(kept[b"IHDR"])
    if colours == PALETTE and not kept.get(b"PLTE"):
        raise BrokenImage("The PNG has no palette before its pixels.")
    if not _fits(kept.get(b"tRNS", b""), colours, len(kept.get(b"PLTE", b"")) // 3):
        kept.pop(b"tRNS", None)
    rows = 2 * (1 + width * CHANNELS.get(colours, 4) * max(depth, 8) // 8)
    chunks = [*kept.items(), (b"IDAT", b"".join(pixels)), (b"IEND", b"")]
    return Cleaned(SIGNATURE + b"".join(_chunk(*each) for each in chunks), True, turned, rows)


def depth(data: bytes) -> int:
    """Bits of a sample, or of a palette's index, of a file that starts with its header."""
    return data[len(SIGNATURE) + 8 + 8]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield the kind and content of each chunk, and whether its checksum is right.

    Of a chunk that is cut short it yields the rest, as if it were right.
    """
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        content = data[place + 8 : end]
        checksum = data[end : end + 4]
        intact = len(checksum) < 4 or zlib.crc32(kind + content) == int.from_bytes(checksum)
        yield kind, content, intact
        place = end + 4


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _fits(transparency: bytes, colours: int, palette: int) -> bool:
    """Whether transparency has a length that PNG allows; libpng ignores any other."""
    if colours == PALETTE:
        return 1 <= len(transparency) <= palette
    return (colours, len(transparency)) in ((GREY, 2), (RGB, 6))
