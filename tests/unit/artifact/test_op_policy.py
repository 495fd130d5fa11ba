"""Graphs that get in and graphs that do not, each with what is said about it."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact.graphs import graph as graphs
from facet.artifact.graphs import op_policy, saved_model
from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.ops import ALLOWED, SAVE_RESTORE
from facet.errors import Violation
from tests.support.processes.waiting import LONG

ROOT = Path(__file__).parents[3]
PLACE = "1/saved_model.pb"
FORBIDDEN, REACHABLE, FOREIGN = "forbidden-op", "reachable-save-restore", "foreign-variables"
Node = pb.NodeDef


def screened(place: str, data: bytes, more: frozenset[str]) -> Iterator[Violation]:
    return op_policy.check_saved_model(place, graphs.read(data), more)


def node(
    name: str,
    op: str = "Identity",
    *inputs: str,
    f: str = "",
    branches: Iterable[str] = (),
) -> Node:
    made = Node(name=name, op=op, input=inputs)
    if f:
        made.attr["f"].func.name = f
    if branches:
        made.attr["branches"].list.func.extend(pb.NameAttrList(name=each) for each in branches)
    return made


def function(name: str, *nodes: Node, arguments: Iterable[str] = (), like: str = "") -> bytes:
    made = pb.FunctionDef(signature=pb.OpDef(name=name), node_def=nodes)
    made.signature.input_arg.extend(pb.OpDef.ArgDef(name=each) for each in arguments)
    if like:
        made.attr["api_implements"].s = like.encode()
    return made.SerializeToString()


def meta_graph(
    *nodes: Node,
    functions: Iterable[bytes] = (),
    outputs: Mapping[str, str] | None = None,
    saver: tuple[str, str, str] = ("", "", ""),
    collections: Mapping[str, list[str]] | None = None,
    objects: Iterable[str] = (),
    tags: Iterable[str] = ("serve",),
) -> pb.MetaGraphDef:
    """`outputs` maps a signature's name to its output's tensor."""
    made = pb.MetaGraphDef(saver_def=pb.SaverDef())
    made.meta_info_def.tags.extend(tags)
    made.graph_def.node.extend([*nodes, node("x", "Placeholder"), node("scores", "Softmax", "x")])
    made.graph_def.library.function.extend(pb.FunctionDef.FromString(each) for each in functions)
    for name, tensor in (outputs or {"serving_default": "scores:0"}).items():
        made.signature_def[name].outputs["scores"].name = tensor
    given = made.saver_def
    given.filename_tensor_name, given.save_tensor_name, given.restore_op_name = saver
    for name, values in (collections or {}).items():
        made.collection_def[name].node_list.value.extend(values)
    for name in objects:
        made.object_graph_def.concrete_functions[name].SetInParent()
    return made


def model_bytes(*made: pb.MetaGraphDef) -> bytes:
    return pb.SavedModel(meta_graphs=made).SerializeToString()


SAVE = node("save", "SaveV2", "prefix")
SAVES = function("saves", node("write", "SaveV2", "prefix:output:0"))
CALLS = function("calls", node("call", "PartitionedCall", f="saves"))
OUT = {"serving_default": "out:0"}
SAVER = ("name:0", "save", "restore")
NAME = node("name", "Placeholder")
READS = function("reads", node("read", "RestoreV2", "prefix"), arguments=["prefix"])

LETS_IN = {
    "a network": meta_graph(),
    "TensorFlow 1's saver": meta_graph(
        NAME,
        SAVE,
        node("read", "RestoreV2", "name", "names"),
        node("assign", "Assign", "w", "read"),
        node("restore", "NoOp", "^assign"),
        saver=SAVER,
    ),
    "its newer saver, whose file name passes through placeholders": meta_graph(
        node("given", "Const"),
        node("name", "PlaceholderWithDefault", "given"),
        node("passed", "Identity", "name:0"),
        node("restore", "RestoreV2", "passed:0"),
        saver=SAVER,
    ),
    "TensorFlow 2's saver": meta_graph(
        NAME,
        node("save", "StatefulPartitionedCall", "name", f="saves"),
        node("restore", "StatefulPartitionedCall", "name:0", f="reads"),
        functions=[SAVES, READS],
        saver=SAVER,
    ),
    "a function as an op": meta_graph(
        node("out", "mine", "x"), functions=[function("mine", node("n", "Relu"))], outputs=OUT
    ),
    "a function that calls itself": meta_graph(
        node("out", "PartitionedCall", f="loop"),
        functions=[function("loop", node("again", "StatefulPartitionedCall", f="loop"))],
        outputs=OUT,
    ),
    "functions that call each other": meta_graph(
        node("out", "If", f="left", branches=["right"]),
        functions=[
            function("left", node("n", "While", f="right")),
            function("right", node("n", "left")),
        ],
        outputs=OUT,
    ),
    "a loop of TensorFlow 1": meta_graph(
        node("enter", "Enter", "x"),
        node("merge", "Merge", "enter", "next"),
        node("out", "Switch", "merge", "merge"),
        node("next", "NextIteration", "out:1"),
        outputs=OUT,
    ),
    "an input that is not there": meta_graph(node("out", "Relu", "gone"), outputs=OUT),
}


@pytest.mark.parametrize("made", LETS_IN.values(), ids=LETS_IN)
def test_accepts_what_a_classifier_needs(made: pb.MetaGraphDef) -> None:
    assert list(screened(PLACE, model_bytes(made), frozenset())) == []


REFUSED: dict[str, tuple[pb.MetaGraphDef, set[tuple[str, str]]]] = {
    **{
        f"the op {op}": (meta_graph(node("bad", op)), {(FORBIDDEN, "node bad")})
        for op in (
            "ReadFile",
            "WriteFile",
            "MatchingFiles",
            "WholeFileReaderV2",
            "PyFunc",
            "EagerPyFunc",
            "ImmutableConst",
            "PrintV2",
            "DebugIdentityV2",
            "InitializeTableFromTextFileV2",
            "LoadAndRemapMatrix",
            "XlaCustomCallV2",
            "XlaCallModule",
            "RpcCall",
            "Abort",
            "QueueDequeueV2",
            "TensorDataset",
            "ParseTensor",
            "NoSuchOp",
            "",
            "writefile",
        )
    },
    "WriteFile in a function of a dataset in a function": (
        meta_graph(
            node("out", "PartitionedCall", f="outer"),
            functions=[
                function("outer", node("map", "MapDataset", f="inner")),
                function("inner", node("write", "WriteFile")),
            ],
            outputs=OUT,
        ),
        {(FORBIDDEN, "function outer, node map"), (FORBIDDEN, "function inner, node write")},
    ),
    "an op in a function that nobody calls": (
        meta_graph(functions=[function("idle", node("bad", "ReadFile"))]),
        {(FORBIDDEN, "function idle, node bad")},
    ),
    "one op often: said once for the graph, and for the function": (
        meta_graph(
            node("a", "ReadFile"),
            node("b", "ReadFile"),
            functions=[function("f", node("c", "ReadFile"), node("d", "ReadFile"))],
        ),
        {(FORBIDDEN, "node a"), (FORBIDDEN, "function f, node c")},
    ),
    "a function named like an op that is allowed": (
        meta_graph(
            node("out", "Relu", "x"),
            functions=[SAVES, function("Relu", node("s", "saves"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 as an output": (
        meta_graph(SAVE, outputs={"serving_default": "save:0"}),
        {(REACHABLE, "node save")},
    ),
    "SaveV2 behind a second signature": (
        meta_graph(SAVE, outputs={"serving_default": "scores:0", "other": "save"}),
        {(REACHABLE, "node save")},
    ),
    "SaveV2 far behind an output": (
        meta_graph(
            SAVE, node("a", "Identity", "save:0"), node("out", "Pack", "x", "a"), outputs=OUT
        ),
        {(REACHABLE, "node save")},
    ),
    "SaveV2 by a control input": (
        meta_graph(SAVE, node("out", "Identity", "x", "^save"), outputs=OUT),
        {(REACHABLE, "node save")},
    ),
    "SaveV2 in a called function": (
        meta_graph(node("out", "PartitionedCall", f="saves"), functions=[SAVES], outputs=OUT),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a function of a function": (
        meta_graph(
            node("out", "PartitionedCall", f="calls"), functions=[SAVES, CALLS], outputs=OUT
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a branch": (
        meta_graph(
            Node(
                name="out",
                op="If",
                attr={
                    "then_branch": pb.AttrValue(func=pb.NameAttrList(name="fine")),
                    "else_branch": pb.AttrValue(func=pb.NameAttrList(name="saves")),
                },
            ),
            functions=[SAVES, function("fine", node("n", "Relu"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in the body of a loop": (
        meta_graph(
            Node(
                name="out",
                op="While",
                attr={
                    "cond": pb.AttrValue(func=pb.NameAttrList(name="fine")),
                    "body": pb.AttrValue(func=pb.NameAttrList(name="saves")),
                },
            ),
            functions=[SAVES, function("fine", node("n", "Less"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in one of the branches of a list": (
        meta_graph(
            node("out", "Case", branches=["fine", "saves"]),
            functions=[SAVES, function("fine", node("n", "Relu"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a function given to a function": (
        meta_graph(
            Node(
                name="out",
                op="PartitionedCall",
                attr={
                    "f": pb.AttrValue(
                        func=pb.NameAttrList(
                            name="fine",
                            attr={"then": pb.AttrValue(func=pb.NameAttrList(name="saves"))},
                        )
                    )
                },
            ),
            functions=[SAVES, function("fine", node("n", "Relu"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a function called as an op": (
        meta_graph(node("out", "saves", "x"), functions=[SAVES], outputs=OUT),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a function called as an op by a function": (
        meta_graph(
            node("out", "outer"),
            functions=[SAVES, function("outer", node("n", "saves"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 in a function that the optimiser may put in its place": (
        meta_graph(
            node("out", "PartitionedCall", f="fine"),
            functions=[
                function("fine", node("n", "Relu"), like="lstm"),
                function("other", node("write", "SaveV2"), like="lstm"),
            ],
            outputs=OUT,
        ),
        {(REACHABLE, "function other, node write")},
    ),
    "SaveV2 in a function that calls itself": (
        meta_graph(
            node("out", "PartitionedCall", f="loop"),
            functions=[function("loop", node("again", "loop"), node("write", "SaveV2"))],
            outputs=OUT,
        ),
        {(REACHABLE, "function loop, node write")},
    ),
    "SaveV2 in a function that tf.saved_model.load would offer": (
        meta_graph(functions=[SAVES], objects=["saves"]),
        {(REACHABLE, "function saves, node write")},
    ),
    "SaveV2 from the initialiser of TensorFlow 2": (
        meta_graph(SAVE, outputs={"__saved_model_init_op": "save"}),
        {(REACHABLE, "node save")},
    ),
    **{
        f"RestoreV2 from the collection {name}": (
            meta_graph(
                node("read", "RestoreV2", "name"),
                node("init", "NoOp", "^read"),
                collections={name: ["init"]},
            ),
            {(REACHABLE, "node read")},
        )
        for name in ("saved_model_main_op", "legacy_init_op", "table_initializer")
    },
    "MergeV2Checkpoints, which deletes folders, in an output": (
        meta_graph(node("out", "MergeV2Checkpoints"), outputs=OUT),
        {(REACHABLE, "node out")},
    ),
    "SaveV2 from what restores": (
        meta_graph(NAME, SAVE, node("restore", "NoOp", "^save"), saver=SAVER),
        {(REACHABLE, "node save")},
    ),
    "RestoreV2 from a path of its own": (
        meta_graph(
            NAME,
            node("path", "Const"),
            node("read", "RestoreV2", "path", "name"),
            node("restore", "NoOp", "^read"),
            saver=SAVER,
        ),
        {(FOREIGN, "node read")},
    ),
    "RestoreV2 in a function, from a path of its own": (
        meta_graph(
            NAME,
            node("restore", "PartitionedCall", "name", f="reads"),
            functions=[
                function("reads", node("path", "Const"), node("read", "RestoreV2", "path:output:0"))
            ],
            saver=SAVER,
        ),
        {(FOREIGN, "function reads, node read")},
    ),
    "RestoreV2 in a function, from a path that the graph makes": (
        meta_graph(
            NAME,
            node("path", "Const"),
            node("restore", "PartitionedCall", "path", "name", f="reads"),
            functions=[READS],
            saver=SAVER,
        ),
        {(FOREIGN, "function reads, node read")},
    ),
    "RestoreV2 in a function, called well and badly": (
        meta_graph(
            NAME,
            node("path", "Const"),
            node("bad", "PartitionedCall", "path", f="reads"),
            node("restore", "PartitionedCall", "name", "^bad", f="reads"),
            functions=[READS],
            saver=SAVER,
        ),
        {(FOREIGN, "function reads, node read")},
    ),
    "RestoreV2 in a function of a function": (
        meta_graph(
            NAME,
            node("restore", "outer", "name"),
            functions=[READS, function("outer", node("path", "Const"), node("n", "reads", "path"))],
            saver=SAVER,
        ),
        {(FOREIGN, "function reads, node read")},
    ),
    "RestoreV2 without a path": (
        meta_graph(node("restore", "RestoreV2"), saver=SAVER),
        {(FOREIGN, "node restore")},
    ),
}


@pytest.mark.parametrize(("made", "expected"), REFUSED.values(), ids=REFUSED)
def test_rejects_what_no_classifier_needs(
    made: pb.MetaGraphDef, expected: set[tuple[str, str]]
) -> None:
    found = list(screened(PLACE, model_bytes(made), frozenset()))
    assert {(each.code, each.place) for each in found} == {
        (code, f"{PLACE}: {place}") for code, place in expected
    }
    assert len(found) == len(expected)


def test_every_meta_graph_counts() -> None:
    hidden = meta_graph(node("bad", "WriteFile"), tags=["train", "gpu"])
    (found,) = screened(PLACE, model_bytes(meta_graph(), hidden), frozenset())
    assert found.place == f"{PLACE}: meta graph 'train,gpu', node bad"


def test_a_violation_names_the_op_and_what_to_do() -> None:
    (found,) = screened(PLACE, model_bytes(meta_graph(node("n", "ReadFile"))), frozenset())
    assert "'ReadFile'" in found.problem
    assert "export" in found.remedy
    assert "MoreOps=ReadFile" in found.remedy
    assert "FACET_MORE_OPS" in found.remedy


@pytest.mark.parametrize(
    ("more", "left"), [({"ReadFile"}, {"PyFunc"}), ({"ReadFile", "PyFunc"}, set())]
)
def test_an_operator_widens_the_list(more: set[str], left: set[str]) -> None:
    made = model_bytes(meta_graph(node("a", "ReadFile"), node("b", "PyFunc")))
    found = list(screened(PLACE, made, frozenset(more)))
    assert {each.problem.split("'")[1] for each in found} == left


def test_an_operator_may_let_a_signature_restore() -> None:
    made = model_bytes(meta_graph(SAVE, node("r", "RestoreV2"), outputs={"a": "r", "b": "save"}))
    found = list(screened(PLACE, made, frozenset({"RestoreV2"})))
    assert [each.place for each in found] == [f"{PLACE}: node save"]


def test_composite_outputs_count() -> None:
    made = meta_graph(SAVE, node("read", "RestoreV2"))
    outputs = made.signature_def["serving_default"].outputs
    outputs["sparse"].coo_sparse.indices_tensor_name = "save:0"
    outputs["ragged"].composite_tensor.components.add().name = "read:0"
    places = {each.place for each in screened(PLACE, model_bytes(made), frozenset())}
    assert places == {f"{PLACE}: node save", f"{PLACE}: node read"}


def test_parts_of_a_graph_in_several_pieces_count_together() -> None:
    """Protobuf merges a message that comes twice; a reader that takes one of both is blind."""
    both = meta_graph(SAVE, node("out", "Identity", "^save"), outputs=OUT)
    first, second = pb.MetaGraphDef(), pb.MetaGraphDef()
    first.graph_def.node.append(both.graph_def.node[0])
    second.CopyFrom(both)
    del second.graph_def.node[0]
    pieces = first.SerializeToString() + second.SerializeToString()
    data = pb.SavedModel().SerializeToString() + b"\x12" + _varint(len(pieces)) + pieces
    assert [each.code for each in screened(PLACE, data, frozenset())] == [REACHABLE]


def test_a_function_behind_another_attribute_value_counts() -> None:
    """TensorFlow takes the last of a oneof's values; we take each."""
    call = pb.AttrValue(func=pb.NameAttrList(name="saves"))
    made = meta_graph(node("out", "PartitionedCall"), functions=[SAVES], outputs=OUT)
    made.graph_def.node[0].attr["f"].MergeFromString(
        call.SerializeToString() + pb.AttrValue(s=b"text").SerializeToString()
    )
    found = screened(PLACE, model_bytes(made), frozenset())
    assert [each.code for each in found] == [REACHABLE]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a text file", "wire type"),
        (b"\xff" * 40, "does not end"),
        (model_bytes(meta_graph())[:-1], "ends beyond"),
        (b"\x0b" * 5_000, "wire type 3"),
        (b"\x12\x02\x12\x00" * 100, "over 16 meta graphs"),
        (b"\x12" + b"\x84\x80\x80\x04", "ends beyond"),
        (b"\x00\x00", "field 0"),
    ],
    ids=["text", "ff", "cut", "groups", "graphs", "long", "zero"],
)
def test_other_bytes_are_unreadable(data: bytes, problem: str) -> None:
    (found,) = screened(PLACE, data, frozenset())
    assert (found.code, found.place) == ("saved-model-unreadable", PLACE)
    assert problem in found.problem


