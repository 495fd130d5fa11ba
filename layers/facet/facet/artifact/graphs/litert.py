"""Reads the operators and calls of a LiteRT file: a flatbuffer, in place and within its bounds.

Tables and fields are those of TensorFlow's schema (tensorflow/compiler/mlir/lite/schema.fbs);
offsets are flatbuffers' own (flatbuffers.dev, "Internals"). Weights are not read.
"""

import mmap
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Buffer = bytes | bytearray | memoryview | mmap.mmap

IDENTIFIER = b"TFL3"

MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_SIGNATURES = 1, 2, 7
CODE_DEPRECATED_BUILTIN, CODE_CUSTOM, CODE_BUILTIN = 0, 1, 3
SUBGRAPH_TENSORS, SUBGRAPH_OPERATORS = 0, 3
OPERATOR_CODE, OPERATOR_OPTIONS, OPERATOR_OPTIONS_2 = 0, 4, 12

CUSTOM, DELEGATE, PLACEHOLDER, STABLEHLO_CUSTOM_CALL = 32, 51, 127, 173
FOREIGN = {DELEGATE: "DELEGATE", STABLEHLO_CUSTOM_CALL: "STABLEHLO_CUSTOM_CALL"}
"""Builtin numbers that stand for code from elsewhere, as CUSTOM does."""

BUILTINS = frozenset(range(210)) - {CUSTOM, PLACEHOLDER, *FOREIGN}
"""The numbers of LiteRT 2.3's own operators."""

CONTROL_FLOW: Mapping[int, str] = {
    31: "CALL",
    118: "IF",
    119: "WHILE",
    129: "CALL_ONCE",
    200: "STABLEHLO_WHILE",
    209: "STABLEHLO_CASE",
}
"""Operators that run other subgraphs, perhaps without end. No classifier that the converters of
Keras and PyTorch make needs one, except networks over sequences and variables that change."""

COMPOSITE, CASE = 206, 209
SUBGRAPHS_IN_OPTIONS: Mapping[int, tuple[int, Sequence[int]]] = {
    31: (OPERATOR_OPTIONS, [0]),
    118: (OPERATOR_OPTIONS, [0, 1]),
    119: (OPERATOR_OPTIONS, [0, 1]),
    129: (OPERATOR_OPTIONS, [0]),
    200: (OPERATOR_OPTIONS_2, [0, 1]),
    COMPOSITE: (OPERATOR_OPTIONS_2, [1]),
}
"""Where an operator names the subgraphs that it runs: the field of its options, and theirs. CASE
has a list of them."""

MAX_CODES = 10_000
MAX_SIGNATURES = 32
"""LiteRT prepares each one: 3,001 take 90 s to load."""
MAX_SUBGRAPHS = 256
"""One for each signature is computed, and each takes memory: 2.5 MB in a network of 0.6 M
weights."""
MAX_TENSORS = 200_000
"""Of all subgraphs, as they are used, like MAX_OPERATORS."""
MAX_OPERATORS = 100_000
"""Of all subgraphs, and of each one with those that it calls, as often as it calls them; the
largest networks of Keras have about 1,500."""

SHOWN = 20
"""Subgraphs of a circle that are listed."""

LONG = 400
"""Bytes of a custom operator's name that are read."""


class UnreadableLiteRT(Exception):
    """The bytes are not a LiteRT model."""


class TooManyParts(Exception):
    """The model has more of something than any classifier."""


class Recursion(Exception):
    """A subgraph runs itself, perhaps through others."""


@dataclass(frozen=True)
class Operator:
    """A kind of operator and where it is first used; `subgraph` is None if it never is.

    `code` is its position among the model's operator codes, `builtin` its number; `custom` is the
    name of code that is not LiteRT's own.
    """

    code: int
    builtin: int
    custom: str | None
    subgraph: int | None
    position: int


@dataclass(frozen=True)
class LiteRTModel:
    """The parts of a model that are screened.

    operators: every kind, in the order of the model's codes.  sizes: how many operators each
    subgraph has.  calls: by subgraph, how often its operators run which other one.
    """

    operators: Sequence[Operator]
    sizes: Sequence[int]
    calls: Mapping[int, Counter[int]]

    def check_calls(self) -> None:
        """Raises Recursion, or TooManyParts if calls of calls multiply."""
        sorter = TopologicalSorter({caller: [*called] for caller, called in self.calls.items()})
        try:
            order = [*sorter.static_order()]
        except CycleError as error:
            path = " → ".join(map(str, error.args[1][:SHOWN]))
            raise Recursion(f"subgraphs run each other in a circle: {path}") from error
        expanded = [*self.sizes]
        for subgraph in order:
            for called, times in self.calls.get(subgraph, Counter()).items():
                expanded[subgraph] += times * expanded[called]
            if expanded[subgraph] > MAX_OPERATORS:
                raise TooManyParts(
                    f"subgraph {subgraph}, with those that it runs, has over {MAX_OPERATORS:,} "
                    "operators"
                )


