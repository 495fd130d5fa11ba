"""Read the signatures of a LiteRT file, and whether LiteRT's C API may open it.

The C API checks a file's layout, but reads what is in it with less care than the interpreter does:
it follows numbers that lead nowhere, and opens other files that a model names. A file that needs
the care, or a part that the C API does not have, is left to the interpreter.

Tables and fields are those of TensorFlow's schema (tensorflow/compiler/mlir/lite/schema.fbs).
"""

import struct
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.litert.binding import DTYPES, MAX_RANK

Array = NDArray[Any]
Buffer = Any  # bytes, mmap.mmap, memoryview

MODEL_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS = 1, 2, 4
MODEL_METADATA, MODEL_SIGNATURES, MODEL_EXTERNAL = 6, 7, (8, 9)
CODE_DEPRECATED_BUILTIN, CODE_BUILTIN = 0, 3
SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_QUANTISATION = 0, 1, 2, 4
TENSOR_VARIABLE, TENSOR_SPARSITY, TENSOR_SHAPE_SIGNATURE = 5, 6, 7
TENSOR_VARIANTS, TENSOR_EXTERNAL = 9, 10
QUANTISATION_SCALE, QUANTISATION_ZERO_POINT, QUANTISATION_DETAILS = 2, 3, 4
BUFFER_DATA, BUFFER_OFFSET = 0, 1
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, METADATA_NAME = 0, 1, 2, 0
SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_SUBGRAPH = 0, 1, 2, 4
MAP_NAME, MAP_TENSOR = 0, 1

CUSTOM, RESHAPE = 32, 22  # BuiltinOperator
STRING = "string"
PLACEHOLDER = "<placeholder signature>"
"""The name that LiteRT gives to a model without signatures."""

# TensorType, in the order of the schema.
TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", STRING, "bool", "int16", "complex64"),
    *("int8", "float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16"),
)


OFFSET, LAYOUT = struct.Struct("<I"), struct.Struct("<i")


class Unfit(Exception):
    """Why the C API must not open a file, or cannot."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature. shape: -1 as a dimension is any size."""

    dtype: str
    shape: tuple[int, ...]
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()


@dataclass(frozen=True)
class Function:
    """A signature: its tensors by name, in the order of its subgraph."""

    subgraph: int
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def functions(model: Buffer) -> dict[str, Function]:
    """The signatures of a file by name, in its order. Raises Unfit."""
    try:
        return _functions(Reader(model))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Unfit(f"the file is damaged: {error}") from error


def operators(model: Buffer) -> list[int]:
    """The kinds of operators in a file, numbers of the schema's BuiltinOperator. Raises Unfit."""
    try:
        read = Reader(model)
        return [kind(read, code) for code in read.tables(read.offset(0), MODEL_CODES)]
    except (struct.error, IndexError) as error:
        raise Unfit(f"the file is damaged: {error}") from error


def kind(read: "Reader", code: int) -> int:
    """The BuiltinOperator of an operator code.

    A converter writes numbers below 127 into the old field alone, others into both.
    """
    old, new = read.scalar(code, CODE_DEPRECATED_BUILTIN, "<b"), read.scalar(code, CODE_BUILTIN)
    return max(old, new)


