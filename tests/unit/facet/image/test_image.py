import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from facet.errors import BrokenImage, UnsupportedImage
from facet.image import decoding
from tests.support.inputs import artifacts, images

RED, WHITE = (255, 0, 0), (255, 255, 255)
IMAGE = artifacts.image((40, 30))
FILES = {kind: artifacts.encoded(IMAGE, kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF")} | {
    "EXIF": artifacts.encoded(IMAGE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    "I;16": artifacts.encoded(Image.new("I;16", (20, 20), 30_000)),
    "PALETTE": artifacts.encoded(IMAGE.quantize(8)),
}


def corner(source: Image.Image) -> tuple[int, ...] | float:
    pixel = source.getpixel((0, 0))
    assert pixel is not None
    return pixel


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_kinds_come_out_exactly(kind: str) -> None:
    decoded = decoding.decode(FILES[kind])
    assert decoded.mode == "RGB"
    assert decoded.tobytes() == IMAGE.tobytes()


@pytest.mark.parametrize(("kind", "off"), [("JPEG", 24), ("WEBP", 24), ("GIF", 48)])
def test_lossy_kinds_come_out_nearly(kind: str, off: int) -> None:
    decoded = decoding.decode(FILES[kind])
    assert decoded.mode == "RGB"
    assert decoded.size == IMAGE.size
    differences = np.asarray(decoded, np.int16) - np.asarray(IMAGE, np.int16)
    assert np.abs(differences).mean() < off / 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_grey_images(kind: str) -> None:
    decoded = decoding.decode(artifacts.encoded(Image.new("L", (8, 8), 99), kind))
    assert decoded.mode in ("L", "RGB")
    assert corner(decoded.convert("L")) == 99


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    """`stored` maps each orientation to how EXIF 2.3 says the upright image was stored."""
    stored = {
        1: lambda upright: upright,
        2: np.fliplr,
        3: lambda upright: np.rot90(upright, 2),
        4: np.flipud,
        5: lambda upright: np.transpose(upright, (1, 0, 2)),
        6: lambda upright: np.rot90(upright, 1),
        7: lambda upright: np.rot90(np.transpose(upright, (1, 0, 2)), 2),
        8: lambda upright: np.rot90(upright, 3),
    }[orientation]
    upright = Image.new("RGB", (32, 16), "white")
    upright.paste("black", (0, 0, 16, 16))
    upright.paste("red", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(stored(np.asarray(upright))))
    decoded = decoding.decode(artifacts.encoded(lying, kind, exif=exif))
    assert decoded.size == (32, 16)
    difference = np.asarray(decoded, np.int16) - np.asarray(upright, np.int16)
    assert np.abs(difference).mean() < 12


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage that is no TIFF",
        b"Exif\0\0",
        b"Exif\0\0MM\0*",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x03\0\0\0ab\0\0\0\0\0\0",
        # orientation 6, beside tags whose values Pillow cannot write again
        b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
        b"\x69\x87\x02\0\x04\0\0\0abc\0\0\0\0\0",
    ],
    ids=["no-tiff", "empty", "cut", "cut-tag", "text", "odd-neighbour"],
)
def test_an_image_with_damaged_exif_is_decoded(exif: bytes) -> None:
    decoded = decoding.decode(artifacts.encoded(IMAGE, "JPEG", exif=exif))
    assert sorted(decoded.size) == sorted(IMAGE.size)


def test_cmyk_is_shown_in_its_colours() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decoding.decode(artifacts.encoded(ink, "JPEG"))
    assert decoded.mode == "RGB"
    assert np.abs(np.subtract(corner(decoded), RED)).max() < 8


@pytest.mark.parametrize("ink", [(0, 255, 255, 0), (255, 0, 255, 0), (10, 20, 30, 200)])
def test_adobe_s_ycck_is_shown_in_its_colours(ink: tuple[int, int, int, int]) -> None:
    decoded = decoding.decode(images.ycck(ink))
    assert decoded.mode == "RGB"
    seen = corner(Image.new("CMYK", (1, 1), ink).convert("RGB"))
    assert np.abs(np.subtract(corner(decoded), seen)).max() < 8