def test_text_that_is_not_utf_8_is_unreadable() -> None:
    bad = model_bytes(meta_graph(node("bad-name", "Relu"))).replace(b"bad-name", b"bad\xff\xfename")
    assert [each.code for each in screened(PLACE, bad, frozenset())] == ["saved-model-unreadable"]


def test_attributes_nested_too_deep_are_unreadable() -> None:
    inner = pb.AttrValue(func=pb.NameAttrList(name="saves")).SerializeToString()
    for _ in range(500):
        entry = b"\x0a\x01a\x12" + _varint(len(inner)) + inner
        named = b"\x12" + _varint(len(entry)) + entry
        inner = b"\x52" + _varint(len(named)) + named
    entry = b"\x0a\x01f\x12" + _varint(len(inner)) + inner
    body = b"\x2a" + _varint(len(entry)) + entry
    data = b"\x0a" + _varint(len(body)) + body
    for field in (b"\x12", b"\x12"):
        data = field + _varint(len(data)) + data
    (found,) = screened(PLACE, data, frozenset())
    assert "nested" in found.problem


FULL = node("full", "AddN", *[""] * (graphs.MAX_NAMES - 10))


@pytest.mark.parametrize(
    "made",
    [
        meta_graph(FULL, *(node("") for _ in range(10))),
        meta_graph(FULL, functions=[function("")] * 3),
        meta_graph(FULL, functions=[function("", *(node("", f"Op{at}") for at in range(20)))]),
        meta_graph(FULL, node("calls", branches=["f"] * 20)),
        meta_graph(FULL, functions=[function("", arguments=["a"] * 20)]),
    ],
    ids=["nodes", "functions", "ops", "calls", "arguments"],
)
def test_more_names_than_fit_are_unreadable(made: pb.MetaGraphDef) -> None:
    """Two bytes each in the file, and up to a thousand in memory."""
    (found,) = screened(PLACE, model_bytes(made), frozenset())
    assert found.code == "saved-model-unreadable"
    assert "names" in found.problem


