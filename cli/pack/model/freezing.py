"""One signature of a SavedModel of TensorFlow 1 or 2 as a function without variables.

Of TensorFlow: import this module where that is installed.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_from_session_graph as freeze,
)

from cli.pack.errors import CannotPack
from facet.manifest import InputSpec
from training.export.graph import Classifier


def frozen(folder: Path, signature: str, tensor: str, output: str) -> Classifier:
    """From the signature's input to that output, all that it does not need left out.

    Raises CannotPack, and what TensorFlow raises over graphs that cannot be frozen.
    """
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], str(folder))
        described = loaded.signature_def[signature]
        source, target = described.inputs[tensor].name, described.outputs[output].name
        graph = freeze(session, session.graph.as_graph_def(), [_node(target)])
    cut = _fed_at(graph, source, described.inputs[tensor])

    def call() -> None:
        tf.import_graph_def(cut, name="")

    wrapped = v1.wrap_function(call, [])
    pruned = wrapped.prune(
        wrapped.graph.as_graph_element(source), wrapped.graph.as_graph_element(target)
    )
    return lambda values: pruned(values)


def module(scores: Classifier, spec: InputSpec, output: str, shape: tuple[int, ...]) -> tf.Module:
    """With `serve` as the manifest wants it: float32 (batch, *shape) → scores by name."""

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
    """The graph with a placeholder where the signature feeds it: that may be in the middle, and
    what lies before it need not even be valid."""
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
