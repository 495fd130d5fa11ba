"""WebP files: the chunks that have the pixels of the first frame."""

import struct
from collections.abc import Iterator

from facet.errors import BrokenImage
from facet.image.cleaned import Cleaned
from facet.image.exif import orientation

ALPHA, ANIMATION = 0x10, 0x02
"""The flags of a VP8X chunk about chunks with pixels."""

EXTENDED = struct.Struct("<B3x3s3s")
PIXELS = (b"ALPH", b"VP8 ", b"VP8L", b"ANIM")


def clean(data: bytes) -> Cleaned:
    """The WebP with only the pixels of its first frame.

    Raises BrokenImage if a chunk before the end of the pixels is cut short.
    """
    chunks: dict[bytes, bytes] = {}
    turned = 1
    for kind, content in _chunks(data):
        if kind == b"EXIF":
            turned = orientation(content)
        elif kind in (b"VP8X", b"ANMF", *PIXELS):
            chunks.setdefault(kind, content)
    header = chunks.pop(b"VP8X", None)
    if b"ANMF" in chunks:
        chunks = {kind: chunks[kind] for kind in (b"ANIM", b"ANMF") if kind in chunks}
    if not chunks:
        raise BrokenImage("The WebP has no pixels, or is cut short.")
    if header and len(header) == EXTENDED.size:
        flags = header[0] & (ALPHA | ANIMATION)
        chunks = {b"VP8X": bytes([flags]) + header[1:], **chunks}
    content = b"WEBP" + b"".join(_chunk(*each) for each in chunks.items())
    return Cleaned(_chunk(b"RIFF", content), orientation=turned)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and content of each chunk that is whole."""
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        place += 8
        if place + length > len(data):
            return
        yield kind, data[place : place + length]
        place += length + length % 2


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)
