"""The orientation of an image, read from its EXIF data."""

import struct

from PIL import Image

BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
"""The first bytes of a TIFF header, and the byte order they announce."""

ORIENTATION, SHORT = 0x0112, 3
ENTRY = 12
"""Bytes of an entry in a TIFF directory."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that undoes each orientation; there is none for 1, an upright image."""

SWAPPED = (5, 6, 7, 8)
"""The orientations whose stored width is the image's height."""


def orientation(exif: bytes) -> int:
    """The orientation 1..8 in EXIF data, or 1 if there is none or the data is damaged.

    `ImageOps.exif_transpose` would also obey XMP and text chunks, which browsers ignore.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + count * ENTRY, ENTRY):
            tag, kind, values, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == ORIENTATION:
                return value if (kind, values) == (SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:  # cut short
        pass
    return 1
