"""A model on LiteRT's C API: loading and computing it stops no other thread of Python."""

import ctypes
import math
import mmap
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from ctypes import c_int, c_void_p
from pathlib import Path

import numpy as np

from serving.errors import InferenceFailed
from serving.litert import binding, float16, memory
from serving.litert.binding import LiteRTError
from serving.litert.known import known_file
from serving.litert.model_file import Tensor, Unfit
from serving.litert.weights import BUILT_PER_BYTE, WeightCache
from serving.runtimes.runtime import Array

SMALLEST = 100_000
"""Bytes of a file whose packed weights are kept on disk; a smaller one loads as fast without."""
NO_REASON = "LiteRT gives no reason, as when there is no memory left"
PAGE = mmap.PAGESIZE


class Compiled:
    """A model and what LiteRT compiled from it. Not for use by two threads."""

    def __init__(self, model: Path, threads: int, weights: WeightCache | None = None) -> None:
        """weights: packed ones on disk. Raises Unfit."""
        try:
            self._library = binding.library()
        except (OSError, AttributeError, LiteRTError) as error:
            raise Unfit(f"the C API of LiteRT {binding.VERSION} is not here: {error}") from error
        with ExitStack() as opened:
            try:
                file = memory.MappedFile.at(model)
                opened.callback(file.close)
                known = self._known = known_file(file)
                digest, building = None, BUILT_PER_BYTE * file.size
                if weights is not None and file.size >= SMALLEST:
                    digest = known.digest_of(file)
                    if wide := float16.widened(weights, known, file):
                        file = wide
                        opened.callback(file.close)
                        digest += b"float32"
                model_handle = self._library.made(
                    "CreateModelFromBuffer", self._library.environment, file.address, file.size
                )
                opened.callback(self._library.DestroyModel, model_handle)
                if weights is None or digest is None:
                    self._compiled, self.mapped = self._compile(model_handle, threads), file.size
                else:
                    key = weights.key(digest)
                    self._compiled, size = self._compile_with(
                        weights, key, model_handle, threads, building
                    )
                    self.mapped = file.size + size
            except (OSError, MemoryError, LiteRTError) as error:
                raise Unfit(str(error) or NO_REASON) from error
            opened.callback(self._library.DestroyCompiledModel, self._compiled)
            self._close = opened.pop_all()
        self.functions = known.functions
        self._index = {name: at for at, name in enumerate(self.functions)}
        self._last: dict[int, tuple[list[tuple[int, ...]] | None, list[int]]] = {}
        """By subgraph: the inputs' shapes of the last call, and the bytes of its outputs."""

    def _compile(self, model: c_void_p, threads: int, packed: int | None = None) -> c_void_p:
        """packed: a file descriptor of packed weights, or of an empty file for them."""
        library = self._library
        toml = f"num_threads = {threads}\n"
        if packed is not None:
            toml += f'weight_cache_file_path = "/proc/self/fd/{packed}"\n'
        options = library.made("CreateOptions")
        try:
            library.SetOptionsHardwareAccelerators(options, binding.CPU)
            library.add_options(options, binding.RUNTIME, binding.COLLECT_ERRORS)
            library.add_options(options, binding.XNNPACK, toml.encode())
            return library.made("CreateCompiledModel", library.environment, model, options)
        finally:
            library.DestroyOptions(options)

    def _compile_with(
        self, weights: WeightCache, key: str, model: c_void_p, threads: int, building: int
    ) -> tuple[c_void_p, int]:
        """Compile with weights from disk, which are written if they are not there.

        building: bytes of memory that writing them takes. Also gives the bytes that are mapped from
        disk.
        """
        with weights.found(key) as packed:
            if packed is not None:
                return self._compile(model, threads, packed), os.fstat(packed).st_size
        with weights.building(building) as allowed:
            if not allowed:
                return self._compile(model, threads), 0
            written = os.memfd_create("facet-weights", os.MFD_CLOEXEC)
            try:
                compiled = self._compile(model, threads, written)
                weights.keep(key, written)
            finally:
                os.close(written)
        with weights.found(key) as packed:
            if packed is None:
                return compiled, 0
            self._library.DestroyCompiledModel(compiled)
            return self._compile(model, threads, packed), os.fstat(packed).st_size

    def call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature. Raises InferenceFailed."""
        try:
            with memory.room() as room:
                return self._call(signature, inputs, room)
        except LiteRTError as error:
            raise InferenceFailed(f"LiteRT: {self._reason(error)}") from error
        except (OSError, MemoryError) as error:
            raise InferenceFailed(f"LiteRT: {str(error) or NO_REASON}") from error

    @property
    def proven(self) -> bool:
        """Whether a model of the same content has computed all its signatures."""
        return self._known.proven

    def prove(self) -> None:
        """Note that it has computed all its signatures."""
        self._known.proven = True

    def close(self) -> None:
        """Give the memory back. No call may follow."""
        self._close.close()

    def _reason(self, error: LiteRTError) -> str:
        """What the model reported, or the status of the call."""
        report = ""
        with suppress(LiteRTError):
            report = self._library.errors(self._compiled)
        return report or f"{NO_REASON} ({error})"

    def _call(
        self, signature: str, inputs: Mapping[str, Array], room: memory.Room
    ) -> dict[str, Array]:
        function, index = self.functions[signature], self._index[signature]
        library, compiled = self._library, self._compiled
        outputs = _Outputs(library, compiled, index, function.outputs, room)
        shapes = [inputs[name].shape for name in function.inputs]
        last_shapes, sizes = self._last.pop(function.subgraph, (None, []))
        if shapes == last_shapes:
            outputs.sizes = sizes
        else:
            for at, shape in enumerate(shapes):
                if shape:
                    library.CompiledModelResizeInputTensorNonStrict(
                        *(compiled, index, at, (c_int * len(shape))(*shape), len(shape))
                    )
            outputs.measure(prepare=True)
        self._last[function.subgraph] = shapes, outputs.sizes
        with ExitStack() as taken:
            given = [
                self._given(inputs[name], tensor.dtype, taken)
                for name, tensor in function.inputs.items()
            ]
            try:
                outputs.run(given)
            except LiteRTError:
                if not outputs.measure(prepare=False):
                    raise
                outputs.run(given)
        outputs.measure(prepare=False)
        self._last[function.subgraph] = shapes, outputs.sizes
        return outputs.arrays()

    def _given(self, values: Array, dtype: str, taken: ExitStack) -> c_void_p:
        """A buffer with an input. `taken` keeps its memory."""
        stored = memory.aligned(values.nbytes)
        stored.view(dtype)[:] = values.ravel()
        taken.callback(lambda _: None, stored)
        buffer = self._library.buffer(dtype, values.shape, stored.ctypes.data, values.nbytes)
        taken.callback(self._library.DestroyTensorBuffer, buffer)
        return buffer


class _Outputs:
    """The outputs of one call, each in a part of the room, and a part for their layouts."""

    def __init__(
        self,
        library: binding.Library,
        compiled: c_void_p,
        index: int,
        tensors: Mapping[str, Tensor],
        room: memory.Room,
    ) -> None:
        self._library = library
        self._compiled = compiled
        self._index = index
        self._tensors = tensors
        self._room = room
        self._part = memory.ROOM // (len(tensors) + 1) // PAGE * PAGE
        layouts = room.address + len(tensors) * self._part
        self._layouts = (binding.Layout * len(tensors)).from_address(layouts)
        self.sizes = [0] * len(tensors)

    def measure(self, *, prepare: bool) -> bool:
        """Ask LiteRT for the shapes; whether an output has grown. Raises LiteRTError.

        prepare: after the inputs were resized. Some shapes are known only after the computation.
        """
        self._library.GetCompiledModelOutputTensorLayouts(
            *(self._compiled, self._index, len(self._tensors)),
            *(ctypes.addressof(self._layouts), prepare),
        )
        before, self.sizes = self.sizes, [0] * len(self._tensors)
        for at, (name, tensor) in enumerate(self._tensors.items()):
            if self._layouts[at].rank > binding.MAX_RANK:
                raise LiteRTError(f"output {name} has over {binding.MAX_RANK} dimensions")
            size = math.prod(self._shape(at)) * np.dtype(tensor.dtype).itemsize
            if not 0 <= size <= self._part:
                raise LiteRTError(f"output {name} has {size:,} bytes, more than there is room for")
            self.sizes[at] = size
        return any(new > old for new, old in zip(self.sizes, before, strict=True))

    def run(self, inputs: Sequence[c_void_p]) -> None:
        """Raises LiteRTError."""
        buffers: list[c_void_p] = []
        try:
            for at, (tensor, size) in enumerate(
                zip(self._tensors.values(), self.sizes, strict=True)
            ):
                self._room.wrote(at * self._part, size)
                address = self._room.address + at * self._part
                size = max(size, np.dtype(tensor.dtype).itemsize)
                buffers.append(self._library.buffer(tensor.dtype, (), address, size))
            self._library.RunCompiledModel(
                *(self._compiled, self._index),
                *(len(inputs), (c_void_p * len(inputs))(*inputs)),
                *(len(buffers), (c_void_p * len(buffers))(*buffers)),
            )
        finally:
            for buffer in buffers:
                self._library.DestroyTensorBuffer(buffer)

    def arrays(self) -> dict[str, Array]:
        """Copies of the outputs by name, as last measured."""
        found = {}
        for at, (name, tensor) in enumerate(self._tensors.items()):
            start, size = at * self._part, self.sizes[at]
            self._room.wrote(start, size)
            values = self._room.bytes[start : start + size].view(tensor.dtype)
            found[name] = values.reshape(self._shape(at)).copy()
        return found

    def _shape(self, at: int) -> tuple[int, ...]:
        layout = self._layouts[at]
        return tuple(layout.dimensions[: layout.rank])
