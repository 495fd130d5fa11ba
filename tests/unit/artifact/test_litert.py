"""LiteRT files that get in and that do not; made with flatbuffers, as the converter makes them."""

import mmap
import resource
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact.graphs import op_policy
from facet.artifact.graphs.litert import BUILTINS, Buffer, Operator, operators

PLACE = "1/assets.extra/model.tflite"
CONV, CUSTOM, DELEGATE, STABLEHLO_CUSTOM_CALL = 3, 32, 51, 173
Code = tuple[int, int, str | None]
"""An operator code: the old builtin number, the new one, and the custom name."""


def model(codes: Sequence[Code], subgraphs: Sequence[Sequence[int]]) -> bytes:
    """`subgraphs` list the operators of each, as positions among the codes; like lists are one."""
    flatbuffers = pytest.importorskip("flatbuffers", reason="flatbuffers is not installed")
    build = flatbuffers.Builder(1024)
    names = [build.CreateString(name) if name is not None else None for _, _, name in codes]
    tables = []
    for (old, new, _), name in zip(codes, names, strict=True):
        build.StartObject(4)
        build.PrependInt8Slot(0, old, 0)
        if name is not None:
            build.PrependUOffsetTRelativeSlot(1, name, 0)
        build.PrependInt32Slot(3, new, 0)
        tables.append(build.EndObject())
    code_list = _vector(build, tables)
    graphs = []
    lists: dict[tuple[int, ...], int] = {}
    for each in map(tuple, subgraphs):
        if each not in lists:
            lists[each] = _vector(build, [_operator(build, code) for code in each])
        build.StartObject(5)
        build.PrependUOffsetTRelativeSlot(3, lists[each], 0)
        graphs.append(build.EndObject())
    graph_list = _vector(build, graphs)
    build.StartObject(5)
    build.PrependUint32Slot(0, 3, 0)
    build.PrependUOffsetTRelativeSlot(1, code_list, 0)
    build.PrependUOffsetTRelativeSlot(2, graph_list, 0)
    build.Finish(build.EndObject(), file_identifier=b"TFL3")
    return bytes(build.Output())


def _operator(build: Any, code: int) -> int:
    build.StartObject(9)
    build.PrependUint32Slot(0, code, 0)
    return int(build.EndObject())


def _vector(build: Any, items: Sequence[int]) -> int:
    build.StartVector(4, len(items), 4)
    for item in reversed(items):
        build.PrependUOffsetTRelative(item)
    return int(build.EndVector())


def codes_of(data: Buffer) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in op_policy.check_litert(PLACE, data)]


def test_accepts_builtin_operators() -> None:
    data = model([(CONV, CONV, None), (127, 150, None), (0, 0, None)], [[0, 1], [2]])
    assert codes_of(data) == []
    assert list(operators(data)) == [
        Operator(0, CONV, None, 0, 0),
        Operator(1, 150, None, 0, 1),
        Operator(2, 0, None, 1, 0),
    ]


@pytest.mark.parametrize(
    ("code", "violation", "said"),
    [
        ((CUSTOM, CUSTOM, "TFLite_Detection_PostProcess"), "litert-custom-op", "PostProcess"),
        ((CUSTOM, 0, "FlexWriteFile"), "litert-custom-op", "FlexWriteFile"),
        ((0, CUSTOM, "FlexWriteFile"), "litert-custom-op", "FlexWriteFile"),
        ((CUSTOM, CUSTOM, None), "litert-custom-op", "''"),
        ((CUSTOM, CUSTOM, "x" * 10_000), "litert-custom-op", "xxx…"),
        ((DELEGATE, DELEGATE, None), "litert-custom-op", "DELEGATE"),
        ((127, STABLEHLO_CUSTOM_CALL, None), "litert-custom-op", "STABLEHLO_CUSTOM_CALL"),
        ((127, 210, None), "litert-unknown-op", "210"),
        ((127, 2_000_000_000, None), "litert-unknown-op", "2000000000"),
        ((127, 0, None), "litert-unknown-op", "127"),
        ((-1, -5, None), "litert-unknown-op", "-1"),
    ],
)
def test_rejects_custom_code(code: Code, violation: str, said: str) -> None:
    data = model([(CONV, CONV, None), code], [[0], [0, 0, 1, 1]])
    (found,) = op_policy.check_litert(PLACE, data)
    assert (found.code, found.place) == (violation, f"{PLACE}: subgraph 1, operator 2")
    assert said in found.problem
    assert len(found.problem) < 400


