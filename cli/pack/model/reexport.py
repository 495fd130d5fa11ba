"""Export networks again with a signature that takes an image as one string.

Scaling, shape and type become part of the graph. This module imports TensorFlow.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from cli.pack.errors import CannotPack
from cli.pack.model import freezing, signature
from cli.pack.model.geometry import BYTES, Geometry
from cli.pack.model.signature import Selection
from cli.pack.model.source import KerasFile
from cli.pack.model.tensorflow import ERRORS, reason
from cli.terminal.prompts import Prompter
from facet.artifact.archive import MAX_GRAPH
from facet.artifact.graphs.saved_model import TensorSpec
from facet.specs import InputSpec
from training.export.graph import SCORES, Classifier, bytes_module, pixels_module, save_module
from training.export.litert import Quantisation, convert_module

UNIQUE = "fingerprint.pb"
"""Removed: loaders do not need it, and it differs each time a model is saved."""

GRAPH = "saved_model.pb"


@dataclass(frozen=True)
class Network:
    """A function from a tensor to scores; `weights` is the object that holds its variables."""

    takes: TensorSpec
    labels: int | None
    call: Classifier
    weights: object


def keras_network(source: KerasFile, model: Any, output: str | None, prompter: Prompter) -> Network:
    """Choose the output of a loaded Keras model. Raises CannotPack, MissingOption."""
    inputs, outputs = list(model.inputs or ()), list(model.outputs or ())
    if len(inputs) != 1 or not outputs:
        raise CannotPack(
            f"{source.file} has {len(inputs)} inputs and {len(outputs)} outputs: "
            "a classifier has one image and one row of scores"
        )
    names = _output_names(model)
    name = signature.choose_name(
        dict(zip(names, outputs, strict=True)), output, prompter, "--output", "output"
    )
    at = names.index(name)
    return Network(
        takes=TensorSpec(_dtype(inputs[0].dtype), _sizes(inputs[0].shape)),
        labels=signature.width(TensorSpec("float32", _sizes(outputs[at].shape))),
        call=lambda values: tf.nest.flatten(model(values, training=False))[at],
        weights=[_variable(each) for each in model.weights],
    )


def _variable(weight: Any) -> tf.Variable:
    """TensorFlow's variable in a weight of Keras 3; weights of Keras 2 are variables."""
    return weight if isinstance(weight, tf.Variable) else weight.value


def _output_names(model: Any) -> list[str]:
    """The names of a Keras model's outputs, in order; two of the same get numbers."""
    names = getattr(model, "output_names", None) or [model.layers[-1].name]  # Sequential has none
    twice = len(set(names)) < len(names)
    return [f"{each}_{at}" for at, each in enumerate(names)] if twice else names


def _dtype(given: Any) -> str:
    return str(getattr(given, "name", given))


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(-1 if size is None else int(size) for size in shape)


def frozen_network(file: Path, chosen: Selection) -> Network:
    """Load a frozen graph as a network."""
    moved = freezing.from_file(file, chosen.input, chosen.output)
    return Network(chosen.takes, chosen.labels, moved, moved.variables)


def saved_network(folder: Path, chosen: Selection) -> Network:
    """Load a SavedModel's signature as a network. Raises CannotPack.

    What `tf.saved_model.load` cannot load (TensorFlow 1, optimizers of Keras 2) is read as
    TensorFlow Serving does. Weights that are constants in a graph too large for an artifact become
    variables.
    """
    names = (chosen.signature, chosen.input, chosen.output)
    try:
        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures[chosen.signature]
        if (folder / GRAPH).stat().st_size > MAX_GRAPH:
            moved = freezing.inlined(function, chosen.output)
            return Network(chosen.takes, chosen.labels, moved, moved.variables)
    except (tf.errors.OpError, *ERRORS) as error:
        try:
            moved = freezing.with_variables(folder, *names)
        except (tf.errors.OpError, *ERRORS):
            raise CannotPack(f"TensorFlow cannot load {folder}: {reason(error)}") from error
        return Network(chosen.takes, chosen.labels, moved, moved.variables)

    def call(values: tf.Tensor) -> tf.Tensor:
        keys = {name: tf.fill(tf.shape(values)[:1], "") for name in chosen.keys}
        return function(**{chosen.input: values}, **keys)[chosen.output]

    return Network(chosen.takes, chosen.labels, call, loaded)


def save(network: Network, takes: Geometry, spec: InputSpec, folder: Path) -> Path:
    """Write the SavedModel into `folder` and return it. Raises CannotPack."""
    try:
        module = _module(network, takes, spec)
        save_module(module, spec, folder)
    except (tf.errors.OpError, *ERRORS) as error:
        raise CannotPack(f"TensorFlow cannot export the model: {reason(error)}") from error
    (folder / UNIQUE).unlink(missing_ok=True)
    return folder


def convert(
    network: Network, takes: Geometry, spec: InputSpec, quantisation: Quantisation | None
) -> bytes:
    """Convert to LiteRT. Raises CannotQuantise, and what the converter raises."""
    module = pixels_module(_classifier(network, takes), network.weights, spec)
    return convert_module(module, spec, quantisation)


def _module(network: Network, takes: Geometry, spec: InputSpec) -> tf.Module:
    if network.takes.dtype != BYTES:
        return bytes_module(_classifier(network, takes), network.weights, spec)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, spec.tensor)])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {SCORES: _rows(network.call(image))}

    module = tf.Module()
    module.weights = network.weights
    module.serve = serve
    return module


def _classifier(network: Network, takes: Geometry) -> Classifier:
    def scores(values: tf.Tensor) -> tf.Tensor:
        if takes.channels_first:
            values = tf.transpose(values, [0, 3, 1, 2])
        shaped = tf.reshape(values, [-1, *takes.own])
        typed = tf.cast(shaped, tf.dtypes.as_dtype(network.takes.dtype))
        return _rows(network.call(typed))

    return scores


def _rows(scores: tf.Tensor) -> tf.Tensor:
    """float32 (batch, labels) of (batch, labels), (batch, 1, 1, labels) or (batch,)."""
    values = tf.cast(scores, tf.float32)
    if values.shape.rank in (2, None):
        return values
    labels = 1 if values.shape.rank == 1 else values.shape[-1]
    return tf.reshape(values, [-1, labels])
