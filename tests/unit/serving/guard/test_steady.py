"""Which models take about as long for all inputs of a size."""

from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator, ModelT, OperatorCodeT

from serving.guard.steady import STEADY, is_steady

CONV, FILL, WHILE = BuiltinOperator.CONV_2D, BuiltinOperator.FILL, BuiltinOperator.WHILE
GELU, COMPOSITE = BuiltinOperator.GELU, BuiltinOperator.STABLEHLO_COMPOSITE


def written(folder: Path, content: bytes) -> Path:
    file = folder / "model.tflite"
    file.write_bytes(content)
    return file


def model(*builtins: int) -> bytes:
    described = ModelT()
    described.version = 3
    described.operatorCodes = []
    for builtin in builtins:
        code = OperatorCodeT()
        code.deprecatedBuiltinCode, code.builtinCode = min(builtin, 127), builtin
        described.operatorCodes.append(code)
    builder = flatbuffers.Builder(1024)
    builder.Finish(described.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("builtins", "steady"),
    [
        ((CONV,), True),
        ((0, CONV, GELU), True),
        ((CONV, WHILE), False),
        ((CONV, FILL, 0), False),
        ((COMPOSITE,), False),
        ((BuiltinOperator.CUSTOM,), False),
    ],
)
def test_loops_and_sizes_from_the_input_are_not_steady(
    tmp_path: Path, builtins: tuple[int, ...], steady: bool
) -> None:
    assert is_steady(written(tmp_path, model(*builtins))) is steady


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\xff" * 100, model(CONV)[:20]])
def test_a_file_that_cannot_be_read_is_not_steady(tmp_path: Path, content: bytes) -> None:
    assert not is_steady(written(tmp_path, content))
    assert not is_steady(tmp_path / "nothing")


def test_the_numbers_are_those_of_the_schema() -> None:
    assert {number: getattr(BuiltinOperator, name) for number, name in STEADY.items()} == {
        number: number for number in STEADY
    }