def test_as_many_names_as_fit_are_read() -> None:
    assert list(screened(PLACE, model_bytes(meta_graph(FULL)), frozenset())) == []


@pytest.mark.parametrize(
    ("field", "item", "count"),
    [(b"\x12", b"\x2a\x00", saved_model.MAX_FIELDS), (b"", b"\x08\x00", graphs.MAX_FIELDS)],
    ids=["signatures", "fields"],
)
def test_a_flood_of_fields_is_unreadable(field: bytes, item: bytes, count: int) -> None:
    data = item * (count + 1)
    (found,) = screened(PLACE, field + _varint(len(data)) + data if field else data, frozenset())
    assert found.code == "saved-model-unreadable"
    assert "fields" in found.problem


def test_a_report_is_bounded() -> None:
    made = meta_graph(*(node(f"n{number}", f"Op{number}" * 100) for number in range(300)))
    found = list(screened(PLACE, model_bytes(made), frozenset()))
    assert len(found) == op_policy.MAX_VIOLATIONS
    assert max(len(each.problem) for each in found) < 400


def test_ten_thousand_nodes_and_functions_take_linear_time() -> None:
    """A chain, which recursion would not survive, of functions that all call all before."""
    nodes = [node("n0", "Placeholder")]
    nodes += [node(f"n{at}", "AddV2", f"n{at - 1}", f"n{at - 1}") for at in range(1, 10_000)]
    functions = [function("f0", node("w", "SaveV2"))]
    functions += [
        function(f"f{at}", node("c", f"f{at - 1}"), like="same") for at in range(1, 2_000)
    ]
    nodes.append(node("out", "f1999", "n9999"))
    found = list(
        screened(
            PLACE, model_bytes(meta_graph(*nodes, functions=functions, outputs=OUT)), frozenset()
        )
    )
    assert [each.place for each in found] == [f"{PLACE}: function f0, node w"]


