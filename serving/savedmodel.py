"""Models as TensorFlow SavedModels. TensorFlow is imported when the first one is loaded."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import BadInput, InferenceFailed, LoadFailed
from serving.runtime import Array, Signature, TensorSpec

TENSORFLOW_MEMORY = 500_000_000  # resident after the import, before the first model
# VGG16: 73 MB in memory for 58 MB of variables; the small CIFAR network: 10 MB for 2 MB.
MEMORY_PER_BYTE = 1.3
MEMORY_FIXED = 7_000_000


def estimate(size: int) -> int:
    """Bytes in memory of a model whose files have `size` bytes."""
    return MEMORY_FIXED + int(size * MEMORY_PER_BYTE)


def imported() -> bool:
    """Whether this process has paid for TensorFlow."""
    return sys.modules.get("tensorflow") is not None


def import_tensorflow() -> Any:
    """The module. Raises LoadFailed where it is not installed."""
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise LoadFailed(
            "the model has no LiteRT version (assets.extra/model.tflite) and TensorFlow is not "
            "installed here: run `make tensorflow`, then ask again"
        ) from error


class SavedModel:
    """A SavedModel of TensorFlow 1 or 2."""

    kind = "tensorflow"

    def __init__(self, folder: Path, parallel: int) -> None:
        """Raises LoadFailed."""
        self.parallel = parallel
        self._tensorflow = tensorflow = import_tensorflow()
        try:
            self._model = tensorflow.saved_model.load(str(folder), tags=["serve"])
            self._functions = dict(self._model.signatures)
        except (tensorflow.errors.OpError, OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LoadFailed(f"TensorFlow cannot load the SavedModel: {reason}") from error
        self.signatures: Mapping[str, Signature] = {
            name: Signature(
                {key: _spec(value) for key, value in function.structured_input_signature[1].items()}
            )
            for name, function in self._functions.items()
        }

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph; what it rejects as invalid is the caller's fault, as in TF Serving."""
        tensorflow = self._tensorflow
        try:
            tensors = {
                name: tensorflow.constant(value.tolist(), dtype=tensorflow.string)
                if value.dtype == object
                else tensorflow.constant(value)
                for name, value in inputs.items()
            }
            outputs = self._functions[signature](**tensors)
        except tensorflow.errors.InvalidArgumentError as error:
            raise BadInput(error.message) from error
        except tensorflow.errors.OpError as error:
            raise InferenceFailed(error.message) from error
        return {name: np.asarray(value.numpy()) for name, value in outputs.items()}

    def close(self) -> None:
        """TensorFlow keeps about half of the memory and uses it for later models."""
        self._functions.clear()
        del self._model


def _spec(spec: Any) -> TensorSpec:
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(dtype if dtype.kind not in "OSU" else np.dtype(object), shape)
