"""LiteRT files that get in and that do not; made with flatbuffers, as the converter makes them."""

import mmap
import resource
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact.graphs import op_policy
from facet.artifact.graphs.litert import (
    BUILTINS,
    CONTROL_FLOW,
    MAX_OPERATORS,
    MAX_SIGNATURES,
    MAX_SUBGRAPHS,
    MAX_TENSORS,
    Buffer,
    Operator,
    read,
)
from facet.errors import Violation

PLACE = "1/assets.extra/model.tflite"
CONV, CUSTOM, DELEGATE, STABLEHLO_CUSTOM_CALL = 3, 32, 51, 173
CALL, IF, WHILE, CALL_ONCE, COMPOSITE, CASE = 31, 118, 119, 129, 206, 209
Code = tuple[int, int, str | None]
"""An operator code: the old builtin number, the new one, and the custom name."""


Call = tuple[int, *tuple[int, ...]]
"""An operator that runs subgraphs: its position among the codes, and theirs among the subgraphs."""


def model(
    codes: Sequence[Code],
    subgraphs: Sequence[Sequence[int | Call]],
    signatures: int = 0,
    tensors: int = 0,
) -> bytes:
    """`subgraphs` list the operators of each, as positions among the codes; like lists are one.

    tensors: of each subgraph.
    """
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
    builtins = [max(old, new) for old, new, _ in codes]
    lists: dict[tuple[int | Call, ...], int] = {}
    tensor_list = _vector(build, [_table(build, {})] * tensors)
    for each in map(tuple, subgraphs):
        if each not in lists:
            lists[each] = _vector(build, [_operator(build, use, builtins) for use in each])
        graphs.append(_table(build, {0: tensor_list, 3: lists[each]}))
    graph_list = _vector(build, graphs)
    signature_list = _vector(build, [_table(build, {})] * signatures)
    build.StartObject(8)
    build.PrependUint32Slot(0, 3, 0)
    build.PrependUOffsetTRelativeSlot(1, code_list, 0)
    build.PrependUOffsetTRelativeSlot(2, graph_list, 0)
    build.PrependUOffsetTRelativeSlot(7, signature_list, 0)
    build.Finish(build.EndObject(), file_identifier=b"TFL3")
    return bytes(build.Output())


def _operator(build: Any, use: int | Call, builtins: Sequence[int]) -> int:
    code, *called = (use,) if isinstance(use, int) else use
    options = 0
    if called and builtins[code] == CASE:
        build.StartVector(4, len(called), 4)
        for branch in reversed(called):
            build.PrependInt32(branch)
        options = _table(build, {0: int(build.EndVector())})
    elif called:
        first = int(builtins[code] == COMPOSITE)
        build.StartObject(4)
        for field, subgraph in enumerate(called, start=first):
            build.PrependInt32Slot(field, subgraph, 0)
        options = int(build.EndObject())
    build.StartObject(14)
    build.PrependUint32Slot(0, code, 0)
    if options:
        build.PrependUOffsetTRelativeSlot(12 if builtins[code] >= 200 else 4, options, 0)
    return int(build.EndObject())


def _table(build: Any, fields: Mapping[int, int]) -> int:
    build.StartObject(5)
    for field, offset in fields.items():
        build.PrependUOffsetTRelativeSlot(field, offset, 0)
    return int(build.EndObject())


def _vector(build: Any, items: Sequence[int]) -> int:
    build.StartVector(4, len(items), 4)
    for item in reversed(items):
        build.PrependUOffsetTRelative(item)
    return int(build.EndVector())


def check(data: Buffer, *more: str) -> list[Violation]:
    return [*op_policy.check_litert(PLACE, data, frozenset(more))]


def codes_of(data: Buffer) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in check(data)]


def test_accepts_builtin_operators() -> None:
    data = model([(CONV, CONV, None), (127, 150, None), (0, 0, None)], [[0, 1], [2]])
    assert codes_of(data) == []
    assert read(data).operators == [
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
    (found,) = check(data)
    assert (found.code, found.place) == (violation, f"{PLACE}: subgraph 1, operator 2")
    assert said in found.problem
    assert len(found.problem) < 400


def test_an_operator_code_that_nothing_uses_counts_as_the_runtime_looks_for_it() -> None:
    data = model([(CUSTOM, CUSTOM, "Flex")], [[]])
    assert codes_of(data) == [("litert-custom-op", f"{PLACE}: operator code 0")]


def test_a_custom_name_beside_a_builtin_is_not_used() -> None:
    assert codes_of(model([(CONV, CONV, "FlexWriteFile")], [[0]])) == []


GOOD = model(
    [(CONV, CONV, None), (CUSTOM, CUSTOM, "Flex"), (127, 300, None), (WHILE, WHILE, None)],
    [[0, 1], [2], [(3, 0, 1)]],
    signatures=1,
    tensors=2,
)


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
        (
            model([(WHILE, WHILE, None)], [[(0, 1, 2)], []]),
            "operator 0 of subgraph 0 runs subgraph 2",
        ),
        (model([(127, COMPOSITE, None)], [[(0, -1)]]), "runs subgraph -1 of 1"),
    ],
    ids=["empty", "short", "other", "cut", "far", "zeros", "no-codes", "no-code", "call", "minus"],
)
def test_other_bytes_are_unreadable(data: bytes, problem: str) -> None:
    (found,) = check(data)
    assert (found.code, found.place) == ("litert-unreadable", PLACE)
    assert problem in found.problem


