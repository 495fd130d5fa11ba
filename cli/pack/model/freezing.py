"""Freeze one signature of a SavedModel of TensorFlow 1 or 2: a function without variables.

This module imports TensorFlow.
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
    """Freeze the part of the graph between the signature's input and that output.

    Raises CannotPack, and TensorFlow's errors for graphs that cannot be frozen.
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
