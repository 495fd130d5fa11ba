"""One signature of a SavedModel, or a frozen graph, as a function whose large constants are
variables.

This module imports TensorFlow.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_from_session_graph as freeze,
)
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cli.pack.errors import CannotPack
from facet.artifact.graphs.saved_model import Signature, TensorSpec
from facet.specs import InputSpec
from training.export.graph import Classifier

LARGE = 1 << 14
"""Bytes of a constant that becomes a variable. A graph has at most 20 MiB; weights belong into
files of their own."""

ENDS = ("NoOp", "Assert", "Print")
"""Ops that end a graph and give no scores."""


def frozen(folder: Path, signature: str, tensor: str, output: str) -> Classifier:
    """Freeze the part of the graph between the signature's input and that output.

    Raises CannotPack, and TensorFlow's errors for graphs that cannot be frozen.
    """
    cut, source, target = _session_graph(folder, signature, tensor, output)
    return _pruned(cut, source, target)


def with_variables(folder: Path, signature: str, tensor: str, output: str) -> "Moved":
    """Like `frozen`, with large constants as variables."""
    return Moved(*_session_graph(folder, signature, tensor, output))


def inlined(signature: tf.types.experimental.ConcreteFunction, output: str) -> "Moved":
    """Inline a loaded signature's functions, and turn its large constants into variables."""
    constant = convert_variables_to_constants_v2(signature, lower_control_flow=False)
    names = sorted(signature.structured_outputs)
    (source,) = [each for each in constant.inputs if each.dtype != tf.resource]
    target = constant.outputs[names.index(output)]
    return Moved(constant.graph.as_graph_def(), source.name, target.name)


def graph_signature(file: Path) -> Signature:
    """Describe a frozen graph: its placeholders, and the results that nothing else uses.

    Raises CannotPack.
    """
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(file.read_bytes())
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(definition, name="")
    except Exception as error:
        raise CannotPack(f"{file} is no frozen graph that TensorFlow can read: {error}") from error
    operations = graph.get_operations()
    inputs = [each.outputs[0] for each in operations if each.type.startswith("Placeholder")]
    ends = [
        tensor
        for each in operations
        for tensor in each.outputs
        if not tensor.consumers() and each.type not in (*ENDS, "Const", "Placeholder")
    ]
    return Signature(
        {each.name: _spec(each) for each in inputs}, {each.name: _spec(each) for each in ends}
    )


def _spec(tensor: tf.Tensor) -> TensorSpec:
    known = tensor.shape.rank is not None
    shape = tuple(-1 if size is None else size for size in tensor.shape) if known else None
    return TensorSpec(tensor.dtype.name, shape)


class Moved:
    """A graph whose large constants are `variables`; a call gives the scores."""

    def __init__(self, graph: tf.compat.v1.GraphDef, source: str, target: str) -> None:
        self._graph = tf.compat.v1.GraphDef()
        self._graph.CopyFrom(graph)
        self._source, self._target = source, target
        self._by_node: dict[str, tf.Variable] = {}
        for node in self._graph.node:
            if node.op == "Const" and node.ByteSize() > LARGE:
                self._by_node[node.name] = _variable(node)
        self.variables = [*self._by_node.values()]

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        given = {f"{name}:0": each.read_value() for name, each in self._by_node.items()}
        (scores,) = tf.graph_util.import_graph_def(
            self._graph,
            input_map={self._source: values, **given},
            return_elements=[self._target],
            name="",
        )
        return scores


def _variable(node: tf.compat.v1.NodeDef) -> tf.Variable:
    """Turn a constant's node into a placeholder, and return its value as a variable."""
    value = tf.make_ndarray(node.attr["value"].tensor)
    dtype = node.attr["dtype"].type
    node.op = "Placeholder"
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return tf.Variable(value, trainable=False, name=node.name.replace("/", "_"))


def from_file(file: Path, tensor: str, output: str) -> Moved:
    """Read a frozen graph that `graph_signature` described."""
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(file.read_bytes())
    return Moved(definition, tensor, output)


def _session_graph(
    folder: Path, signature: str, tensor: str, output: str
) -> tuple[tf.compat.v1.GraphDef, str, str]:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], str(folder))
        described = loaded.signature_def[signature]
        source, target = described.inputs[tensor].name, described.outputs[output].name
        graph = freeze(session, session.graph.as_graph_def(), [_node(target)])
    return _fed_at(graph, source, described.inputs[tensor]), source, target


def _pruned(cut: tf.compat.v1.GraphDef, source: str, target: str) -> Classifier:
    def call() -> None:
        tf.import_graph_def(cut, name="")

    wrapped = tf.compat.v1.wrap_function(call, [])
    pruned = wrapped.prune(
        wrapped.graph.as_graph_element(source), wrapped.graph.as_graph_element(target)
    )
    return lambda values: pruned(values)


def module(scores: Classifier, spec: InputSpec, output: str, shape: tuple[int, ...]) -> tf.Module:
    """Make a module with `serve`: float32 (batch, *shape) → scores by the output's name."""

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, spec.tensor)])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {output: scores(image)}

    made = tf.Module()
    made.scores = scores
    made.serve = serve
    return made


def _node(tensor: str) -> str:
    return tensor.partition(":")[0]


def _fed_at(graph: tf.compat.v1.GraphDef, tensor: str, info: object) -> tf.compat.v1.GraphDef:
    """Put a placeholder where the signature feeds the graph. That may be in its middle, and the ops
    before it need not be valid.
    """
    name, _, port = tensor.partition(":")
    if port not in ("", "0"):
        raise CannotPack(f"its input is {tensor}, one of several results of an operation")
    cut = tf.compat.v1.GraphDef()
    cut.CopyFrom(graph)
    for node in cut.node:
        if node.name == name:
            node.op = "Placeholder"
            del node.input[:]
            node.attr.clear()
            node.attr["dtype"].type = info.dtype  # type: ignore[attr-defined]
            node.attr["shape"].shape.CopyFrom(info.tensor_shape)  # type: ignore[attr-defined]
    return cut