def read(model: Buffer) -> LiteRTModel:
    """Read what is screened. Raises UnreadableLiteRT, TooManyParts."""
    read = opened(model)
    root = read.offset(0)
    codes = [*read.tables(root, MODEL_OPERATOR_CODES, "operator codes", MAX_CODES)]
    builtins = [_builtin(read, code) for code in codes]
    for _ in read.tables(root, MODEL_SIGNATURES, "signatures", MAX_SIGNATURES):
        pass
    subgraphs = [*read.tables(root, MODEL_SUBGRAPHS, "subgraphs", MAX_SUBGRAPHS)]
    uses: dict[int, tuple[int, int]] = {}
    calls: dict[int, Counter[int]] = {}
    sizes: list[int] = []
    tensors = 0
    for number, subgraph in enumerate(subgraphs):
        tensors += read.length(subgraph, SUBGRAPH_TENSORS, "tensors", MAX_TENSORS, tensors)
        position = -1
        for position, operator in enumerate(
            read.tables(subgraph, SUBGRAPH_OPERATORS, "operators", MAX_OPERATORS, sum(sizes))
        ):
            where = f"operator {position} of subgraph {number}"
            code = read.scalar(operator, OPERATOR_CODE, "<I")
            if code >= len(codes):
                raise UnreadableLiteRT(f"{where} has the code {code} of {len(codes)}")
            uses.setdefault(code, (number, position))
            for called in _called(read, operator, builtins[code]):
                if not 0 <= called < len(subgraphs):
                    raise UnreadableLiteRT(f"{where} runs subgraph {called} of {len(subgraphs)}")
                calls.setdefault(number, Counter())[called] += 1
        sizes.append(position + 1)
    operators = [
        Operator(at, builtin, _custom(read, code, builtin), *uses.get(at, (None, 0)))
        for at, (code, builtin) in enumerate(zip(codes, builtins, strict=True))
    ]
    return LiteRTModel(operators, sizes, calls)


def opened(model: Buffer) -> "Reader":
    """A reader of the file. Raises UnreadableLiteRT if it does not begin as one."""
    if len(model) < 8 or bytes(model[4:8]) != IDENTIFIER:
        raise UnreadableLiteRT(f"it does not begin as a LiteRT model, with {IDENTIFIER.decode()}")
    return Reader(model)


def _builtin(read: "Reader", code: int) -> int:
    return max(
        read.scalar(code, CODE_DEPRECATED_BUILTIN, "<b"), read.scalar(code, CODE_BUILTIN, "<i")
    )


def _custom(read: "Reader", code: int, builtin: int) -> str | None:
    return read.text(code, CODE_CUSTOM) if builtin == CUSTOM else FOREIGN.get(builtin)


def _called(read: "Reader", operator: int, builtin: int) -> Iterator[int]:
    """The subgraphs that an operator runs."""
    if builtin == CASE:
        if options := read.table(operator, OPERATOR_OPTIONS_2):
            yield from read.numbers(options, 0, "branches", MAX_SUBGRAPHS)
    elif builtin in SUBGRAPHS_IN_OPTIONS:
        options_field, fields = SUBGRAPHS_IN_OPTIONS[builtin]
        if options := read.table(operator, options_field):
            for field in fields:
                yield read.scalar(options, field, "<i")


class Reader:
    """Flatbuffer tables at positions in a buffer; raises UnreadableLiteRT where one is outside."""

    def __init__(self, model: Buffer) -> None:
        self._model = model
        self.size = len(model)

    def offset(self, at: int) -> int:
        """The position that the offset at `at` points to."""
        return at + self._number("<I", at)

    def scalar(self, table: int, field: int, form: str) -> int:
        """A field of a table, or 0, the schema's default for all fields that are read here."""
        at = self._field(table, field)
        return self._number(form, at) if at else 0

    def text(self, table: int, field: int) -> str:
        """A string, cut to LONG bytes."""
        at = self._field(table, field)
        if not at:
            return ""
        start = self.offset(at)
        length = self._number("<I", start)
        if length > self.size - start - 4:
            raise UnreadableLiteRT(f"the text at byte {start} ends beyond the file")
        return bytes(self._model[start + 4 : start + 4 + min(length, LONG)]).decode(
            errors="replace"
        )

    def table(self, table: int, field: int) -> int:
        """The position of the table in a field, 0 if it has none."""
        at = self._field(table, field)
        return self.offset(at) if at else 0

    def length(self, table: int, field: int, what: str, most: int, before: int = 0) -> int:
        """The number of a vector's items.

        Raises TooManyParts, which calls them `what`, if they are over `most` with those `before`.
        """
        at = self._field(table, field)
        length = self._number("<I", self.offset(at)) if at else 0
        if before + length > most:
            raise TooManyParts(f"it has at least {before + length:,} {what}; the limit is {most:,}")
        return length

    def tables(
        self, table: int, field: int, what: str, most: int, before: int = 0
    ) -> Iterator[int]:
        """The positions of the tables in a vector; limited as in `length`."""
        for item in self._items(table, field, self.length(table, field, what, most, before)):
            yield self.offset(item)

    def item(self, table: int, field: int, number: int) -> int:
        """The position of one table in a vector."""
        at = self._field(table, field)
        length = self._number("<I", self.offset(at)) if at else 0
        if number >= length:
            raise UnreadableLiteRT(f"a list has {length:,} items, and no number {number:,}")
        return self.offset(self.offset(at) + 4 + 4 * number)

    def numbers(self, table: int, field: int, what: str, most: int) -> Iterator[int]:
        """The items of a vector of int32; limited as in `length`."""
        for item in self._items(table, field, self.length(table, field, what, most)):
            yield self._number("<i", item)

    def _items(self, table: int, field: int, length: int) -> Iterator[int]:
        """The positions of a vector's items, each of four bytes."""
        if length:
            start = self.offset(self._field(table, field)) + 4
            yield from range(start, start + 4 * length, 4)

    def _field(self, table: int, field: int) -> int:
        """Where a table has a field, 0 if it does not."""
        layout = table - self._number("<i", table)
        entry = 4 + 2 * field
        if entry + 2 > self._number("<H", layout):
            return 0
        offset = self._number("<H", layout + entry)
        return table + offset if offset else 0

    def _number(self, form: str, at: int) -> int:
        if not 0 <= at <= self.size - struct.calcsize(form):
            raise UnreadableLiteRT(f"an offset leads to byte {at:,} of {self.size:,}")
        value: int = struct.unpack_from(form, self._model, at)[0]
        return value
