"""Reads the operators of a LiteRT file: a flatbuffer, in place and within its bounds.

Tables and fields are those of TensorFlow's schema (tensorflow/compiler/mlir/lite/schema.fbs);
offsets are flatbuffers' own (flatbuffers.dev, "Internals"). Weights are not read.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview | mmap.mmap

IDENTIFIER = b"TFL3"

MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS = 1, 2
CODE_DEPRECATED_BUILTIN, CODE_CUSTOM, CODE_BUILTIN = 0, 1, 3
SUBGRAPH_OPERATORS = 3
OPERATOR_CODE = 0

CUSTOM, DELEGATE, PLACEHOLDER, STABLEHLO_CUSTOM_CALL = 32, 51, 127, 173
FOREIGN = {DELEGATE: "DELEGATE", STABLEHLO_CUSTOM_CALL: "STABLEHLO_CUSTOM_CALL"}
"""Builtin numbers that stand for code from elsewhere, as CUSTOM does."""

BUILTINS = frozenset(range(210)) - {CUSTOM, PLACEHOLDER, *FOREIGN}
"""The numbers of LiteRT 2.3's own operators."""

MAX_CODES = 10_000
MAX_SUBGRAPHS = 1_000
MAX_OPERATORS = 100_000
"""Of all subgraphs; the largest networks of Keras have about 1,500."""

LONG = 400
"""Bytes of a custom operator's name that are read."""


class UnreadableLiteRT(Exception):
    """The bytes are not a LiteRT model, or exceed a limit."""


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


def operators(model: Buffer) -> Iterator[Operator]:
    """Every kind of operator in a model, in the order of its codes. Raises UnreadableLiteRT."""
    read = _Reader(model)
    if read.size < 8 or bytes(model[4:8]) != IDENTIFIER:
        raise UnreadableLiteRT(f"it does not begin as a LiteRT model, with {IDENTIFIER.decode()}")
    root = read.offset(0)
    codes = [*read.tables(root, MODEL_OPERATOR_CODES, MAX_CODES)]
    uses = _first_uses(read, root, len(codes))
    for number, code in enumerate(codes):
        builtin = max(
            read.scalar(code, CODE_DEPRECATED_BUILTIN, "<b"), read.scalar(code, CODE_BUILTIN, "<i")
        )
        custom = FOREIGN.get(builtin)
        if builtin == CUSTOM:
            custom = read.text(code, CODE_CUSTOM)
        yield Operator(number, builtin, custom, *uses.get(number, (None, 0)))


def _first_uses(read: "_Reader", root: int, codes: int) -> dict[int, tuple[int, int]]:
    uses: dict[int, tuple[int, int]] = {}
    left = MAX_OPERATORS
    for number, subgraph in enumerate(read.tables(root, MODEL_SUBGRAPHS, MAX_SUBGRAPHS)):
        for position, operator in enumerate(read.tables(subgraph, SUBGRAPH_OPERATORS, left)):
            left -= 1
            code = read.scalar(operator, OPERATOR_CODE, "<I")
            if code >= codes:
                raise UnreadableLiteRT(
                    f"operator {position} of subgraph {number} has the code {code} of {codes}"
                )
            uses.setdefault(code, (number, position))
    return uses


class _Reader:
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

    def tables(self, table: int, field: int, most: int) -> Iterator[int]:
        """The positions of the tables in a vector."""
        at = self._field(table, field)
        if not at:
            return
        start = self.offset(at)
        length = self._number("<I", start)
        if length > most:
            raise UnreadableLiteRT(f"the list at byte {start} has {length:,} items, over {most:,}")
        for number in range(length):
            yield self.offset(start + 4 + 4 * number)

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
