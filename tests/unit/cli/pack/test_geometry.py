"""How images go into whatever tensor a model takes."""

import pytest

from cli.pack.errors import CannotPack
from cli.pack.model.geometry import Geometry, Size, SizeNeeded, geometry, parse_size
from facet.artifact.graphs.saved_model import TensorSpec


def takes(shape: tuple[int, ...] | None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(dtype, shape)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1, 32, 48, 3), Geometry(32, 48, 3, "hwc", (32, 48, 3), served="float")),
        ((-1, 28, 28, 1), Geometry(28, 28, 1, "hwc", (28, 28, 1), served="float")),
        ((-1, 784), Geometry(28, 28, 1, "flat", (784,), served="float")),
        ((-1, 3072), Geometry(32, 32, 3, "flat", (3072,), served="float")),
        ((-1, 28, 30), Geometry(28, 30, 1, "hwc", (28, 30))),
        ((-1, 3, 20, 24), Geometry(20, 24, 3, "hwc", (3, 20, 24), channels_first=True)),
    ],
)
def test_a_whole_shape_says_everything(shape: tuple[int, ...], expected: Geometry) -> None:
    assert geometry(takes(shape), None) == expected


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int32"])
def test_other_numbers_are_for_wrapping(dtype: str) -> None:
    assert geometry(takes((-1, 8, 8, 3), dtype), None).served == "reexported"
    assert geometry(takes((-1, 192), dtype), None).served == "reexported"


@pytest.mark.parametrize(
    ("tensor", "size", "expected"),
    [
        (
            takes((-1, -1, -1, 3)),
            "20x24",
            Geometry(20, 24, 3, "hwc", (20, 24, 3), served="float"),
        ),
        (
            takes((-1, -1, -1, -1)),
            "20x24x1",
            Geometry(20, 24, 1, "hwc", (20, 24, 1), served="float"),
        ),
        (takes((-1, 600)), "10x20", Geometry(10, 20, 3, "flat", (600,), served="float")),
        (takes((-1, -1)), "10x20x1", Geometry(10, 20, 1, "flat", (200,), served="float")),
        (takes(None), "9x8x3", Geometry(9, 8, 3, "hwc", (9, 8, 3), served="float")),
        (takes((-1,), "string"), "9x8x3", Geometry(9, 8, 3, "hwc", (), served="bytes")),
        (takes(None, "string"), "9x8x1", Geometry(9, 8, 1, "hwc", (), served="bytes")),
    ],
)
def test_the_size_says_what_the_shape_leaves_open(
    tensor: TensorSpec, size: str, expected: Geometry
) -> None:
    with pytest.raises(SizeNeeded):
        geometry(tensor, None)
    assert geometry(tensor, parse_size(size)) == expected


def test_a_shape_that_says_nothing_is_flat_where_that_is_said() -> None:
    flat = geometry(takes(None), Size(4, 5, 3), "flat")
    assert flat == Geometry(4, 5, 3, "flat", (60,), served="float")


@pytest.mark.parametrize(
    ("tensor", "size", "problem"),
    [
        (takes((-1, 32, 32, 3)), "28x28x3", "does not fit"),
        (takes((-1, 32, 32, 3)), "32x32x1", "does not fit"),
        (takes((-1, 784)), "28x27x1", "are not the 784 values"),
        (takes((-1, 32, 32, 4)), None, "4 channels"),
        (takes((-1, 5, 8, 8, 3)), None, "no image"),
        (takes((-1, 32, 32, 3), "type 10"), None, "takes type 10"),
        (takes((-1, 2), "string"), "8x8x3", "one for each image"),
    ],
)
def test_what_no_image_fits_is_refused(tensor: TensorSpec, size: str | None, problem: str) -> None:
    with pytest.raises(CannotPack, match=problem):
        geometry(tensor, parse_size(size) if size else None)


@pytest.mark.parametrize("text", ["", "224", "0x4", "4x4x2", "4x-4", "4x4x3x1"])
def test_sizes_have_two_or_three_numbers(text: str) -> None:
    with pytest.raises(CannotPack, match="HEIGHTxWIDTH"):
        parse_size(text)
