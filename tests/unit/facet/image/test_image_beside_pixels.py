"""Data beside the pixels may be odd, large, damaged or missing; the pixels may not."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facet.errors import BrokenImage
from facet.image import exif, jpeg
from facet.image.decoding import decode
from tests.support.inputs import artifacts, images

IMAGE = artifacts.image((40, 30))
PNG = artifacts.encoded(IMAGE)
LARGE = zlib.compress(b"x" * 2_000_000)
ORIENTATION_6 = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"


def with_chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """`PNG` with one more chunk after its header."""
    chunk = images.png_chunk(name, data)
    if checksum is not None:
        chunk = chunk[:-4] + struct.pack(">I", checksum)
    return PNG[:33] + chunk + PNG[33:]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"zTXt", b"Comment\0\0" + LARGE),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
        (b"tEXt", b"no separator"),
        (b"zTXt", b"a\0\7"),
        (b"iCCP", b"icc\0\0" + LARGE),
        (b"iCCP", b"no separator"),
        (b"eXIf", b"\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01"),
        (b"pHYs", b"\0\0"),
        (b"gAMA", b""),
        (b"cHRM", b"\0"),
        (b"sRGB", b""),
        (b"tRNS", b"\0"),
        (b"acTL", b"\0"),
        (b"fcTL", b"\0" * 26),
        (b"prVt", b"anything"),
    ],
)
def test_an_odd_chunk_of_a_png_changes_nothing(name: bytes, data: bytes) -> None:
    assert decode(with_chunk(name, data)).tobytes() == IMAGE.tobytes()
    assert decode(with_chunk(name, data, checksum=0)).tobytes() == IMAGE.tobytes()


def test_many_large_texts_of_a_png_change_nothing() -> None:
    text = images.png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_000_000))
    assert decode(PNG[:33] + 80 * text + PNG[33:]).tobytes() == IMAGE.tobytes()


@pytest.mark.parametrize("missing", [12, 14, 16, 18])
def test_a_png_without_its_end_is_whole(missing: int) -> None:
    """Without IEND, and without some or all of the checksums before it."""
    assert decode(PNG[:-missing]).tobytes() == IMAGE.tobytes()


def test_a_png_without_some_pixels_is_broken() -> None:
    for missing in range(40, len(PNG) - 60, 97):
        with pytest.raises(BrokenImage):
            decode(PNG[:-missing])


def test_a_png_without_its_palette_is_broken() -> None:
    with pytest.raises(BrokenImage, match="palette"):
        decode(images.png(3, 8, b"\0"))


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT"])
def test_a_png_with_a_damaged_chunk_of_pixels_is_broken(name: bytes) -> None:
    data = bytearray(PNG)
    place = data.index(name)
    length = int.from_bytes(data[place - 4 : place])
    data[place + 4 + length] ^= 1
    with pytest.raises(BrokenImage):
        decode(bytes(data))


def test_a_transparent_colour_of_a_png_is_ignored_if_it_is_damaged() -> None:
    key = (b"tRNS", b"\xff\xff\x80\x00\x12\x34")
    data = bytearray(images.png(2, 16, key[1], key))
    seen = decode(bytes(data)).getpixel((0, 0))
    data[data.index(key[0]) + 4 + len(key[1])] ^= 1
    assert seen == (255, 255, 255)
    assert decode(bytes(data)).getpixel((0, 0)) == (0xFF, 0x80, 0x12)


@pytest.mark.parametrize(
    "beside",
    [
        {"exif": b"GARBAGE" * 5},
        {"exif": b"Exif\0\0" + b"MM\0*" + b"\xff" * 4},
        {"icc_profile": b"no profile", "xmp": b"<no xml"},
    ],
)
def test_odd_chunks_of_a_webp_change_nothing(beside: dict[str, bytes]) -> None:
    data = artifacts.encoded(IMAGE, "WEBP", lossless=True, **beside)
    assert decode(data).tobytes() == IMAGE.tobytes()


def test_a_webp_without_its_end_is_whole_if_the_pixels_are() -> None:
    data = artifacts.encoded(IMAGE, "WEBP", lossless=True, exif=b"Exif\0\0" + ORIENTATION_6)
    assert decode(data).size == (30, 40)
    assert decode(data[:-4]).tobytes() == IMAGE.tobytes(), "the EXIF chunk is cut short"
    assert decode(data + b"more").size == (30, 40)
    with pytest.raises(BrokenImage):
        decode(data[: data.index(b"EXIF") - 4])


def test_a_webp_with_transparency_keeps_it() -> None:
    clear = IMAGE.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    white = Image.new("RGBA", clear.size, "white")
    for lossless in (True, False):
        data = artifacts.encoded(clear, "WEBP", lossless=lossless, quality=100, exif=b"no EXIF")
        seen = np.asarray(decode(data), np.int16)
        expected = np.asarray(Image.alpha_composite(white, clear).convert("RGB"), np.int16)
        assert np.abs(seen - expected).mean() < (1 if lossless else 8)


def test_later_frames_of_a_webp_may_be_damaged() -> None:
    frames = [Image.new("RGB", (8, 8), name) for name in ("red", "blue")]
    data = artifacts.encoded(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True
    )
    assert decode(data[:-6]).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\0"])
def test_a_gif_without_its_end_is_whole(end: bytes) -> None:
    data = artifacts.encoded(IMAGE, "GIF")
    assert decode(data.removesuffix(b"\0;") + end).tobytes() == decode(data).tobytes()


JPEGS = {
    "plain": artifacts.encoded(IMAGE, "JPEG"),
    "grey": artifacts.encoded(IMAGE.convert("L"), "JPEG"),
    "progressive": artifacts.encoded(IMAGE, "JPEG", progressive=True),
    "restarts": artifacts.encoded(IMAGE, "JPEG", restart_marker_rows=1),
    "flat": artifacts.encoded(Image.new("RGB", (64, 48), "teal"), "JPEG"),
}


@pytest.mark.parametrize("kind", sorted(JPEGS))
def test_a_jpeg_without_its_end_is_whole(kind: str) -> None:
    data = JPEGS[kind]
    whole = decode(data).tobytes()
    assert decode(data[:-2]).tobytes() == whole
    assert decode(data[:-1]).tobytes() == whole
    assert decode(data[:-2] + b"\0\0\0\0").tobytes() == whole


@pytest.mark.parametrize("kind", sorted(JPEGS))
def test_a_jpeg_without_some_pixels_is_broken(kind: str) -> None:
    data = JPEGS[kind]
    for missing in (3, 4, 5, 6, 8, 20, 33, 60, 120):
        with pytest.raises(BrokenImage):
            decode(data[:-missing])


@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE])
@pytest.mark.parametrize(
    "content", [b"", b"JFIF", b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0", b"Photoshop 3.0\0", b"Adobe"]
)
def test_an_odd_segment_of_a_jpeg_changes_nothing(marker: int, content: bytes) -> None:
    data = JPEGS["plain"]
    segment = bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content
    assert decode(data[:2] + segment + data[2:]).tobytes() == decode(data).tobytes()


def test_the_scans_of_a_jpeg_are_bounded() -> None:
    data = JPEGS["progressive"]
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + 100 * scan + data[-2:]).size == IMAGE.size
    with pytest.raises(BrokenImage, match="scans; the limit is 500"):
        decode(data[:-2] + jpeg.MAX_SCANS * scan + data[-2:])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_only_exif_turns_an_image(kind: str) -> None:
    """XMP and ImageMagick's text chunks do not, as in browsers."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    options = {"pnginfo": None} if kind == "PNG" else {"xmp": xmp}
    data = artifacts.encoded(IMAGE, kind, **options)
    if kind == "PNG":
        data = with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    assert decode(data).size == (40, 30)
    assert decode(artifacts.encoded(IMAGE, kind, exif=b"Exif\0\0" + ORIENTATION_6)).size == (30, 40)


@pytest.mark.parametrize(
    ("data", "orientation"),
    [
        (ORIENTATION_6, 6),
        (b"Exif\0\0" + ORIENTATION_6, 6),
        (b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0", 6),
        (ORIENTATION_6.replace(b"\6", b"\x09"), 1),
        (ORIENTATION_6.replace(b"\6", b"\0"), 1),
        (ORIENTATION_6.replace(b"\x12\1\3", b"\x12\1\4"), 1),
        (ORIENTATION_6[:-3], 1),
        (b"", 1),
    ],
    ids=["II", "Exif", "MM", "nine", "zero", "long", "cut", "empty"],
)
def test_the_orientation_in_exif(data: bytes, orientation: int) -> None:
    assert exif.orientation(data) == orientation


@given(st.sampled_from([b"II*\0", b"MM\0*", b""]), st.binary(max_size=60))
def test_any_exif_has_an_orientation(head: bytes, tail: bytes) -> None:
    assert 1 <= exif.orientation(head + tail) <= 8
