"""Write the float16 weights of a LiteRT file as float32.

LiteRT computes with float32, so it converts such weights whenever it loads them, and keeps the
result: a file of 1.2 MB takes 2.5 MB of private memory and half of its load for that. A copy with
float32 weights, which is kept beside the packed weights, needs neither.

The file has an operator DEQUANTIZE for each tensor of weights. In the copy, the tensors themselves
are float32, others read them in place of the operators' outputs, and the operators are gone.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from serving.litert.known import Known
from serving.litert.memory import MappedFile
from serving.litert.model_file import (
    BUFFER_DATA,
    BUFFER_OFFSET,
    METADATA_NAME,
    MODEL_BUFFERS,
    MODEL_CODES,
    MODEL_METADATA,
    MODEL_SUBGRAPHS,
    OPERATOR_CODE,
    QUANTISATION_SCALE,
    SUBGRAPH_OPERATORS,
    SUBGRAPH_OUTPUTS,
    SUBGRAPH_TENSORS,
    TENSOR_BUFFER,
    TENSOR_QUANTISATION,
    TENSOR_SHAPE,
    TENSOR_SPARSITY,
    TENSOR_TYPE,
    TYPES,
    Buffer,
    Reader,
    Unfit,
    functions,
    kind,
    operators,
)
from serving.litert.weights import BUILT_PER_BYTE, WeightCache

OPERATOR_INPUTS, OPERATOR_OUTPUTS = 1, 2
DEQUANTIZE = 6  # BuiltinOperator
ORDER = "model_control_dependencies"
"""Metadata that know operators by their places."""
FLOAT16, FLOAT32 = TYPES.index("float16"), TYPES.index("float32")
ALIGNMENT = 64
"""Of a buffer's content in the file; the schema asks for 16."""


def widened(weights: WeightCache, known: Known, file: MappedFile) -> MappedFile | None:
    """The file with its float16 weights as float32, which is written if it is not there.

    None if it has no such weights, or the copy cannot be kept. Raises OSError.
    """
    if known.wide is False:
        return None
    key = weights.key(known.digest_of(file) + b"copy with float32")
    with weights.found(key) as copy:
        if copy is not None:
            return MappedFile(copy)
    with weights.building(BUILT_PER_BYTE * file.size) as allowed:
        if not allowed:
            return None
        written = os.memfd_create("facet-float32", os.MFD_CLOEXEC)
        try:
            known.wide = write_widened(file.content, written) and _opens(written, known)
            if known.wide:
                weights.keep(key, written)
        finally:
            os.close(written)
    with weights.found(key) as copy:
        return None if copy is None else MappedFile(copy)


def _opens(descriptor: int, known: Known) -> bool:
    """Whether the C API may open a file, and finds the same signatures in it."""
    file = MappedFile(descriptor)
    try:
        return functions(file.content) == known.functions
    except Unfit:
        return False
    finally:
        file.close()


def write_widened(model: Buffer, descriptor: int) -> bool:
    """Write a copy of a file with float32 weights into an empty file; whether there is one.

    There is none without float16 weights, if an operator computes with float16, and of a damaged
    file. Raises OSError.
    """
    try:
        if DEQUANTIZE not in operators(model):
            return False
        write_all(descriptor, model)
        with mmap.mmap(descriptor, 0) as content:
            for part in _Widening(content).parts():
                write_all(descriptor, part)
    except (struct.error, IndexError, ValueError, Unfit):
        return False
    return True


