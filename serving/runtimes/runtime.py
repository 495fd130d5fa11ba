"""The protocol of a loaded model, and the signatures it reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """An input of a signature.

    dtype: `object` for strings (as bytes).  shape: None as a dimension is any size, None as the
    whole shape any rank.  raw: the dtype of a row's memory, for which a bytes value may stand; None
    if it may not.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    raw: np.dtype[Any] | None = None

    def one(self) -> Array:
        """The smallest array that fits: zeros, with size 1 for each dimension of any size."""
        empty: object = b"" if self.dtype == object else 0
        return np.full([size or 1 for size in self.shape or ()], empty, self.dtype)


@dataclass(frozen=True)
class Signature:
    """The inputs of one function of a model, by name.

    batchable: the first dimension of every input and output counts rows, of any number, and the
    rows are independent of each other.  method: the SignatureDef's method_name.
    """

    inputs: Mapping[str, TensorSpec]
    batchable: bool = False
    method: str = "tensorflow/serving/predict"


class Runtime(Protocol):
    """A loaded model."""

    @property
    def kind(self) -> str:
        """`litert` or `tensorflow`."""

    @property
    def parallel(self) -> int:
        """The number of threads that may call `predict` at once."""

    @property
    def mapped(self) -> int:
        """Bytes of the files that are mapped into memory, which the system can take back."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The model's functions by name."""

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The function's outputs by name. Inputs have the signature's names, dtypes and shapes.

        Raises BadInput, InferenceFailed.
        """

    def cancel(self) -> None:
        """Have calls in other threads fail soon, if the runtime can do that."""

    def close(self) -> None:
        """Give the memory back. No call may follow."""
