import itertools

import numpy as np
import pytest
from PIL import Image

from facet import preprocess
from facet.errors import BrokenImage
from facet.image import decoding
from facet.resizing import fit, opencv, tensorflow
from facet.specs import InputSpec
from tests.support.inputs import artifacts, images

PIXELS = (np.arange(4 * 8 * 3) * 37 % 251).astype(np.uint8).reshape(4, 8, 3)
IMAGE = Image.fromarray(PIXELS)

GOLDEN = {
    (
        "stretch",
        "nearest",
    ): "6f94b952779c355a7f183d6282a7cc658aaf486d922b50750e3358ec163bcff41eb2d701",
    ("stretch", "box"): "385d829840657ba0485e83a8856b90a74e738aaf566d927854799eb55c8198bd647ba047",
    (
        "stretch",
        "bilinear",
    ): "6d587d9b58687e99606085a08a688da75e738a9f567095725c779c9c637e95a4617fa444",
    (
        "stretch",
        "hamming",
    ): "515b809a49667da0515e83a7866a8fa753738aaa566d927655799eab5c8096b3637ca144",
    (
        "stretch",
        "bicubic",
    ): "69587fa151657ca05b5c82ac8d6990ac577488a64f6d9374507aa0a15c8097ab627da43b",
    (
        "stretch",
        "lanczos",
    ): "6b5781a34e637ba15b5d82b18f698fb1557687a84a6d9474497a9fa15b7f99ae657ba537",
    ("crop", "nearest"): "de082d52779cc1e610355a7ff11b40658aafd4f923486d927da2c7ec163b6085aacff41e",
    ("crop", "box"): "a74e7352779cc1e6106d92b7b55d829f476c91b65d7ba048466b90ec163b6085aa89ae56",
    (
        "crop",
        "bilinear",
    ): "aa51768f556a8aa8486f9493b55d82a2556e8ea85b7ba04769688db4547292a76d86ab52",
    ("crop", "hamming"): "a85075775c7e9fc3316e93a4b55d82a14b6e8fb25b7ba04758698ecb395d7ea08587ac54",
    ("crop", "bicubic"): "af4f758e4d6888ae3d6e949ebe5c82a14e6e8eaf5b7ba13d5e688ebf4e7494af6e87ad54",
    ("crop", "lanczos"): "af4e7591496783ab386e94a0c55b829e4d6e8eaf5f7ba1365c688ec4517995b36887ae58",
    ("pad", "nearest"): "f62045d90328bce10b9fc4e90e3358ec163bcff41eb2d701000000000000000000000000",
    ("pad", "box"): "7c62879d456a80a54d6388ad50759ab0587d93b860769b43000000000000000000000000",
    ("pad", "bilinear"): "7c5f849f586c82995c678c926a7095a0637a91a45d789d52000000000000000000000000",
    ("pad", "hamming"): "7b61869e4a6a81a1516489a4587398ab5b7c92b25f769b47000000000000000000000000",
    ("pad", "bicubic"): "7c5f85a4516a80a05562899d63739aa75c7c92ab5c779d4a000000000000000000000000",
    ("pad", "lanczos"): "7d5c85a950697ea3536187a065759ba8597d94ac5a77a048000000000000000000000000",
}
"""IMAGE brought to 4 x 3 pixels. A change here is a change of every model's answers."""


def spec(**changes: object) -> InputSpec:
    return InputSpec.model_validate({"tensor": "x", "height": 3, "width": 4} | changes)


@pytest.mark.parametrize(("how", "resize"), GOLDEN, ids="-".join)
def test_golden_pixels(how: str, resize: str) -> None:
    pixels = preprocess.apply(spec(encoding="uint8", fit=how, resize=resize), IMAGE)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (3, 4, 3)
    assert pixels.tobytes().hex() == GOLDEN[how, resize]


def test_every_filter_and_fit_is_pinned() -> None:
    fits = InputSpec.model_json_schema()["properties"]["fit"]["enum"]
    resizes = InputSpec.model_json_schema()["properties"]["resize"]["enum"]
    assert set(resizes) == {*fit.PILLOW, *tensorflow.METHODS, *opencv.METHODS}
    assert set(GOLDEN) == set(itertools.product(fits, fit.PILLOW))


def test_an_image_of_the_right_size_is_not_touched() -> None:
    same = spec(encoding="uint8", height=4, width=8, resize="lanczos")
    assert np.array_equal(preprocess.apply(same, IMAGE), PIXELS)


def test_pad_keeps_the_whole_image_and_adds_black() -> None:
    tall = Image.new("RGB", (2, 8), "white")
    padded = preprocess.geometry(spec(height=8, width=8, fit="pad", resize="nearest"), tall)
    assert (padded[:, 3:5] == 255).all()
    assert padded.sum() == 8 * 2 * 3 * 255


