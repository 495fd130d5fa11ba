"""A `saved_model.pb` in one pass: its graphs, what calls what, what a server runs, signatures.

What is allowed is decided elsewhere, in `op_policy` and `signature_check`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from facet.artifact.graphs import protobuf_wire
from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.ops import READS_VARIABLES
from facet.artifact.graphs.saved_model import (
    SERVE_TAG,
    Signature,
    UnreadableSavedModel,
    meta_graphs,
    parsed,
    readable,
    signatures,
)

GRAPH = pb.MetaGraphDef.GRAPH_DEF_FIELD_NUMBER
NODE = pb.GraphDef.NODE_FIELD_NUMBER
LIBRARY = pb.GraphDef.LIBRARY_FIELD_NUMBER
FUNCTION = pb.FunctionDefLibrary.FUNCTION_FIELD_NUMBER
BODY = pb.FunctionDef.NODE_DEF_FIELD_NUMBER

MAX_FIELDS = 1_500_000
"""Fields of the whole file that are read. EfficientNetB0 has 171,000, NASNetMobile 500,000."""

MAX_NAMES = 150_000
"""Names of nodes, inputs, functions and tensors, and kinds of ops, in all meta graphs together.
NASNetMobile has 25,000."""

MAPS = 4
"""Names that a function's empty maps and sets take the memory of."""

INITIALISERS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
"""Collections of ops that run at load (tensorflow/cc/saved_model/constants.h, and TF 1's tables).
TensorFlow 2 names its own, `__saved_model_init_op`, among the signatures."""

SWAP = "api_implements"
"""Functions with one value of this attribute stand for each other: the grappler optimiser
"implementation selector" puts one in another's place."""


