"""Image files for graphs that decode them: passed on where TensorFlow reads them as Facet does."""

import io

import numpy as np
import pytest
from PIL import Image

from facet import preprocess
from facet.errors import BodyTooLarge
from facet.image import encoded
from facet.preprocess import Pixels
from facet.specs import InputSpec
from tests.support.inputs import images
from tests.support.inputs.artifacts import encoded as file
from tests.support.inputs.artifacts import image

SPEC = InputSpec(tensor="image_bytes", encoding="jpeg", height=6, width=8)


def sent(data: bytes, spec: InputSpec = SPEC) -> bytes:
    return preprocess.apply(spec, preprocess.decode(spec, data), data).tobytes()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file(kind="JPEG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [file(kind="JPEG"), file(kind="PNG"), file(image(mode="L"), "JPEG"), file(image(mode="L"))],
)
def test_a_jpeg_or_png_is_passed_on_unchanged(data: bytes) -> None:
    assert sent(data) == data


def test_what_is_beside_the_pixels_is_not_passed_on() -> None:
    jpeg, png = file(kind="JPEG"), file(kind="PNG")
    assert sent(jpeg + b"\n") == jpeg
    assert sent(jpeg[:-2]) == jpeg
    assert sent(png[:33] + images.png_chunk(b"pHYs", b"\0") + png[33:]) == png


@pytest.mark.parametrize(
    "data",
    [
        file(kind="WEBP"),
        file(kind="BMP"),
        file(kind="GIF"),
        file(image(mode="RGBA")),
        file(image(mode="P")),
        file(image(mode="CMYK"), "JPEG"),
        rotated(),
    ],
)
def test_other_files_become_a_png_of_the_input_s_size(data: bytes) -> None:
    png = sent(data)
    pixels = preprocess.geometry(SPEC, preprocess.decode(SPEC, data))
    with Image.open(io.BytesIO(png)) as seen:
        assert (seen.format, seen.mode, seen.size) == ("PNG", "RGB", (8, 6))
        assert np.array_equal(np.asarray(seen), pixels)


def test_a_file_too_large_for_a_request_becomes_a_png(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(kind="JPEG")
    monkeypatch.setattr(encoded, "MAX_FILE", len(data) - 1)
    assert sent(data).startswith(b"\x89PNG")


def test_a_png_too_large_for_a_request_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(kind="BMP")
    monkeypatch.setattr(encoded, "MAX_FILE", 50)
    with pytest.raises(BodyTooLarge, match="the limit is 50"):
        sent(data)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_become_a_png(channels: int) -> None:
    spec = InputSpec(tensor="x", encoding="jpeg", height=2, width=3, channels=channels)
    pixels: Pixels = np.arange(6 * channels, dtype=np.uint8).reshape(2, 3, channels)
    with Image.open(io.BytesIO(preprocess.tensor(spec, pixels).tobytes())) as seen:
        assert np.array_equal(np.asarray(seen).reshape(pixels.shape), pixels)
