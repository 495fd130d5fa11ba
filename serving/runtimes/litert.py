"""Models on LiteRT: they load in milliseconds and take a few MB, no TensorFlow."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from serving.errors import InferenceFailed, LoadFailed
from serving.litert.compiled import Compiled
from serving.litert.interpreted import Interpreted
from serving.litert.model_file import Function, Tensor, Unfit
from serving.litert.weights import WeightCache
from serving.runtimes.quantisation import Quantisation, quantisation
from serving.runtimes.runtime import Array, Signature, TensorSpec

log = logging.getLogger(__name__)

# Private bytes, measured: 2.8 MB for a file of 2.4 MB, 68 MB for VGG16's 59 MB, which are the copy
# of the weights in XNNPACK's layout. Files with float16 weights take twice that, because the copy
# is float32; what the estimate lacks is measured while they load. With the copy on disk, 0.3 MB and
# 11 MB are left, 0.6 MB for float16 weights of 1.2 MB.
MEMORY_PER_BYTE = 1.5
PACKED_PER_BYTE = 0.15
MEMORY_FIXED = 300_000
ROWS = 8  # in one call: more save no time, and a model keeps the memory of its largest call


def estimate(size: int, *, packed_on_disk: bool = False) -> int:
    """Private bytes of a model whose file has `size` bytes."""
    return MEMORY_FIXED + int(size * (PACKED_PER_BYTE if packed_on_disk else MEMORY_PER_BYTE))


class LiteRT:
    """One model. It computes once when it is first loaded, so that its memory is measured.

    The C API of LiteRT loads and computes it. Its interpreter, which holds Python's lock while it
    loads, does that if the C API cannot.
    """

    kind = "litert"
    parallel = 1

    def __init__(
        self,
        model: Path,
        threads: int,
        weights: WeightCache | None = None,
        *,
        measured: bool = False,
    ) -> None:
        """weights: packed ones on disk.  measured: whether the model's memory is known, so that it
        need not compute if the process has seen it compute. Raises LoadFailed.
        """
        try:
            engine = Compiled(model, threads, weights)
            self._use(engine)
            if not (measured and engine.proven):
                self._compute_zeros()
                engine.prove()
        except (Unfit, InferenceFailed) as reason:
            log.info("%s is left to LiteRT's interpreter: %s", model, reason)
            if isinstance(reason, InferenceFailed):
                self.close()
            self._use(Interpreted(model, threads))
            with suppress(InferenceFailed):  # some models fail on zeros
                self._compute_zeros()

    def _use(self, engine: Compiled | Interpreted) -> None:
        """Raises LoadFailed, and closes the engine."""
        try:
            self._functions = {name: _Function(each) for name, each in engine.functions.items()}
        except LoadFailed:
            engine.close()
            raise
        self.signatures = {name: each.signature for name, each in self._functions.items()}
        self.mapped = engine.mapped
        self._engine = engine

    def _compute_zeros(self) -> None:
        """Compute each signature once. Raises InferenceFailed, as some models fail on zeros."""
        failure = None
        for name, signature in self.signatures.items():
            try:
                self._call(name, {key: spec.one() for key, spec in signature.inputs.items()})
            except InferenceFailed as error:
                failure = error
        if failure:
            raise failure

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
        function = self._functions[signature]
        stored = {name: function.stored(name, array) for name, array in inputs.items()}
        outputs = self._engine.call(signature, stored)
        return {name: function.real(name, array) for name, array in outputs.items()}

    def cancel(self) -> None:
        """LiteRT has no way to interrupt a call."""

    def close(self) -> None:
        """Give the memory back. No call may follow."""
        self._engine.close()


class _Function:
    """A signature, and the quantisation of each input and output that has one."""

    def __init__(self, function: Function) -> None:
        """Raises LoadFailed."""
        self._inputs = {name: quantisation(name, each) for name, each in function.inputs.items()}
        self._outputs = {name: quantisation(name, each) for name, each in function.outputs.items()}
        tensors = (*function.inputs.values(), *function.outputs.values())
        self.signature = Signature(
            {name: _spec(each, self._inputs[name]) for name, each in function.inputs.items()},
            batchable=all(each.shape and each.shape[0] < 0 for each in tensors),
        )

    def stored(self, name: str, values: Array) -> Array:
        """An input as the file's dtype. Raises BadInput."""
        found = self._inputs[name]
        return found.quantise(values) if found else values

    def real(self, name: str, values: Array) -> Array:
        """An output as real numbers."""
        found = self._outputs[name]
        return found.dequantise(values) if found else values


def _spec(tensor: Tensor, quantised: Quantisation | None) -> TensorSpec:
    """The first dimension counts as any number of rows, even if the converter fixed it at 1.

    Raw bytes are an image's pixels, which only a quantised uint8 can take as they are.
    """
    dtype = np.dtype(tensor.dtype)
    shape = tuple(None if size < 0 else size for size in tensor.shape)
    return TensorSpec(
        dtype=np.dtype(np.float32) if quantised else dtype,
        shape=(None, *shape[1:]) if shape else (),
        raw=dtype if not quantised or dtype == np.uint8 else None,
    )
