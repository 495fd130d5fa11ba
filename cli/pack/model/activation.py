"""What a SavedModel's scores are, read from its graph: the op that they come out of."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from google.protobuf.message import DecodeError

from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.saved_model import SERVE_TAG

Activation = Literal["softmax", "logits", "sigmoid"]

OPS: Mapping[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
LINEAR = ("BiasAdd", "MatMul", "Add", "AddV2", "Conv2D", "Mean")
"""What a last layer without an activation ends with."""

PASSING = ("Identity", "IdentityN", "Reshape", "Squeeze", "Cast", "StopGradient")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
MAX_STEPS = 1_000
"""Far more than lie between a last layer and its signature, in case functions call in circles."""


class Found(NamedTuple):
    """`sure` where the graph says so itself; otherwise `activation` is only likely."""

    activation: Activation | None
    sure: bool


def found(saved_model: bytes, signature: str, output: str) -> Found:
    """The activation of a signature's output."""
    op = _last_op(saved_model, signature, output)
    if op is not None and op in OPS:
        return Found(OPS[op], sure=True)
    return Found("logits" if op in LINEAR else None, sure=False)


def _last_op(saved_model: bytes, signature: str, output: str) -> str | None:
    """The op that makes the output's numbers; None where that cannot be followed."""
    try:
        parsed = pb.SavedModel.FromString(saved_model)
    except DecodeError:
        return None
    for graph in parsed.meta_graphs:
        if SERVE_TAG in graph.meta_info_def.tags:
            name = graph.signature_def[signature].outputs[output].name
            return _follow(graph.graph_def, name)
    return None


def _follow(graph: pb.GraphDef, tensor: str) -> str | None:
    library = {each.signature.name: each for each in graph.library.function}
    nodes = _by_name(graph.node)
    for _ in range(MAX_STEPS):
        name, _, port = tensor.partition(":")
        node = nodes.get(name)
        if node is None:  # an argument of the function
            return None
        called = node.attr["f"].func.name if node.op in CALLS else node.op
        if called in library:
            nodes = _by_name(library[called].node_def)
            tensor = _returned(library[called], port)
        elif node.op in PASSING:
            index = _index(port) if node.op == "IdentityN" else 0
            tensor = node.input[index]
        else:
            return node.op
    return None


def _returned(function: pb.FunctionDef, port: str) -> str:
    """Which tensor inside a function its caller's `<output>:<index>` or `<index>` is."""
    named = port.rpartition(":")[0]
    if named in function.ret:
        return function.ret[named]
    outputs = [each.name for each in function.signature.output_arg]
    return function.ret[outputs[_index(port)]]


def _index(port: str) -> int:
    return int(port.rpartition(":")[2] or 0)


def _by_name(nodes: Iterable[pb.NodeDef]) -> dict[str, pb.NodeDef]:
    return {each.name: each for each in nodes}