CONV_CODE: Code = (CONV, CONV, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (model([CONV_CODE], [[]] * (MAX_SUBGRAPHS + 1)), "257 subgraphs; the limit is 256"),
        (model([CONV_CODE], [[0] * 1_000] * 101), "101,000 operators; the limit is 100,000"),
        (model([CONV_CODE], [[0]], signatures=3_001), "3,001 signatures; the limit is 32"),
        (model([CONV_CODE], [[0]] * 21, tensors=10_000), "210,000 tensors; the limit is 200,000"),
    ],
    ids=["subgraphs", "operators", "signatures", "tensors"],
)
def test_lists_count_for_each_subgraph_that_has_them(data: bytes, problem: str) -> None:
    (found,) = check(data)
    assert (found.code, found.place) == ("litert-too-complex", PLACE)
    assert found.problem == f"it has at least {problem}"


def test_accepts_as_much_as_the_limits() -> None:
    most = MAX_OPERATORS // MAX_SUBGRAPHS
    each = MAX_TENSORS // MAX_SUBGRAPHS
    data = model([CONV_CODE], [[0] * most] * MAX_SUBGRAPHS, MAX_SIGNATURES, each)
    assert check(data) == []


@pytest.mark.parametrize(("builtin", "name"), CONTROL_FLOW.items())
def test_control_flow_is_rejected_unless_it_is_allowed_by_name(builtin: int, name: str) -> None:
    data = model([CONV_CODE, (min(builtin, 127), builtin, None)], [[0, (1, 1, 2)], [0], [0]])
    (found,) = check(data, "While", "CONV_2D")
    assert (found.code, found.place) == (
        "litert-control-flow",
        f"{PLACE}: subgraph 0, operator 1",
    )
    assert f"'{name}'" in found.problem
    assert f"MoreOps={name} " in found.remedy
    assert check(data, name) == []


def test_the_names_of_control_flow_are_those_of_litert() -> None:
    """Whatever has the number of a subgraph among its options, but what LiteRT computes itself."""
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="LiteRT is not installed"
    )
    numbers = vars(schema.BuiltinOperator)
    assert {number: name for name, number in numbers.items() if number in CONTROL_FLOW} == dict(
        CONTROL_FLOW
    )
    with_subgraphs = {
        name.removesuffix("OptionsT").replace("StableHLO", "Stablehlo")
        for name, options in vars(schema).items()
        if name.endswith("OptionsT") and any("ubgraph" in field for field in vars(options()))
    }
    computed = {"StablehloReduce", "StablehloReduceWindow", "StablehloScatter", "StablehloSort"}
    called = {each.replace("_", "").lower() for each in CONTROL_FLOW.values()}
    assert {each.lower() for each in with_subgraphs - computed - {"StablehloComposite"}} == called


@pytest.mark.parametrize(
    ("builtin", "name", "subgraphs", "circle"),
    [
        (WHILE, "WHILE", [[(0, 1, 2)], [], [(0, 1, 2)]], "2 → 2"),
        (WHILE, "WHILE", [[(0, 0, 1)], []], "0 → 0"),
        (CALL, "CALL", [[(0, 1)], [(0, 2)], [(0, 0)]], "0 → 2 → 1 → 0"),
        (COMPOSITE, "", [[(0, 1)], [(0, 1)]], "1 → 1"),
        (CASE, "STABLEHLO_CASE", [[(0, 1, 2)], [], [(0, 1, 0)]], "0 → 2 → 0"),
    ],
)
def test_recursion_is_rejected_even_if_its_operator_is_allowed(
    builtin: int, name: str, subgraphs: Sequence[Sequence[Call]], circle: str
) -> None:
    (found,) = check(model([(min(builtin, 127), builtin, None)], subgraphs), name)
    assert (found.code, found.place) == ("litert-recursion", PLACE)
    assert found.problem == f"subgraphs run each other in a circle: {circle}"


def test_composites_are_accepted_unless_they_multiply() -> None:
    """Each subgraph has ten times the next one; the runtime copies them into each other."""
    codes: list[Code] = [CONV_CODE, (127, COMPOSITE, None)]
    few = [[(1, number + 1)] * 10 for number in range(4)] + [[0]]
    assert check(model(codes, few)) == []
    many = [[(1, number + 1)] * 10 for number in range(5)] + [[0]]
    (found,) = check(model(codes, many))
    assert found.code == "litert-too-complex"
    assert found.problem == "subgraph 0, with those that it runs, has over 100,000 operators"


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


@pytest.mark.parametrize("name", ["backbone", "cifar", "sign-language"])
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
    ours = read(data).operators
    assert [each.builtin for each in ours] == [
        max(each.DeprecatedBuiltinCode(), each.BuiltinCode()) for each in codes
    ]
    graphs = [theirs.Subgraphs(at) for at in range(theirs.SubgraphsLength())]
    places: dict[int, tuple[int, int]] = {}
    for number, graph in enumerate(graphs):
        for at in range(graph.OperatorsLength()):
            places.setdefault(graph.Operators(at).OpcodeIndex(), (number, at))
    assert {each.code: (each.subgraph, each.position) for each in ours} == places
    assert check(data) == []


def test_the_builtins_are_those_of_litert() -> None:
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="LiteRT is not installed"
    )
    theirs = {
        value for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
    }
    assert theirs - BUILTINS == {CUSTOM, DELEGATE, 127, STABLEHLO_CUSTOM_CALL}
    assert not BUILTINS - theirs


CODES = {
    "litert-unreadable",
    "litert-custom-op",
    "litert-unknown-op",
    "litert-control-flow",
    "litert-recursion",
    "litert-too-complex",
}


@given(st.binary(max_size=400))
def test_any_bytes_are_screened_or_unreadable(data: bytes) -> None:
    for each in (data, b"\x08\0\0\0TFL3" + data):
        assert {found.code for found in check(each)} <= CODES


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
    assert {found.code for found in check(bytes(data[:length]))} <= CODES