def test_constants_are_ignored() -> None:
    """An attribute's tensor is field 8; the graph's other fields are not ours either."""
    made = meta_graph(node("weights", "Const"))
    made.graph_def.node[0].attr["value"].MergeFromString(b"\x42\x80\x80\x40" + bytes(1 << 20))
    assert list(screened(PLACE, model_bytes(made), frozenset())) == []


def test_the_savers_ops_are_in_no_group() -> None:
    assert not ALLOWED & SAVE_RESTORE


@pytest.mark.parametrize("name", ["backbone", "cifar", "sign-language"])
def test_accepts_the_samples(name: str) -> None:
    with tarfile.open(ROOT / "samples" / f"{name}.tar.gz") as tar:
        graph = tar.extractfile("1/saved_model.pb")
        lite = tar.extractfile("1/assets.extra/model.tflite")
        assert graph
        assert lite
        assert list(screened(PLACE, graph.read(), frozenset())) == []
        assert (
            list(op_policy.check_litert("1/assets.extra/model.tflite", lite.read(), frozenset()))
            == []
        )


@pytest.mark.skipif("FACET_DATA" not in os.environ, reason="FACET_DATA names no SavedModels")
def test_accepts_published_models() -> None:
    files = sorted(Path(os.environ["FACET_DATA"], "saved_models").rglob("saved_model.pb"))
    assert files
    for file in files:
        assert list(screened(file.name, file.read_bytes(), frozenset())) == []


