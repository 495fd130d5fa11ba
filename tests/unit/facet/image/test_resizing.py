"""The filters and fits of other libraries, against their own results."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facet import preprocess
from facet.resizing import fit, opencv, strips, tensorflow
from facet.specs import InputSpec
from tests.support.inputs import images

TARGETS = ((32, 32), (24, 32), (50, 50), (120, 160), (111, 8), (48, 32), (3, 300))
"""Heights and widths: smaller, larger, by whole factors, and larger in one direction only."""

OPENCV = {
    ("cv2-linear", 37, 53, 1): "ee69f26847555f2e",
    ("cv2-linear", 64, 48, 1): "6a9e3a0dedc13567",
    ("cv2-linear", 240, 320, 1): "459b87746b705e00",
    ("cv2-linear", 9, 100, 1): "8e942c833cbeab11",
    ("cv2-linear", 37, 53, 3): "f6746fa9fc64fec8",
    ("cv2-linear", 64, 48, 3): "559c494e11bebc74",
    ("cv2-linear", 240, 320, 3): "ad9d7f66216d873e",
    ("cv2-linear", 9, 100, 3): "fd75da05f413adbe",
    ("cv2-area", 37, 53, 1): "81971d89d28fb588",
    ("cv2-area", 64, 48, 1): "754ef767ed54f782",
    ("cv2-area", 240, 320, 1): "5905a77cacd46755",
    ("cv2-area", 9, 100, 1): "5397eb258c4362db",
    ("cv2-area", 37, 53, 3): "4586b621985eca75",
    ("cv2-area", 64, 48, 3): "0163f5012278162b",
    ("cv2-area", 240, 320, 3): "03473352d61b90ca",
    ("cv2-area", 9, 100, 3): "07e2262de365e700",
}
"""By (filter, height, width, channels): the first digits of the SHA-256 of `cv2.resize`'s results
for all TARGETS. opencv-python-headless 4.11.0.86 and 5.0.0.93 on x86-64 give the same."""


def drawn(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    numbers = np.arange(height * width * channels, dtype=np.uint64)
    mixed = (numbers * numbers * np.uint64(2654435761) >> np.uint64(13)) % np.uint64(256)
    return mixed.astype(np.uint8).reshape(height, width, channels)


def picture(height: int, width: int, channels: int = 3) -> Image.Image:
    return Image.fromarray(drawn(height, width, channels)[..., 0 if channels == 1 else slice(None)])


def spec(**changes: object) -> InputSpec:
    return InputSpec.model_validate({"tensor": "x", "height": 3, "width": 4} | changes)


@pytest.mark.parametrize(("method", "height", "width", "channels"), OPENCV)
def test_opencv_bit_for_bit(method: str, height: int, width: int, channels: int) -> None:
    digest = hashlib.sha256()
    for high, wide in TARGETS:
        image = picture(height, width, channels)
        digest.update(opencv.resize(image, (0, 0, width, height), (wide, high), method).tobytes())
    assert digest.hexdigest()[:16] == OPENCV[method, height, width, channels]


@pytest.mark.parametrize("method", [*tensorflow.METHODS, *opencv.METHODS])
def test_strips_do_not_change_the_result(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = spec(height=30, width=41, resize=method)
    whole = fit.fitted(wanted, picture(211, 97))
    monkeypatch.setattr(strips, "ROWS", 1)
    assert np.abs(fit.fitted(wanted, picture(211, 97)) - whole).max() < 1e-3


@pytest.mark.parametrize("method", [*tensorflow.METHODS, *opencv.METHODS])
def test_a_box_is_what_a_crop_would_be(method: str) -> None:
    library = tensorflow if method in tensorflow.METHODS else opencv
    image, box = picture(90, 70), (11, 8, 63, 81)
    part = library.resize(image, box, (20, 30), method)
    assert np.array_equal(part, library.resize(image.crop(box), (0, 0, 52, 73), (20, 30), method))


@pytest.mark.parametrize("method", [*tensorflow.METHODS, *opencv.METHODS])
def test_an_image_of_the_right_size_stays_as_it_is(method: str) -> None:
    result = fit.fitted(spec(height=37, width=53, resize=method), picture(37, 53))
    assert np.array_equal(result, drawn(37, 53, 3))


@pytest.mark.parametrize("encoding", ["float", "uint8"])
def test_tensorflow_s_fractions_are_kept_for_float_inputs_alone(encoding: str) -> None:
    wanted = spec(height=20, width=20, resize="tf-bicubic", encoding=encoding)
    pixels = preprocess.geometry(wanted, picture(37, 53))
    kept = encoding == "float"
    assert pixels.dtype == preprocess.pixel_type(wanted) == (np.float32 if kept else np.uint8)
    exact = fit.fitted(wanted, picture(37, 53))
    assert exact.min() < 0, "a cubic filter overshoots"
    assert exact.max() > 255
    assert np.array_equal(pixels, exact if kept else np.rint(exact).clip(0, 255))


# --- resize, then crop ------------------------------------------------------------------------


def test_resize_to_and_crop_are_torchvision_s_resize_and_center_crop() -> None:
    """Resize(256), CenterCrop(224): the long edge rounded down, half pixels to the even one."""
    image = picture(375, 500)
    wanted = spec(height=224, width=224, fit="crop", resize_to=256)
    resized = image.resize((341, 256), Image.Resampling.BILINEAR)
    assert np.array_equal(fit.fitted(wanted, image), np.asarray(resized)[16:240, 58:282])


def test_resize_to_and_stretch_crop_the_middle_of_a_square() -> None:
    image = picture(375, 500)
    wanted = spec(height=224, width=200, fit="stretch", resize_to=256, resize="bicubic")
    resized = image.resize((256, 256), Image.Resampling.BICUBIC)
    assert np.array_equal(fit.fitted(wanted, image), np.asarray(resized)[16:240, 28:228])


@pytest.mark.parametrize("size", [(1, 1), (1000, 1), (1, 300), (3, 5)])
@pytest.mark.parametrize("method", ["bilinear", "tf-bilinear-antialias", "cv2-area"])
@pytest.mark.parametrize(
    "how", [{"fit": "crop"}, {"fit": "pad"}, {"fit": "crop", "resize_to": 9}, {"resize_to": 9}]
)
def test_any_image_fits(size: tuple[int, int], method: str, how: dict[str, object]) -> None:
    pixels = preprocess.geometry(spec(resize=method, **how), Image.new("RGB", size, "white"))
    assert pixels.shape == (3, 4, 3)
    assert (np.abs(pixels - 255.0) < 1e-3).all() or how == {"fit": "pad"}


# --- padding and inversion --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["nearest", "tf-nearest", "cv2-area"])
def test_pads_with_the_colour(method: str) -> None:
    wanted = spec(height=8, width=8, fit="pad", fill=(10, 20, 30), resize=method)
    padded = fit.fitted(wanted, Image.new("RGB", (2, 8), "white"))
    assert (padded[:, :3] == (10, 20, 30)).all()
    assert (padded[:, 3:5] == 255).all()
    assert (padded[:, 5:] == (10, 20, 30)).all()


def test_opencv_s_letterbox_puts_the_odd_row_below() -> None:
    wanted = spec(height=640, width=640, fit="pad", fill=(114,) * 3, resize="cv2-linear")
    padded = fit.fitted(wanted, Image.new("RGB", (1280, 719), "white"))
    rows = (padded == 255).all(axis=(1, 2)).nonzero()[0]
    assert (rows[0], rows[-1]) == (140, 499)


def test_inverts_after_padding() -> None:
    wanted = spec(height=4, width=4, channels=1, fit="pad", invert=True)
    inverted = preprocess.geometry(wanted, Image.new("L", (2, 4), 200))
    assert inverted[0, :, 0].tolist() == [255, 55, 55, 255]


def test_a_negative_scale_inverts_too() -> None:
    """Any scale and offset: `1 - pixel / 255` is scale -1/255, mean -1."""
    wanted = spec(scale=-1 / 255, mean=(-1, -1, -1))
    values = preprocess.apply(wanted, Image.new("RGB", (4, 3), (0, 51, 255)))
    assert np.allclose(values[0, 0], [1, 0.8, 0], atol=1e-6)


# --- decoding ---------------------------------------------------------------------------------


def test_a_jpeg_is_decoded_whole_unless_the_manifest_permits_less() -> None:
    assert preprocess.decode(spec(), images.jpeg()).size == (640, 480)
    assert preprocess.decode(spec(decode="reduced"), images.jpeg()).size == (80, 60)


def test_a_reduced_jpeg_is_large_enough_for_what_is_cropped() -> None:
    wanted = spec(decode="reduced", fit="crop", resize_to=100)
    assert preprocess.decode(wanted, images.jpeg()).size == (320, 240)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"fill": (1, 2), "fit": "pad"}, "fill needs 3 values"),
        ({"fill": (1, 2, 256), "fit": "pad"}, "less than or equal to 255"),
        ({"fill": (1, 2, 3)}, "the colour of fit 'pad'"),
        ({"resize_to": 5, "fit": "pad"}, "resize_to is for fit 'crop' or 'stretch'"),
        ({"resize_to": 3, "fit": "crop"}, "at least 4"),
        ({"decode": "reduced", "resize": "tf-bilinear"}, "needs a filter that averages"),
        ({"decode": "reduced", "resize": "nearest"}, "needs a filter that averages"),
    ],
)
def test_refuses_what_cannot_be_meant(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        spec(**changes)


# --- what the input shows -----------------------------------------------------------------------

FITS = (
    {"fit": "stretch"},
    {"fit": "stretch", "resize_to": 50},
    {"fit": "crop"},
    {"fit": "crop", "resize_to": 50},
    {"fit": "pad", "fill": (255,)},
)


@pytest.mark.parametrize("size", [(200, 100), (90, 210), (40, 30)])
@pytest.mark.parametrize("method", ["bilinear", "tf-bilinear-antialias", "cv2-linear"])
@pytest.mark.parametrize("how", FITS)
def test_the_view_is_the_part_of_the_image_that_the_input_shows(
    size: tuple[int, int], method: str, how: dict[str, object]
) -> None:
    """Each pixel of the image is its own column, or row, as a shade."""
    wanted = spec(height=30, width=40, channels=1, resize=method, **how)
    left, top, right, bottom = fit.view(wanted, size)
    for axis, (first, last) in enumerate([(left, right), (top, bottom)]):
        ramp = np.arange(size[axis], dtype=np.uint8)
        ramp = np.tile(ramp, (size[1], 1)) if axis == 0 else np.tile(ramp, (size[0], 1)).T
        shown = fit.fitted(wanted, Image.fromarray(ramp))[..., 0].astype(float)
        cells = shown.shape[1 - axis]
        centres = first + (np.arange(cells) + 0.5) * (last - first) / cells - 0.5
        inside = (centres >= 1) & (centres <= size[axis] - 2)
        middle = shown[15] if axis == 0 else shown[:, 20]
        assert inside.sum() > 5
        assert np.abs(middle - centres)[inside].max() <= 1.5, (axis, middle, centres)
        padding = (centres < -1) | (centres > size[axis])
        assert (middle[padding] == 255).all()