@dataclass(frozen=True, slots=True)
class Node:
    """An op in the main graph. `inputs` are nodes, over data or control; `calls` are functions."""

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A function of the library. `ops` maps each kind of op in its body to the first such node.

    TensorFlow runs all stateful nodes of a function that is called, used or not, so the body
    counts as a whole. `read_paths` are the tensors that name the files which it reads variables
    from. Functions that stand for the same (SWAP) may be put in each other's place.
    """

    name: str
    ops: Mapping[str, str]
    calls: frozenset[str]
    stands_for: bytes
    arguments: tuple[str, ...]
    read_paths: frozenset[str]


@dataclass(frozen=True)
class MetaGraph:
    """One of a SavedModel's graphs, with what a server may run in it, by name.

    `run_nodes` are the tensors of signatures, and initialisers; `run_functions` are those that
    an object loaded with `tf.saved_model.load` has. `restore` is the node that reads the variables
    at load, from the path in the tensor of `filename`, which the server sets; "" is none.
    """

    tags: tuple[str, ...]
    nodes: tuple[Node, ...]
    functions: tuple[Function, ...]
    run_nodes: frozenset[str]
    run_functions: frozenset[str]
    restore: str
    filename: str


class _Names:
    def __init__(self) -> None:
        self._left = MAX_NAMES

    def take(self, count: int) -> None:
        """Raises UnreadableSavedModel where there are too many."""
        self._left -= count
        if self._left < 0:
            raise UnreadableSavedModel(f"its graphs have over {MAX_NAMES:,} names")


@dataclass(frozen=True)
class SavedModel:
    """What one pass over a `saved_model.pb` found; `graphs` are all of them, whatever their tags.

    With an `error` the file is not readable any further than `graphs`.
    """

    graphs: tuple[MetaGraph, ...]
    serving: Mapping[str, Signature] | None
    error: UnreadableSavedModel | None = None

    def signatures(self) -> Mapping[str, Signature]:
        """The signatures of the first meta graph tagged `serve`. Raises UnreadableSavedModel."""
        if self.serving is not None:
            return self.serving
        raise self.error or UnreadableSavedModel(f"it has no meta graph tagged '{SERVE_TAG}'")

    @property
    def restores(self) -> bool:
        """Whether loading the model reads variables."""
        return any(each.restore for each in self.graphs)


def read(data: bytes) -> SavedModel:
    """Parses a `saved_model.pb`, in memory that MAX_FIELDS and MAX_NAMES bound."""
    graphs: list[MetaGraph] = []
    serving: Mapping[str, Signature] | None = None
    names = _Names()
    try:
        with readable():
            protobuf_wire.check(data, pb.SavedModel, MAX_FIELDS)
            for described, begin, end in meta_graphs(data):
                graphs.append(_meta_graph(data, begin, end, described, names))
                if serving is None and SERVE_TAG in graphs[-1].tags:
                    serving = signatures(described)
    except UnreadableSavedModel as error:
        return SavedModel(tuple(graphs), serving, error)
    return SavedModel(tuple(graphs), serving)


def _meta_graph(
    data: bytes, begin: int, end: int, described: pb.MetaGraphDef, names: _Names
) -> MetaGraph:
    run_nodes = frozenset(_run(described))
    run_functions = frozenset(described.object_graph_def.concrete_functions)
    names.take(len(run_nodes) + len(run_functions))
    return MetaGraph(
        tags=tuple(described.meta_info_def.tags),
        nodes=tuple(
            _node(parsed(pb.NodeDef, data[at:after]), names)
            for at, after in protobuf_wire.parts(data, begin, end, GRAPH, NODE)
        ),
        functions=tuple(
            _function(data, at, after, names)
            for at, after in protobuf_wire.parts(data, begin, end, GRAPH, LIBRARY, FUNCTION)
        ),
        run_nodes=run_nodes,
        run_functions=run_functions,
        restore=_source(described.saver_def.restore_op_name),
        filename=_source(described.saver_def.filename_tensor_name),
    )


def _node(found: pb.NodeDef, names: _Names) -> Node:
    calls = tuple(_called(found.attr.values()))
    names.take(1 + len(found.input) + len(calls))
    return Node(found.name, found.op, tuple(_source(each) for each in found.input), calls)


def _function(data: bytes, begin: int, end: int, names: _Names) -> Function:
    described = parsed(pb.FunctionDef, protobuf_wire.without(data, begin, end, BODY))
    arguments = tuple(each.name for each in described.signature.input_arg)
    names.take(MAPS + len(arguments))
    ops: dict[str, str] = {}
    paths: set[str] = set()
    calls = set(_called(described.attr.values()))
    for at, after in protobuf_wire.parts(data, begin, end, BODY):
        node = parsed(pb.NodeDef, data[at:after])
        known = len(ops) + len(calls) + len(paths)
        ops.setdefault(node.op, node.name)
        calls.update(_called(node.attr.values()))
        if node.op in READS_VARIABLES:
            paths.add(node.input[0] if node.input else "")
        names.take(len(ops) + len(calls) + len(paths) - known)
    stands_for = described.attr[SWAP].s if SWAP in described.attr else b""
    name = described.signature.name
    return Function(name, ops, frozenset(calls), stands_for, arguments, frozenset(paths))


def _called(values: Iterable[pb.AttrValue]) -> Iterator[str]:
    """The functions that attributes name, at any depth; wire.DEPTH bounds it."""
    for value in values:
        named = [value.func] if value.HasField("func") else []
        for each in (*named, *value.list.func):
            yield each.name
            yield from _called(each.attr.values())


def _run(found: pb.MetaGraphDef) -> Iterator[str]:
    for signature in found.signature_def.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            yield from _tensors(info)
    for name in INITIALISERS:
        if name in found.collection_def:
            yield from map(_source, found.collection_def[name].node_list.value)


def _tensors(info: pb.TensorInfo) -> Iterator[str]:
    sparse = info.coo_sparse
    names = sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name
    yield from (_source(name) for name in (info.name, *names) if name)
    for each in info.composite_tensor.components:
        yield from _tensors(each)


def _source(tensor: str) -> str:
    """`node`, `node:1` and the control input `^node` → `node`."""
    return tensor.removeprefix("^").split(":", 1)[0]