def test_an_operator_code_that_nothing_uses_counts_as_the_runtime_looks_for_it() -> None:
    data = model([(CUSTOM, CUSTOM, "Flex")], [[]])
    assert codes_of(data) == [("litert-custom-op", f"{PLACE}: operator code 0")]


def test_a_custom_name_beside_a_builtin_is_not_used() -> None:
    assert codes_of(model([(CONV, CONV, "FlexWriteFile")], [[0]])) == []


GOOD = model([(CONV, CONV, None), (CUSTOM, CUSTOM, "Flex"), (127, 300, None)], [[0, 1], [2]])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "TFL3"),
        (b"TFL3", "TFL3"),
        (b"\x1c\0\0\0TFL2" + GOOD[8:], "TFL3"),
        (GOOD[:40], "leads to byte"),
        (b"\xff\xff\xff\xffTFL3" + GOOD[8:], "leads to byte"),
        (b"\x04\0\0\0TFL3" + bytes(20), "leads to byte"),
        (model([], [[0]]), "code 0 of 0"),
        (model([(CONV, CONV, None)], [[0], [7]]), "operator 0 of subgraph 1 has the code 7 of 1"),
        (model([(CONV, CONV, None)], [[]] * 1_001), "1,001 items, over 1,000"),
    ],
    ids=["empty", "short", "other", "cut", "far", "zeros", "no-codes", "no-code", "many"],
)
def test_other_bytes_are_unreadable(data: bytes, problem: str) -> None:
    (found,) = op_policy.check_litert(PLACE, data)
    assert (found.code, found.place) == ("litert-unreadable", PLACE)
    assert problem in found.problem


def test_lists_that_subgraphs_share_count_for_each() -> None:
    data = model([(CONV, CONV, None)], [[0] * 1_000] * 101)
    (found,) = op_policy.check_litert(PLACE, data)
    assert found.code == "litert-unreadable"
    assert "1,000 items, over 0" in found.problem


def test_a_mapped_file_is_read_in_place(tmp_path: Path) -> None:
    """Of 300 MB, as weights make them, a few pages are touched; the file is a sparse one."""
    file = tmp_path / "model.tflite"
    file.write_bytes(model([(CUSTOM, CUSTOM, "Flex")], [[0]]))
    with file.open("r+b") as opened:
        opened.truncate(300_000_000)
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            found = codes_of(data)
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert found == [("litert-custom-op", f"{PLACE}: subgraph 0, operator 0")]
    assert faults < 1_000


@pytest.mark.parametrize("name", ["cifar", "sign-language"])
def test_our_samples_have_the_operators_that_litert_sees(name: str) -> None:
    """`schema_py_generated` is what LiteRT's own tools read models with."""
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="LiteRT is not installed"
    )
    with tarfile.open(Path(__file__).parents[3] / "samples" / f"{name}.tar.gz") as tar:
        member = tar.extractfile("1/assets.extra/model.tflite")
        assert member
        data = member.read()
    theirs = schema.Model.GetRootAs(data, 0)
    codes = [theirs.OperatorCodes(at) for at in range(theirs.OperatorCodesLength())]
    ours = list(operators(data))
    assert [each.builtin for each in ours] == [
        max(each.DeprecatedBuiltinCode(), each.BuiltinCode()) for each in codes
    ]
    first = theirs.Subgraphs(0)
    used = [first.Operators(at).OpcodeIndex() for at in range(first.OperatorsLength())]
    assert [each.position for each in ours] == [used.index(each.code) for each in ours]
    assert list(op_policy.check_litert(PLACE, data)) == []


def test_the_builtins_are_those_of_litert() -> None:
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="LiteRT is not installed"
    )
    theirs = {
        value for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
    }
    assert theirs - BUILTINS == {CUSTOM, DELEGATE, 127, STABLEHLO_CUSTOM_CALL}
    assert not BUILTINS - theirs


CODES = {"litert-unreadable", "litert-custom-op", "litert-unknown-op"}


@given(st.binary(max_size=400))
def test_any_bytes_are_screened_or_unreadable(data: bytes) -> None:
    for each in (data, b"\x08\0\0\0TFL3" + data):
        assert {found.code for found in op_policy.check_litert(PLACE, each)} <= CODES


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(8, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, len(GOOD)),
)
def test_damaged_models_are_screened_or_unreadable(
    damages: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(GOOD)
    for at, value in damages:
        data[at] = value
    assert {found.code for found in op_policy.check_litert(PLACE, bytes(data[:length]))} <= CODES