def _functions(read: "Reader") -> dict[str, Function]:
    root = read.offset(0)
    if any(read.field(root, each) for each in MODEL_EXTERNAL):
        raise Unfit("it has weights in other files")
    codes = [*read.tables(root, MODEL_CODES)]
    if CUSTOM in (kind(read, code) for code in codes):
        raise Unfit("it has custom operators")
    if not all(read.field(each, METADATA_NAME) for each in read.tables(root, MODEL_METADATA)):
        raise Unfit("its metadata have no name")
    buffers = [*read.tables(root, MODEL_BUFFERS)]
    subgraphs = [*read.tables(root, MODEL_SUBGRAPHS)]
    tensors = [[*read.tables(each, SUBGRAPH_TENSORS)] for each in subgraphs]
    for tensor in (each for part in tensors for each in part):
        _check_tensor(read, tensor)
    for subgraph, own in zip(subgraphs, tensors, strict=True):
        outputs_of_it = {*read.numbers(subgraph, SUBGRAPH_OUTPUTS)}
        for operator in read.tables(subgraph, SUBGRAPH_OPERATORS):
            code = read.scalar(operator, OPERATOR_CODE, "<I")
            if code >= len(codes):
                raise Unfit("an operator has an unknown code")
            if kind(read, codes[code]) == RESHAPE:
                _check_reshape(read, operator, own, buffers, outputs_of_it)
    found = {}
    for signature in read.tables(root, MODEL_SIGNATURES):
        number = read.scalar(signature, SIGNATURE_SUBGRAPH, "<I")
        subgraph = subgraphs[number]
        inputs, outputs = (
            _named(read, signature, field, read.numbers(subgraph, order))
            for field, order in (
                (SIGNATURE_INPUTS, SUBGRAPH_INPUTS),
                (SIGNATURE_OUTPUTS, SUBGRAPH_OUTPUTS),
            )
        )
        if not {*inputs.values()}.isdisjoint(outputs.values()):
            raise Unfit("an input of it is an output, too")
        for at in outputs.values():
            if _is_constant(read, tensors[number][at], buffers):
                raise Unfit("an output of it is constant")
        key = read.text(signature, SIGNATURE_KEY)
        if key in found or key == PLACEHOLDER or not outputs:
            raise Unfit("two signatures have one name, or one has no output")
        found[key] = Function(
            number,
            {name: _tensor(read, tensors[number][at]) for name, at in inputs.items()},
            {name: _tensor(read, tensors[number][at]) for name, at in outputs.items()},
        )
    if not found:
        raise Unfit("it has no signature")
    return found


def _check_tensor(read: "Reader", tensor: int) -> None:
    """Raises Unfit for a tensor that the C API would misread."""
    for field in (TENSOR_SHAPE, TENSOR_SHAPE_SIGNATURE):
        if read.length(tensor, field) > MAX_RANK:
            raise Unfit(f"a tensor has over {MAX_RANK} dimensions")
    for field in (TENSOR_VARIABLE, TENSOR_VARIANTS, TENSOR_EXTERNAL):
        if read.field(tensor, field):
            raise Unfit("a tensor has a state, or is in another file")
    if quantised := read.table(tensor, TENSOR_QUANTISATION):
        scales = read.length(quantised, QUANTISATION_SCALE)
        if read.field(quantised, QUANTISATION_DETAILS):
            raise Unfit("a tensor is quantised in blocks")
        if scales != read.length(quantised, QUANTISATION_ZERO_POINT):
            raise Unfit("a tensor has not as many scales as zero points")


def _check_reshape(
    read: "Reader",
    operator: int,
    tensors: Sequence[int],
    buffers: Sequence[int],
    outputs: Container[int],
) -> None:
    """Raises Unfit if an output gets a shape that the model computes, as by Keras's `Flatten`.

    LiteRT allocates such an output itself while it computes. The C API computes it once, and
    refuses the memory that it is given for it in every later call.
    """
    shape = read.numbers(operator, OPERATOR_INPUTS)[1:]
    computed = any(not _is_constant(read, tensors[at], buffers) for at in shape)
    if computed and any(at in outputs for at in read.numbers(operator, OPERATOR_OUTPUTS)):
        raise Unfit("an output of it is reshaped to a shape that it computes")


def _named(read: "Reader", signature: int, field: int, order: Sequence[int]) -> dict[str, int]:
    """The tensors of a signature by name, in the subgraph's order. Raises Unfit."""
    names = {
        read.scalar(each, MAP_TENSOR, "<I"): read.text(each, MAP_NAME)
        for each in read.tables(signature, field)
    }
    named = {names[at]: at for at in order if at in names}
    if not len(order) == len(names) == len(named) == read.length(signature, field):
        raise Unfit("a signature does not name each tensor of its subgraph once")
    return named


