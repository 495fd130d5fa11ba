"""Detect the activation of a SavedModel's scores from the op that computes them."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from google.protobuf.message import DecodeError

from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.saved_model import SERVE_TAG

Activation = Literal["softmax", "logits", "sigmoid"]

ACTIVATION_OPS: Mapping[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
LINEAR_OPS = ("BiasAdd", "MatMul", "Add", "AddV2", "Conv2D", "Mean")
"""Ops that end a last layer without an activation."""

PASS_THROUGH_OPS = ("Identity", "IdentityN", "Reshape", "Squeeze", "Cast", "StopGradient")
CALL_OPS = ("PartitionedCall", "StatefulPartitionedCall")
MAX_STEPS = 1_000
"""Far more steps than between a last layer and its signature; stops at recursive functions."""


class DetectedActivation(NamedTuple):
    """`sure` if the graph contains the op; otherwise `activation` is a guess, or None."""

    activation: Activation | None
    sure: bool


def detect(saved_model: bytes, signature: str, output: str) -> DetectedActivation:
    """Detect the activation of a signature's output."""
    op = _last_op(saved_model, signature, output)
    if op is not None and op in ACTIVATION_OPS:
        return DetectedActivation(ACTIVATION_OPS[op], sure=True)
    return DetectedActivation("logits" if op in LINEAR_OPS else None, sure=False)


def _last_op(saved_model: bytes, signature: str, output: str) -> str | None:
    """Find the op that computes the output; None if it cannot be followed."""
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
        called = node.attr["f"].func.name if node.op in CALL_OPS else node.op
        if called in library:
            nodes = _by_name(library[called].node_def)
            tensor = _returned(library[called], port)
        elif node.op in PASS_THROUGH_OPS:
            index = _index(port) if node.op == "IdentityN" else 0
            tensor = node.input[index]
        else:
            return node.op
    return None


def _returned(function: pb.FunctionDef, port: str) -> str:
    """Find the tensor inside a function for its caller's `<output>:<index>` or `<index>`."""
    named = port.rpartition(":")[0]
    if named in function.ret:
        return function.ret[named]
    outputs = [each.name for each in function.signature.output_arg]
    return function.ret[outputs[_index(port)]]


def _index(port: str) -> int:
    return int(port.rpartition(":")[2] or 0)


def _by_name(nodes: Iterable[pb.NodeDef]) -> dict[str, pb.NodeDef]:
    return {each.name: each for each in nodes}