def write_all(descriptor: int, content: Buffer) -> None:
    """Raises OSError."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


class _Widening:
    """A copy of a file, which is changed in place."""

    def __init__(self, content: mmap.mmap) -> None:
        """Raises Unfit, struct.error, IndexError, as all methods do."""
        self._content = content
        self._read = Reader(content)
        root = self._read.offset(0)
        for each in self._read.tables(root, MODEL_METADATA):
            if self._read.text(each, METADATA_NAME) == ORDER:
                raise Unfit("the order of its operators is fixed")
        self._codes = [kind(self._read, each) for each in self._read.tables(root, MODEL_CODES)]
        self._buffers = [*self._read.tables(root, MODEL_BUFFERS)]
        self._subgraphs = [*self._read.tables(root, MODEL_SUBGRAPHS)]

    def parts(self) -> Iterator[Buffer]:
        """Change the file, and yield what must follow it."""
        read = self._read
        wide: set[int] = set()
        for subgraph in self._subgraphs:
            wide |= self._widen(subgraph)
        buffers = {self._buffer(tensor) for tensor in wide}
        for subgraph in self._subgraphs:
            for tensor in read.tables(subgraph, SUBGRAPH_TENSORS):
                if tensor not in wide and self._buffer(tensor) in buffers:
                    raise Unfit("weights are also those of another type")
        if not wide:
            raise Unfit("it has no float16 weights")
        end = len(self._content)
        for buffer in (self._buffers[each] for each in sorted(buffers)):
            data = read.array(buffer, BUFFER_DATA, "<B").view("<f2").astype("<f4")
            padding = -(end + 4) % ALIGNMENT
            at = read.field(buffer, BUFFER_DATA)
            struct.pack_into("<I", self._content, at, end + padding - at)
            yield bytes(padding) + struct.pack("<I", data.nbytes)
            yield data.view(np.uint8)
            end += padding + 4 + data.nbytes

    def _widen(self, subgraph: int) -> set[int]:
        """Make the float16 weights of a subgraph float32; their tensors."""
        read = self._read
        tensors = [*read.tables(subgraph, SUBGRAPH_TENSORS)]
        operators = [*read.tables(subgraph, SUBGRAPH_OPERATORS)]
        weights = {at for at, tensor in enumerate(tensors) if self._is_half(tensor)}
        source: dict[int, int] = {}  # by tensor: the weights from which it is made
        others = []
        for operator in operators:
            inputs = read.numbers(operator, OPERATOR_INPUTS)
            if self._code(operator) == DEQUANTIZE and inputs[0] in weights:
                (output,) = read.numbers(operator, OPERATOR_OUTPUTS)
                if read.scalar(tensors[output], TENSOR_TYPE, "<b") != FLOAT32:
                    raise Unfit("weights become another type than float32")
                source[output] = inputs[0]
            elif weights.isdisjoint(inputs):
                others.append(operator)
            else:
                raise Unfit("an operator computes with float16")
        if not {*source, *weights}.isdisjoint(read.numbers(subgraph, SUBGRAPH_OUTPUTS)):
            raise Unfit("an output is constant")
        for operator in others:
            self._replace_inputs(operator, source)
        for at in {*source.values()}:
            self._content[read.field(tensors[at], TENSOR_TYPE)] = FLOAT32
        self._set_operators(subgraph, others)
        return {tensors[at] for at in source.values()}

    def _is_half(self, tensor: int) -> bool:
        """Whether it is a constant of float16 as the converter writes it."""
        read = self._read
        if read.scalar(tensor, TENSOR_TYPE, "<b") != FLOAT16 or read.field(tensor, TENSOR_SPARSITY):
            return False
        buffer = self._buffers[self._buffer(tensor)]
        quantised = read.table(tensor, TENSOR_QUANTISATION)
        count = int(np.prod(read.numbers(tensor, TENSOR_SHAPE), dtype=np.int64))
        return (
            read.length(buffer, BUFFER_DATA) == 2 * count > 0
            and not read.field(buffer, BUFFER_OFFSET)
            and not (quantised and read.length(quantised, QUANTISATION_SCALE))
        )

    def _buffer(self, tensor: int) -> int:
        number: int = self._read.scalar(tensor, TENSOR_BUFFER, "<I")
        return number

    def _code(self, operator: int) -> int:
        return self._codes[self._read.scalar(operator, OPERATOR_CODE, "<I")]

    def _replace_inputs(self, operator: int, source: dict[int, int]) -> None:
        inputs = self._read.numbers(operator, OPERATOR_INPUTS)
        if inputs:
            start = self._read.offset(self._read.field(operator, OPERATOR_INPUTS)) + 4
            struct.pack_into(
                f"<{len(inputs)}i", self._content, start, *(source.get(at, at) for at in inputs)
            )

    def _set_operators(self, subgraph: int, operators: Sequence[int]) -> None:
        """A vector has its length, then the distance of each operator from its own place."""
        start = self._read.offset(self._read.field(subgraph, SUBGRAPH_OPERATORS))
        struct.pack_into("<I", self._content, start, len(operators))
        for place, operator in enumerate(operators, 1):
            at = start + 4 * place
            struct.pack_into("<I", self._content, at, operator - at)
