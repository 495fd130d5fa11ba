"""Models as TensorFlow SavedModels. TensorFlow is imported when the first one is loaded."""

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import BadInput, InferenceFailed, LoadFailed
from serving.runtimes.runtime import Array, Signature, TensorSpec

CALLER = -1
"""Run ops in the thread that calls. In TensorFlow's pool, which all models share, two endless loops
stop every other model."""

TENSORFLOW_MEMORY = 500_000_000  # resident after the import, before the first model
# VGG16: 73 MB in memory for 58 MB of variables; the small CIFAR network: 10 MB for 2 MB.
MEMORY_PER_BYTE = 1.3
MEMORY_FIXED = 7_000_000
# Errors of the loader over damaged files; found by changing bytes of a SavedModel.
LOAD_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    MemoryError,
)
NOISE = re.compile(
    r"Graph execution error:|Detected at node |<stack traces|File \"|Node: |\d+ root error"
)


def estimate(size: int) -> int:
    """Bytes in memory of a model whose files have `size` bytes."""
    return MEMORY_FIXED + int(size * MEMORY_PER_BYTE)


def imported() -> bool:
    """Whether this process has imported TensorFlow."""
    return sys.modules.get("tensorflow") is not None


def import_tensorflow() -> Any:
    """Import TensorFlow. Raises LoadFailed if it is not installed or cannot be imported."""
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

    Compared to `tf.saved_model.load`, loading takes two thirds of the time and, for a small
    network, answering four fifths; and graphs of TensorFlow 1.0 load, which fail there.
    """

    kind = "tensorflow"
    mapped = 0

    def __init__(
        self,
        folder: Path,
        parallel: int,
        begin: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """Load it, after calling `begin` with what cancels the load. Raises LoadFailed."""
        self.parallel = parallel
        self._tensorflow = tensorflow = import_tensorflow()
        v1 = tensorflow.compat.v1
        config = v1.ConfigProto(inter_op_parallelism_threads=CALLER)
        self._session = v1.Session(graph=v1.Graph(), config=config)
        if begin is not None:
            begin(self.cancel)
        try:
            described = v1.saved_model.load(self._session, ["serve"], str(folder)).signature_def
            self._functions = {
                name: function
                for name, function in described.items()
                if _is_offered(name, function)
            }
            self.signatures: Mapping[str, Signature] = {
                name: _signature(function, self._session.graph, tensorflow)
                for name, function in self._functions.items()
            }
        except (tensorflow.errors.OpError, *LOAD_ERRORS) as error:
            self._session.close()
            raise LoadFailed(f"TensorFlow cannot load the SavedModel: {_reason(error)}") from error

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph. What it rejects as invalid is BadInput, as in TensorFlow Serving."""
        errors = self._tensorflow.errors
        function = self._functions[signature]
        try:
            outputs = self._session.run(
                {name: output.name for name, output in function.outputs.items()},
                {function.inputs[name].name: value for name, value in inputs.items()},
            )
        except (errors.InvalidArgumentError, ValueError) as error:
            raise BadInput(_reason(error)) from error
        except (errors.OpError, MemoryError) as error:
            raise InferenceFailed(f"TensorFlow: {_reason(error)}") from error
        return {name: np.asarray(value) for name, value in outputs.items()}

    def cancel(self) -> None:
        """Close the session, which ends loops, but not a single op."""
        self._session.close()

    def close(self) -> None:
        """Close the session. TensorFlow keeps about half of the memory for later models."""
        self._functions.clear()
        self._session.close()
        del self._session


def _is_offered(name: str, function: Any) -> bool:
    """Whether all inputs and outputs are tensors, and the signature is not the loader's own."""
    tensors = [*function.inputs.values(), *function.outputs.values()]
    return not name.startswith("__saved_model") and all(tensor.name for tensor in tensors)


def _signature(function: Any, graph: Any, tensorflow: Any) -> Signature:
    tensors = [*function.inputs.values(), *function.outputs.values()]
    return Signature(
        {name: _spec(info, graph, tensorflow) for name, info in function.inputs.items()},
        batchable=all(_counts_rows(info.tensor_shape) for info in tensors),
        method=function.method_name,
    )


def _counts_rows(shape: Any) -> bool:
    return bool(shape.dim) and shape.dim[0].size < 0


def _spec(info: Any, graph: Any, tensorflow: Any) -> TensorSpec:
    """The type and shape that the graph accepts.

    TensorFlow Serving does not compare values with the shape that a signature declares.
    """
    dtype = np.dtype(tensorflow.dtypes.as_dtype(info.dtype).as_numpy_dtype)
    shape = graph.get_tensor_by_name(info.name).shape
    return TensorSpec(
        dtype=dtype if dtype.kind not in "OSU" else np.dtype(object),
        shape=None if shape.rank is None else tuple(shape.as_list()),
    )


def _reason(error: Exception) -> str:
    """The first line of TensorFlow's message that is about the error itself."""
    if isinstance(error, UnicodeDecodeError):  # of a message that quotes a value of other bytes
        text = error.object.decode(errors="backslashreplace")
    else:
        text = str(error)
    lines = (line.strip() for line in text.splitlines())
    reasons = (line for line in lines if line and not NOISE.match(line))
    return next(reasons, type(error).__name__)