def test_crop_keeps_the_middle() -> None:
    stripes = Image.new("RGB", (8, 4), "red")
    stripes.paste("blue", (2, 0, 6, 4))
    cropped = preprocess.geometry(spec(height=4, width=4, fit="crop"), stripes)
    assert (cropped == (0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("channels", "layout", "shape"),
    [
        (1, "hwc", (3, 4, 1)),
        (3, "hwc", (3, 4, 3)),
        (1, "flat", (12,)),
        (3, "flat", (36,)),
    ],
)
@pytest.mark.parametrize(("encoding", "dtype"), [("uint8", np.uint8), ("float", np.float32)])
def test_shape_and_dtype(
    mode: str, channels: int, layout: str, shape: tuple[int, ...], encoding: str, dtype: type
) -> None:
    wanted = spec(channels=channels, layout=layout, encoding=encoding)
    values = preprocess.apply(wanted, IMAGE.convert(mode))
    assert values.shape == shape
    assert values.dtype == dtype
    assert values.size == wanted.size


def test_flat_is_the_same_values_in_one_row() -> None:
    cube = preprocess.apply(spec(), IMAGE)
    assert np.array_equal(preprocess.apply(spec(layout="flat"), IMAGE), cube.reshape(-1))


def test_one_channel_weighs_colours_as_the_eye_does() -> None:
    red, green, blue = (
        int(preprocess.apply(spec(channels=1), Image.new("RGB", (4, 3), name))[0, 0, 0])
        for name in ("red", "lime", "blue")
    )
    assert (red, green, blue) == (76, 150, 29)


def test_grey_becomes_three_equal_channels() -> None:
    values = preprocess.apply(spec(), Image.new("L", (4, 3), 7))
    assert (values == 7).all()


def test_normalise_is_scale_then_mean_then_std() -> None:
    wanted = spec(scale=0.5, mean=(1, 2, 3), std=(2, 4, 8))
    values = preprocess.apply(wanted, Image.new("RGB", (4, 3), (10, 20, 30)))
    assert values[0, 0].tolist() == [(5 - 1) / 2, (10 - 2) / 4, (15 - 3) / 8]


def test_bgr_swaps_first_so_that_mean_is_in_the_models_order() -> None:
    wanted = spec(order="BGR", mean=(30, 20, 10))
    values = preprocess.apply(wanted, Image.new("RGB", (4, 3), (10, 20, 30)))
    assert (values == 0).all()


def test_uint8_leaves_the_arithmetic_to_the_graph() -> None:
    arithmetic = {"scale": 1 / 255, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.3), "order": "BGR"}
    pixels = preprocess.apply(spec(encoding="uint8", **arithmetic), IMAGE)
    assert pixels.tobytes() == preprocess.apply(spec(encoding="uint8"), IMAGE).tobytes()
    in_graph = preprocess.normalise(spec(**arithmetic), pixels.astype(np.uint8))
    assert np.array_equal(in_graph, preprocess.apply(spec(**arithmetic), IMAGE))


def test_normalise_takes_batches() -> None:
    batch = np.stack([PIXELS, 255 - PIXELS])
    wanted = spec(order="BGR", scale=2, mean=(1, 2, 3))
    one_by_one = [preprocess.normalise(wanted, each) for each in batch]
    assert np.array_equal(preprocess.normalise(wanted, batch), np.stack(one_by_one))


def test_the_image_itself_stays_as_it_was() -> None:
    source = artifacts.image()
    before = source.tobytes()
    preprocess.apply(spec(order="BGR", mean=(1, 1, 1)), source)
    assert source.tobytes() == before


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("resize", ["bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("side", [32, 75, 120])
def test_a_reduced_jpeg_gives_nearly_the_pixels_of_the_whole(
    side: int, resize: str, how: str
) -> None:
    """A quarter, a half, and a half that is exactly twice the input's height."""
    wanted = spec(
        height=side, width=side, fit=how, resize=resize, encoding="uint8", decode="reduced"
    )
    data = images.jpeg()
    reduced = preprocess.decode(wanted, data)
    assert reduced.size == ((160, 120) if side == 32 else (320, 240))
    pixels = preprocess.geometry(wanted, reduced).astype(int)
    whole = preprocess.geometry(wanted, decoding.decode(data)).astype(int)
    assert np.abs(pixels - whole).mean() < 0.6
    assert np.abs(pixels - whole).max() < 20


def test_more_pixels_than_allowed_are_not_decoded() -> None:
    with pytest.raises(BrokenImage, match="the limit is 1,000"):
        preprocess.decode(spec(), images.jpeg(), max_pixels=1000)


@pytest.mark.parametrize("name", sorted(images.files()))
def test_every_kind_of_file_becomes_input(name: str) -> None:
    wanted = spec(height=24, width=32, encoding="uint8", fit="pad")
    pixels = preprocess.geometry(wanted, preprocess.decode(wanted, images.files()[name]))
    assert pixels.shape == (24, 32, 3)