def test_a_colour_profile_changes_nothing() -> None:
    """Nor do the libraries look at it with which models are trained."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert decoding.decode(artifacts.encoded(icc_profile=profile)).tobytes() == IMAGE.tobytes()


def test_of_several_images_in_a_jpeg_the_first_counts() -> None:
    red, blue = (Image.new("RGB", (64, 48), name) for name in ("red", "blue"))
    data = artifacts.encoded(red, "MPO", save_all=True, append_images=[blue])
    for fitting in (None, (8, 8)):
        assert np.abs(np.subtract(corner(decoding.decode(data, fitting=fitting)), RED)).max() < 8


@pytest.mark.parametrize(("value", "seen"), [(0, 0), (0x1234, 0x12), (0x8000, 0x80), (0xFFFF, 255)])
def test_sixteen_bits_of_grey_become_eight(value: int, seen: int) -> None:
    decoded = decoding.decode(artifacts.encoded(Image.new("I;16", (4, 4), value)))
    assert decoded.mode == "L"
    assert corner(decoded) == seen


def test_sixteen_bits_of_colour_become_eight() -> None:
    decoded = decoding.decode(images.png(2, 16, b"\xff\xff\x80\x00\x12\x34"))
    assert corner(decoded) == (0xFF, 0x80, 0x12)


@pytest.mark.parametrize("alpha", [0, 255])
@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (*RED, 0)), ("LA", (9, 0))])
def test_transparency_is_blended_with_white(mode: str, colour: tuple[int, ...], alpha: int) -> None:
    source = Image.new(mode, (4, 4), (*colour[:-1], alpha))
    decoded = decoding.decode(artifacts.encoded(source))
    opaque = RED if mode == "RGBA" else (9, 9, 9)
    assert decoded.mode == "RGB"
    assert corner(decoded) == (opaque if alpha else WHITE)


def test_half_transparent_is_mixed_with_white() -> None:
    decoded = decoding.decode(artifacts.encoded(Image.new("RGBA", (4, 4), (*RED, 128))))
    assert corner(decoded) == (255, 127, 127)


@pytest.mark.parametrize(
    ("mode", "colour", "key"), [("RGB", RED, RED), ("L", 9, 9), ("P", 0, 0), ("1", 0, 0)]
)
def test_a_transparent_colour_is_blended_with_white(mode: str, colour: int, key: object) -> None:
    source = Image.new(mode, (4, 4), colour)
    decoded = decoding.decode(artifacts.encoded(source, transparency=key))
    assert corner(decoded.convert("RGB")) == WHITE


@pytest.mark.parametrize(
    ("depth", "row", "key"),
    [
        (1, b"\x80", 1),
        (2, b"\x40", 1),
        (4, b"\x80", 8),
        (8, b"\x80", 0x80),
        (16, b"\x12\x34", 0x1234),
    ],
)
def test_a_transparent_grey_of_any_depth_is_blended_with_white(
    depth: int, row: bytes, key: int
) -> None:
    """The key is written in the file's own depth."""
    for value, white in ((key, True), (key ^ 1, False)):
        data = images.png(0, depth, row, (b"tRNS", value.to_bytes(2, "big")))
        grey = corner(decoding.decode(images.png(0, depth, row)).convert("RGB"))
        assert corner(decoding.decode(data).convert("RGB")) == (WHITE if white else grey)


def test_a_transparent_16_bit_colour_is_blended_with_white() -> None:
    colour, other = b"\xff\xff\x80\x00\x12\x34", b"\xff\xff\x80\x00\x13\x34"
    key = (b"tRNS", colour)
    assert corner(decoding.decode(images.png(2, 16, colour, key))) == WHITE
    assert corner(decoding.decode(images.png(2, 16, other, key))) == (0xFF, 0x80, 0x13)


@pytest.mark.parametrize("colour_type", [0, 2, 3, 4, 6])
@pytest.mark.parametrize("length", [0, 1, 3, 5, 300])
def test_a_damaged_transparency_is_decoded_or_rejected(colour_type: int, length: int) -> None:
    palette = (b"PLTE", bytes(range(12)))
    for depth in (1, 2, 4, 8, 16):
        decode_or_refuse(
            images.png(colour_type, depth, bytes(8), palette, (b"tRNS", b"\1" * length))
        )


def test_a_tall_image_is_blended_with_white_from_top_to_bottom() -> None:
    clear = artifacts.image((2000, 1100)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    white = Image.new("RGBA", clear.size, "white")
    decoded = decoding.decode(artifacts.encoded(clear))
    assert decoded.tobytes() == Image.alpha_composite(white, clear).convert("RGB").tobytes()


def test_palette() -> None:
    decoded = decoding.decode(artifacts.encoded(Image.new("RGB", (4, 4), RED).quantize(4)))
    assert decoded.mode == "RGB"
    assert corner(decoded) == RED


@pytest.mark.parametrize(("ink", "seen"), [(0, 0), (1, 255)])
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_one_bit(kind: str, ink: int, seen: int) -> None:
    decoded = decoding.decode(artifacts.encoded(Image.new("1", (9, 9), ink), kind))
    assert decoded.mode == "L"
    assert corner(decoded) == seen


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = [Image.new("RGB", (8, 8), name) for name in ("red", "lime", "blue")]
    animated = artifacts.encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **options
    )
    assert corner(decoding.decode(animated)) == RED


