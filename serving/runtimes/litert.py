"""Models as LiteRT interpreters: they load in milliseconds and take a few MB, no TensorFlow."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner

from serving.errors import InferenceFailed, LoadFailed
from serving.runtimes.quantisation import Quantisation, quantisation
from serving.runtimes.runtime import Array, Signature, TensorSpec

# Measured: 4.4 MB in memory for a file of 2 MB, 148 MB for VGG16's 58 MB. The weights are mapped
# once, and copied once in XNNPACK's layout. Files with float16 weights take 3.3 to 4.1 times their
# size, because the copy is float32; what the estimate lacks is measured while they load.
MEMORY_PER_BYTE = 2.5
MEMORY_FIXED = 300_000
ROWS = 8  # in one call: more save no time, and an interpreter keeps the memory of its largest call
LONG_REPORT = 10_000  # characters
NO_REASON = "LiteRT gives no reason, as when there is no memory left"


def estimate(size: int) -> int:
    """Bytes in memory of a model whose file has `size` bytes."""
    return MEMORY_FIXED + int(size * MEMORY_PER_BYTE)


class LiteRT:
    """One interpreter. It computes once while it is loaded, so that its memory is measured."""

    kind = "litert"
    parallel = 1

    def __init__(self, model: Path, threads: int) -> None:
        """Raises LoadFailed."""
        self._load = partial(_load, model, threads)
        self._functions, self.signatures = self._load()
        self._report = ""
        for name, signature in self.signatures.items():
            with suppress(InferenceFailed):  # some models fail on zeros
                self._call(name, {key: spec.one() for key, spec in signature.inputs.items()})

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Resize the inputs and compute, in calls of at most ROWS rows. Raises BadInput,
        InferenceFailed.
        """
        lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
        if not self.signatures[signature].batchable or len(lengths) > 1 or max(lengths) <= ROWS:
            return self._call(signature, inputs)
        parts = [
            self._call(signature, {name: array[at : at + ROWS] for name, array in inputs.items()})
            for at in range(0, max(lengths), ROWS)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        called = self._functions[signature]
        quantised = {name: called.stored(name, array) for name, array in inputs.items()}
        try:
            outputs = called.runner(**quantised)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise InferenceFailed(f"LiteRT: {self._latest(str(error))}") from error
        return {name: called.real(name, array) for name, array in outputs.items()}

    def cancel(self) -> None:
        """LiteRT's interpreter for Python has no way to interrupt a call."""

    def close(self) -> None:
        """Delete the last references to the interpreter, whose destructor frees its memory."""
        self._functions.clear()

    def _latest(self, report: str) -> str:
        """The newest error in an interpreter's report, which accumulates all errors.

        The interpreter is loaded again when its report has become long.
        """
        latest = report.removeprefix(self._report) or NO_REASON
        self._report = report
        if len(report) > LONG_REPORT:
            with suppress(LoadFailed):
                (self._functions, _), self._report = self._load(), ""
        return latest


@dataclass(frozen=True)
class _Function:
    """A signature's runner, and the quantisation of each input and output that has one."""

    runner: SignatureRunner
    inputs: Mapping[str, Quantisation | None]
    outputs: Mapping[str, Quantisation | None]

    def stored(self, name: str, values: Array) -> Array:
        """An input as the file's dtype. Raises BadInput."""
        found = self.inputs[name]
        return found.quantise(values) if found else values

    def real(self, name: str, values: Array) -> Array:
        """An output as real numbers."""
        found = self.outputs[name]
        return found.dequantise(values) if found else values


def _load(model: Path, threads: int) -> tuple[dict[str, _Function], dict[str, Signature]]:
    try:
        interpreter = Interpreter(model_path=str(model), num_threads=threads)
        interpreter.allocate_tensors()
        names = interpreter.get_signature_list()
        functions = {name: _function(interpreter.get_signature_runner(name)) for name in names}
        signatures = {name: _signature(each) for name, each in functions.items()}
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise LoadFailed(f"LiteRT cannot load {model.name}: {str(error) or NO_REASON}") from error
    if not functions:
        raise LoadFailed(
            f"{model.name} has no signature. Convert it from a SavedModel with signatures"
        )
    return functions, signatures


def _function(runner: SignatureRunner) -> _Function:
    inputs, outputs = (
        {name: quantisation(name, details) for name, details in tensors.items()}
        for tensors in (runner.get_input_details(), runner.get_output_details())
    )
    return _Function(runner, inputs, outputs)


def _signature(function: _Function) -> Signature:
    inputs = function.runner.get_input_details()
    outputs = function.runner.get_output_details()
    shapes = [info["shape_signature"] for info in (*inputs.values(), *outputs.values())]
    return Signature(
        {name: _spec(details, function.inputs[name]) for name, details in inputs.items()},
        batchable=all(len(shape) and shape[0] < 0 for shape in shapes),
    )


def _spec(details: Mapping[str, Any], quantised: Quantisation | None) -> TensorSpec:
    """The first dimension counts as any number of rows, even if the converter fixed it at 1.

    Raw bytes are an image's pixels, which only a quantised uint8 can take as they are.
    """
    dtype = np.dtype(details["dtype"])
    numeric = dtype.kind not in "OSU"
    shape = tuple(None if size < 0 else int(size) for size in details["shape_signature"])
    return TensorSpec(
        dtype=np.dtype(np.float32) if quantised else dtype if numeric else np.dtype(object),
        shape=(None, *shape[1:]) if shape else (),
        raw=dtype if numeric and (not quantised or dtype == np.uint8) else None,
    )