def _is_constant(read: "Reader", tensor: int, buffers: Sequence[int]) -> bool:
    buffer = buffers[read.scalar(tensor, TENSOR_BUFFER, "<I")]
    return bool(read.length(buffer, BUFFER_DATA) or read.field(buffer, BUFFER_OFFSET))


def _tensor(read: "Reader", tensor: int) -> Tensor:
    """Raises Unfit for a type that NumPy lacks."""
    kind = read.scalar(tensor, TENSOR_TYPE, "<b")
    dtype = TYPES[kind] if 0 <= kind < len(TYPES) else str(kind)
    if dtype != STRING and dtype not in DTYPES.values():
        raise Unfit(f"an input or output has type {dtype}")
    signature = read.numbers(tensor, TENSOR_SHAPE_SIGNATURE)
    shape = tuple(signature or read.numbers(tensor, TENSOR_SHAPE))
    quantised = read.table(tensor, TENSOR_QUANTISATION)
    if not quantised:
        return Tensor(dtype, shape)
    return Tensor(
        dtype,
        shape,
        read.numbers(quantised, QUANTISATION_SCALE, "<f"),
        read.numbers(quantised, QUANTISATION_ZERO_POINT, "<q"),
    )


class Reader:
    """Flatbuffer tables at positions in a buffer. Raises struct.error, IndexError, Unfit."""

    def __init__(self, model: Buffer) -> None:
        self._model = model
        self._size = len(model)
        self._layouts: dict[int, tuple[int, ...]] = {}  # by position; many tables share one

    def offset(self, at: int) -> int:
        distance: int = OFFSET.unpack_from(self._model, at)[0]
        return at + distance

    def field(self, table: int, field: int) -> int:
        """Where a table has a field, 0 if it does not."""
        at = table - LAYOUT.unpack_from(self._model, table)[0]
        layout = self._layouts.get(at)
        if layout is None:
            fields = max(self._number("<H", at) - 4, 0) // 2
            layout = struct.unpack_from(f"<{fields}H", self._model, at + 4)
            self._layouts[at] = layout
        offset = layout[field] if field < len(layout) else 0
        return table + offset if offset else 0

    def scalar(self, table: int, field: int, form: str = "<i") -> int:
        at = self.field(table, field)
        return self._number(form, at) if at else 0

    def table(self, table: int, field: int) -> int:
        at = self.field(table, field)
        return self.offset(at) if at else 0

    def length(self, table: int, field: int) -> int:
        """Items of a vector, 0 if there is none."""
        at = self.field(table, field)
        length = self._number("<I", self.offset(at)) if at else 0
        if length > self._size:
            raise Unfit("a list ends beyond the file")
        return length

    def tables(self, table: int, field: int) -> Iterator[int]:
        if length := self.length(table, field):
            start = self.offset(self.field(table, field)) + 4
            for at in range(start, start + 4 * length, 4):
                yield self.offset(at)

    def array(self, table: int, field: int, form: str) -> Array:
        """A vector of numbers, which shares the buffer's memory."""
        length = self.length(table, field)
        if not length:
            return np.empty(0, form)
        start = self.offset(self.field(table, field)) + 4
        if start + length * struct.calcsize(form) > self._size:
            raise Unfit("a list ends beyond the file")
        return np.frombuffer(self._model, form, length, start)

    def numbers(self, table: int, field: int, form: str = "<i") -> list[Any]:
        numbers: list[Any] = self.array(table, field, form).tolist()
        return numbers

    def text(self, table: int, field: int) -> str:
        """Raises Unfit if there is none."""
        at = self.field(table, field)
        if not at:
            raise Unfit("a tensor or signature has no name")
        start = self.offset(at) + 4
        length = self._number("<I", start - 4)
        if start + length > self._size:
            raise Unfit("a name ends beyond the file")
        return bytes(self._model[start : start + length]).decode()

    def _number(self, form: str, at: int) -> int:
        if at < 0:
            raise IndexError(f"an offset leads to byte {at:,}")
        number: int = struct.unpack_from(form, self._model, at)[0]
        return number
