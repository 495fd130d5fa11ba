"""Integers of LiteRT's quantised tensors, and the real numbers for which they stand."""

import numpy as np
import pytest

from serving.errors import BadInput, LoadFailed
from serving.litert.model_file import Tensor
from serving.runtimes.quantisation import Quantisation, quantisation

HALVES = Quantisation(np.dtype("int8"), np.float32(0.5), -3)


def tensor(dtype: str, scales: list[float], zero_points: list[int]) -> Tensor:
    return Tensor(dtype, (1,), scales, zero_points)


def test_real_numbers_become_the_nearest_integers_and_come_back() -> None:
    real = np.array([[0, 0.5, -0.5, 0.3, 60]], np.float32)
    stored = HALVES.quantise(real)
    assert stored.dtype == np.int8
    assert stored.tolist() == [[-3, -2, -4, -2, 117]]
    assert HALVES.dequantise(stored).tolist() == [[0, 0.5, -0.5, 0.5, 60]]


def test_real_numbers_out_of_range_become_the_outermost_integers() -> None:
    real = np.array([100, -100, np.inf, -np.inf, 3e38], np.float32)
    assert HALVES.quantise(real).tolist() == [127, -128, 127, -128, 127]


def test_no_integer_stands_for_nan() -> None:
    with pytest.raises(BadInput, match="not a number"):
        HALVES.quantise(np.array([1, np.nan], np.float32))


def test_integers_of_the_files_dtype_stay_as_they_are() -> None:
    raw = np.array([[7, -8]], np.int8)
    assert HALVES.quantise(raw) is raw


def test_reads_the_quantisation_from_litert() -> None:
    assert quantisation("x", tensor("uint8", [0.25], [128])) == Quantisation(
        np.dtype("uint8"), np.float32(0.25), 128
    )


@pytest.mark.parametrize("found", [tensor("uint8", [], []), tensor("float32", [1.0], [0])])
def test_numbers_that_stand_for_themselves_have_none(found: Tensor) -> None:
    assert quantisation("x", found) is None


@pytest.mark.parametrize(
    ("scales", "zero_points"), [([0.1, 0.2], [0, 0]), ([0.0], [0]), ([np.nan], [0]), ([1.0], [])]
)
def test_a_file_with_unusable_scales_does_not_load(
    scales: list[float], zero_points: list[int]
) -> None:
    with pytest.raises(LoadFailed, match="tensor scores is quantised with the scales"):
        quantisation("scores", tensor("int8", scales, zero_points))