@pytest.mark.parametrize(
    "data",
    [
        b"a text file\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"PK\x03\x04 a zip",
        artifacts.encoded(kind="TIFF"),
        artifacts.encoded(kind="PPM"),
        artifacts.encoded(kind="ICO"),
        artifacts.encoded(kind="TGA"),
    ],
    ids=["text", "svg", "pdf", "zip", "tiff", "ppm", "ico", "tga"],
)
def test_other_kinds_are_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="JPEG, PNG, WebP, BMP or GIF"):
        decoding.decode(data)


def test_an_empty_file_is_called_so() -> None:
    with pytest.raises(UnsupportedImage, match=r"^The image is empty\.$"):
        decoding.decode(b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.06, 0.3, 0.6, 0.95])
def test_an_image_cut_short_is_broken(kind: str, share: float) -> None:
    data = FILES[kind]
    with pytest.raises(BrokenImage):
        decoding.decode(data[: max(16, int(len(data) * share))])


def test_a_flipped_byte_in_a_png_is_broken() -> None:
    data = bytearray(FILES["PNG"])
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BrokenImage):
        decoding.decode(bytes(data))


def test_pixels_are_counted_before_they_are_decoded() -> None:
    data = artifacts.encoded(Image.new("1", (100, 50)))
    assert decoding.decode(data, max_pixels=5000).size == (100, 50)
    with pytest.raises(BrokenImage, match="100 x 50 pixels"):
        decoding.decode(data, max_pixels=4999)


def test_a_decompression_bomb_is_rejected_as_too_large() -> None:
    bomb = artifacts.encoded(Image.new("1", (20_000, 20_000)))
    with pytest.raises(BrokenImage, match="far too many pixels; the limit is 50,331,648"):
        decoding.decode(bomb)


def test_pixels_are_counted_as_the_file_has_them() -> None:
    with pytest.raises(BrokenImage, match="640 x 480 pixels"):
        decoding.decode(images.jpeg(), fitting=(8, 8), max_pixels=640 * 480 - 1)


@settings(deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 8),
)
def test_a_jpeg_is_as_small_as_the_detail_allows(
    width: int, height: int, need_width: int, need_height: int, orientation: int
) -> None:
    data = images.jpeg((width, height), orientation)
    whole = decoding.decode(data).size
    decoded = decoding.decode(data, fitting=(need_height, need_width)).size
    wanted = (decoding.DETAIL * need_width, decoding.DETAIL * need_height)
    scales = [each for each in (8, 4, 2) if all(np.array(whole) >= each * np.array(wanted))]
    assert decoded == tuple(-(-side // (scales or [1])[0]) for side in whole)
    assert all(kept >= min(pair) for kept, *pair in zip(decoded, whole, wanted, strict=True))


@pytest.mark.parametrize("name", sorted(images.files()))
def test_nothing_changes_where_half_the_image_is_too_little(name: str) -> None:
    """Half of 640 columns is less than twice 161, half of 4,032 less than twice 1,009."""
    data = images.files()[name]
    columns = 1009 if name == "jpeg-12-megapixels.jpg" else 161
    fitting = (121, columns)
    assert decoding.decode(data, fitting=fitting).tobytes() == decoding.decode(data).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF"])
def test_other_formats_keep_all_their_pixels(kind: str) -> None:
    data = artifacts.encoded(artifacts.image((320, 240)), kind)
    assert decoding.decode(data, fitting=(8, 8)).size == (320, 240)


def decode_or_refuse(data: bytes) -> None:
    try:
        decoded = decoding.decode(data, max_pixels=1_000_000)
    except (UnsupportedImage, BrokenImage):
        return
    assert decoded.mode in ("RGB", "L")
    assert decoded.width * decoded.height <= 1_000_000


SIGNATURES = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"RIFF\x40\0\0\0WEBPVP8 ",
]


@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes_raise_only_image_errors(head: bytes, tail: bytes) -> None:
    decode_or_refuse(head + tail)


@settings(max_examples=200)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_images_are_decoded_or_rejected(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[kind])
    places = st.tuples(st.integers(0, min(len(damaged), 400) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, min_size=1, max_size=6)):
        damaged[place] = value
    end = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    decode_or_refuse(bytes(damaged[:end]))


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_any_exif_is_borne(exif: bytes) -> None:
    data = io.BytesIO()
    Image.new("RGB", (4, 2)).save(data, "JPEG", exif=b"Exif\0\0MM\0*" + exif)
    assert sorted(decoding.decode(data.getvalue()).size) == [2, 4]
