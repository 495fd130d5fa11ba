"""What every runtime offers, and the choice among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """An input of a signature.

    dtype: `object` for strings (their bytes).  shape: None for a dimension of any size, and None
    as a whole for any rank.  raw_bytes: whether a bytes value stands for the tensor's memory.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    raw_bytes: bool = False

    def one(self) -> Array:
        """The least that fits: one row of zeros, 1 for each dimension of any size."""
        empty: object = b"" if self.dtype == object else 0
        return np.full([size or 1 for size in self.shape or ()], empty, self.dtype)


@dataclass(frozen=True)
class Signature:
    """The inputs of one function of a model, by name.

    batchable: the first dimension of every input and output is one of rows, as many as one likes,
    and no row changes another's answer.
    """

    inputs: Mapping[str, TensorSpec]
    batchable: bool = False


class Runtime(Protocol):
    """A loaded model."""

    @property
    def kind(self) -> str:
        """Which runtime it is: `litert` or `tensorflow`."""

    @property
    def parallel(self) -> int:
        """How many threads may call `predict` at once."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The model's functions by name."""

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The function's outputs by name. Inputs have the signature's names, dtypes and shapes.

        Raises BadInput, InferenceFailed.
        """

    def close(self) -> None:
        """Give the memory back. No call may follow."""