EVERYTHING = model_bytes(REFUSED["RestoreV2 in a function, called well and badly"][0], meta_graph())
CODES = {"saved-model-unreadable", FORBIDDEN, REACHABLE, FOREIGN}


@given(st.binary(max_size=400))
def test_any_bytes_are_screened_or_unreadable(data: bytes) -> None:
    assert {each.code for each in screened(PLACE, data, frozenset())} <= CODES


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVERYTHING) - 1), st.integers(0, 255)), min_size=1, max_size=8
    ),
    st.integers(0, len(EVERYTHING)),
)
def test_damaged_models_are_screened_or_unreadable(
    damages: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(EVERYTHING)
    for at, value in damages:
        data[at] = value
    assert {each.code for each in screened(PLACE, bytes(data[:length]), frozenset())} <= CODES


OTHER = """
from google.protobuf.internal import api_implementation
from facet.artifact.graphs import op_policy
from tests.unit.artifact import test_op_policy as cases

assert api_implementation.Type() == "python"
for made, expected in cases.REFUSED.values():
    found = cases.screened("file", cases.model_bytes(made), frozenset())
    assert {(each.code, each.place) for each in found} == {
        (code, f"file: {place}") for code, place in expected
    }
cases.test_text_that_is_not_utf_8_is_unreadable()
cases.test_attributes_nested_too_deep_are_unreadable()
cases.test_any_bytes_are_screened_or_unreadable()
cases.test_damaged_models_are_screened_or_unreadable()
"""


def test_protobufs_other_implementation_agrees() -> None:
    """The one in Python is used where there is no compiled one for the machine."""
    subprocess.run(
        [sys.executable, "-c", OTHER],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
        cwd=ROOT,
        check=True,
        timeout=LONG,
    )


@given(st.binary(max_size=200))
def test_what_is_read_of_a_graph_is_what_protobuf_reads(data: bytes) -> None:
    """Our own walk of the outer messages agrees with protobuf's of all."""
    wrapped = b"\x12" + _varint(len(data)) + data
    model = graphs.read(wrapped)
    if model.error:
        return
    (found,) = model.graphs
    whole = pb.SavedModel.FromString(wrapped).meta_graphs[0]
    assert [each.op for each in found.nodes] == [each.op for each in whole.graph_def.node]
    assert len(found.functions) == len(whole.graph_def.library.function)
    assert found.tags == tuple(whole.meta_info_def.tags)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
