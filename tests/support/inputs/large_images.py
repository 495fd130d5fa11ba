"""Small image files whose pixels take as much memory as a format allows.

Their pixels are all alike, so that they compress to almost nothing.
"""

import struct
import zlib

from tests.support.inputs import artifacts, images

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(colour_type: int, depth: int, size: tuple[int, int], *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of zeros, compressed row by row."""
    width, height = size
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    packer, row = zlib.compressobj(1), bytes(1 + -(-width * channels * depth // 8))
    pixels = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", pixels), (b"IEND", b"")]
    return SIGNATURE + b"".join(images.png_chunk(*each) for each in chunks)


def jpeg(size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    """A small JPEG that says it is large: libjpeg makes up what is missing before its end."""
    data = bytearray(artifacts.encoded(artifacts.image((16, 16), mode), "JPEG", **options))
    frame = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", size[1], size[0])
    return bytes(data)


def webp(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A lossless WebP whose five codes have one symbol each, so that pixels take no bits."""
    width, height = (side - 1 for side in size)
    code = 0b001  # a simple code, with one symbol of one bit: 0
    bits = width | height << 14 | 1 << 28  # 1: it has transparency
    bits |= sum(code << 35 + 4 * number for number in range(5))
    pixels = b"\x2f" + bits.to_bytes(8, "little")
    flags = struct.pack("<I", 0x18) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    exif = struct.pack("<4sIHHHIHH", b"II*\0", 8, 1, 0x112, 3, 1, orientation, 0)
    chunks = [(b"VP8X", flags), (b"VP8L", pixels), (b"EXIF", exif)]
    content = b"WEBP" + b"".join(images.riff_chunk(*each) for each in chunks)
    return images.riff_chunk(b"RIFF", content)


def bmp(size: tuple[int, int]) -> bytes:
    """A BMP of 8-bit palette indices in runs of up to 255 (RLE8), which Pillow reads in Python."""
    width, height = size
    runs = (struct.pack("BB", min(255, width - left), 0) for left in range(0, width, 255))
    pixels = (b"".join(runs) + b"\0\0") * height + b"\0\1"
    palette = bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + head + palette + pixels
