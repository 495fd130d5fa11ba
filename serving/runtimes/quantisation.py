"""Quantised tensors of LiteRT: integers that stand for `(integer - zero_point) * scale`.

A model may be converted with integers as input and output although its SavedModel takes and gives
float32. Scale and zero point are in the file, so that callers send and get the real numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.errors import BadInput, LoadFailed
from serving.litert.model_file import STRING, Tensor
from serving.runtimes.runtime import Array


@dataclass(frozen=True)
class Quantisation:
    """How a tensor of integers stands for real numbers: one scale and zero point for all of it."""

    dtype: np.dtype[Any]
    scale: np.float32
    zero_point: int

    def quantise(self, values: Array) -> Array:
        """The integers that stand for float32 values; those out of range become the nearest.

        Integers of the tensor's own dtype, an image's raw bytes, are returned as they are. Raises
        BadInput for values that are not a number.
        """
        if values.dtype == self.dtype:
            return values
        if np.isnan(values).any():
            raise BadInput(f"a value is not a number, which no {self.dtype} can stand for")
        bounds = np.iinfo(self.dtype)
        with np.errstate(over="ignore"):
            steps = np.rint(values.astype(np.float32) / self.scale) + self.zero_point
        integers: Array = np.clip(steps, bounds.min, bounds.max).astype(self.dtype)
        return integers

    def dequantise(self, integers: Array) -> Array:
        """float32 values of the tensor's integers."""
        return (integers.astype(np.float32) - np.float32(self.zero_point)) * self.scale


def quantisation(name: str, tensor: Tensor) -> Quantisation | None:
    """The quantisation of a tensor; None for numbers that stand for themselves.

    Raises LoadFailed for strings, and for a tensor without a usable scale, or with one for each
    channel, as weights have.
    """
    if tensor.dtype == STRING:
        raise LoadFailed(
            f"tensor {name} holds strings, but a LiteRT model is served with numbers only. Convert "
            "it from a signature that takes and gives numbers, or leave it out of the artifact"
        )
    dtype, scales, zero_points = np.dtype(tensor.dtype), tensor.scales, tensor.zero_points
    if dtype.kind not in "iu" or not len(scales):
        return None
    if len(scales) != 1 or len(zero_points) != 1 or not 0 < scales[0] < np.inf:
        raise LoadFailed(
            f"tensor {name} is quantised with the scales {[*scales[:3]]} and the zero points "
            f"{[*zero_points[:3]]}; an input or output has one of each, the scale above 0. "
            "Convert the model again"
        )
    return Quantisation(dtype, np.float32(scales[0]), int(zero_points[0]))
