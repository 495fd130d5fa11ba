"""Models as LiteRT interpreters: milliseconds to load, a few MB each, no TensorFlow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from serving.errors import InferenceFailed, LoadFailed
from serving.runtime import Array, Signature, TensorSpec

# Memory of a loaded model over the bytes of its file: 4.4 MB for 2 MB, 148 MB for VGG16's 58 MB,
# as the weights are mapped once and packed once for XNNPACK.
MEMORY_PER_BYTE = 2.5
MEMORY_FIXED = 300_000


def estimate(size: int) -> int:
    """Bytes in memory of a model whose file has `size` bytes."""
    return MEMORY_FIXED + int(size * MEMORY_PER_BYTE)


class LiteRT:
    """One interpreter. It stays allocated for the batch size of its last call."""

    kind = "litert"
    parallel = 1

    def __init__(self, model: Path, threads: int) -> None:
        """Raises LoadFailed."""
        try:
            interpreter = Interpreter(model_path=str(model), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise LoadFailed(f"LiteRT cannot load {model.name}: {error}") from error
        names = interpreter.get_signature_list()
        if not names:
            raise LoadFailed(f"{model.name} carries no signature")
        self._runners = {name: interpreter.get_signature_runner(name) for name in names}
        self.signatures: Mapping[str, Signature] = {
            name: Signature(
                {key: _spec(value) for key, value in runner.get_input_details().items()}
            )
            for name, runner in self._runners.items()
        }

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Resizes the inputs to those given, so that N rows are one call."""
        try:
            return dict(self._runners[signature](**inputs))
        except (ValueError, RuntimeError) as error:
            raise InferenceFailed(f"LiteRT: {error}") from error

    def close(self) -> None:
        """The last references to the interpreter go; its destructor frees everything."""
        self._runners.clear()


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    """The first dimension counts as the batch's, also where the converter fixed it at 1."""
    dtype = np.dtype(details["dtype"])
    numeric = dtype.kind not in "OSU"
    shape = tuple(None if size < 0 else int(size) for size in details["shape_signature"])
    return TensorSpec(
        dtype=dtype if numeric else np.dtype(object),
        shape=(None, *shape[1:]) if shape else (),
        raw_bytes=numeric,
    )
