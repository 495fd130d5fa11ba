"""Models as TensorFlow SavedModels. TensorFlow is imported when the first one is loaded."""

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import BadInput, InferenceFailed, LoadFailed
from serving.runtimes.runtime import Array, Signature, TensorSpec

TENSORFLOW_MEMORY = 500_000_000  # resident after the import, before the first model
# VGG16: 73 MB in memory for 58 MB of variables; the small CIFAR network: 10 MB for 2 MB.
MEMORY_PER_BYTE = 1.3
MEMORY_FIXED = 7_000_000
# What the loader raises over files that are no SavedModel: found by changing bytes of one.
BROKEN = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError)
AROUND = re.compile(
    r"Graph execution error:|Detected at node |<stack traces|File \"|Node: |\d+ root error"
)


def estimate(size: int) -> int:
    """Bytes in memory of a model whose files have `size` bytes."""
    return MEMORY_FIXED + int(size * MEMORY_PER_BYTE)


def imported() -> bool:
    """Whether this process has paid for TensorFlow."""
    return sys.modules.get("tensorflow") is not None


def import_tensorflow() -> Any:
    """The module. Raises LoadFailed where it is not installed, or not to be had."""
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise LoadFailed(
            "the model has no LiteRT version that loads (assets.extra/model.tflite), and "
            "TensorFlow is not installed here: let `facet pack` add one, or install TensorFlow (in "
            "a checkout `make tensorflow`, in the container by building it with "
            "REQUIREMENTS=requirements-tensorflow.txt)"
        ) from error
    except (ImportError, MemoryError) as error:
        raise LoadFailed(f"TensorFlow cannot be imported: {_reason(error)}") from error


class SavedModel:
    """A SavedModel of TensorFlow 1 or 2, run as a graph in a session, as TensorFlow Serving does.

    Next to `tf.saved_model.load`, that takes two thirds of the time to load and, for a small
    network, four fifths to answer; and it loads graphs of TensorFlow 1.0, which the other refuses.
    """

    kind = "tensorflow"

    def __init__(self, folder: Path, parallel: int) -> None:
        """Raises LoadFailed."""
        self.parallel = parallel
        self._tensorflow = tensorflow = import_tensorflow()
        v1 = tensorflow.compat.v1
        self._session = v1.Session(graph=v1.Graph())
        try:
            described = v1.saved_model.load(self._session, ["serve"], str(folder)).signature_def
            self._functions = {
                name: each for name, each in described.items() if _offered(name, each)
            }
            self.signatures: Mapping[str, Signature] = {
                name: _signature(each, tensorflow) for name, each in self._functions.items()
            }
        except (tensorflow.errors.OpError, *BROKEN) as error:
            self._session.close()
            raise LoadFailed(f"TensorFlow cannot load the SavedModel: {_reason(error)}") from error

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph; what it rejects as invalid is the caller's fault, as in TF Serving."""
        errors = self._tensorflow.errors
        function = self._functions[signature]
        try:
            outputs = self._session.run(
                {name: each.name for name, each in function.outputs.items()},
                {function.inputs[name].name: value for name, value in inputs.items()},
            )
        except (errors.InvalidArgumentError, ValueError) as error:
            raise BadInput(_reason(error)) from error
        except (errors.OpError, MemoryError) as error:
            raise InferenceFailed(f"TensorFlow: {_reason(error)}") from error
        return {name: np.asarray(value) for name, value in outputs.items()}

    def close(self) -> None:
        """TensorFlow keeps about half of the memory and uses it for later models."""
        self._functions.clear()
        self._session.close()
        del self._session


def _offered(name: str, function: Any) -> bool:
    """Whether a signature takes and gives tensors alone, and is not there for the loader."""
    tensors = [*function.inputs.values(), *function.outputs.values()]
    return not name.startswith("__saved_model") and all(each.name for each in tensors)


def _signature(function: Any, tensorflow: Any) -> Signature:
    inputs = {name: _spec(each, tensorflow) for name, each in function.inputs.items()}
    outputs = [_spec(each, tensorflow) for each in function.outputs.values()]
    tensors = [*inputs.values(), *outputs]
    return Signature(
        inputs, batchable=all(each.shape and each.shape[0] is None for each in tensors)
    )


def _spec(info: Any, tensorflow: Any) -> TensorSpec:
    dtype = np.dtype(tensorflow.dtypes.as_dtype(info.dtype).as_numpy_dtype)
    sizes = tuple(None if each.size < 0 else int(each.size) for each in info.tensor_shape.dim)
    return TensorSpec(
        dtype=dtype if dtype.kind not in "OSU" else np.dtype(object),
        shape=None if info.tensor_shape.unknown_rank else sizes,
    )


def _reason(error: Exception) -> str:
    """One line, without what TensorFlow says around it."""
    lines = (line.strip() for line in str(error).splitlines())
    told = (line for line in lines if line and not AROUND.match(line))
    return next(told, type(error).__name__)
