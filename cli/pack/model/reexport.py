"""Export networks again with a signature that takes an image's raw bytes.

Scaling, shape and type become part of the graph. This module imports TensorFlow.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from cli.pack.errors import CannotPack
from cli.pack.model.geometry import Geometry
from cli.pack.model.signature import Selection
from cli.pack.model.tensorflow import ERRORS, reason
from facet.artifact.graphs.saved_model import TensorSpec
from facet.manifest import InputSpec
from training.export.export import convert_module, save_module
from training.export.graph import Classifier, bytes_module, pixels_module

UNIQUE = "fingerprint.pb"
"""Removed: loaders do not need it, and it differs each time a model is saved."""


@dataclass(frozen=True)
class Network:
    """A function from a tensor to scores; `weights` is the object that holds its variables."""

    takes: TensorSpec
    labels: int | None
    call: Classifier
    weights: object


def keras_network(file: Path) -> Network:
    """Load the network in a Keras file. Raises CannotPack."""
    try:
        model = keras.models.load_model(file, compile=False)
        inputs, outputs = list(model.inputs or ()), list(model.outputs or ())
    except ERRORS as error:
        raise CannotPack(f"Keras cannot load {file}: {reason(error)}") from error
    if len(inputs) != 1 or len(outputs) != 1:
        raise CannotPack(
            f"{file} has {len(inputs)} inputs and {len(outputs)} outputs: "
            "a classifier has one image and one row of scores"
        )
    shape = outputs[0].shape
    return Network(
        takes=TensorSpec(str(inputs[0].dtype), _sizes(inputs[0].shape)),
        labels=shape[1] if len(shape) == 2 else None,
        call=lambda values: model(values, training=False),
        weights=[weight.value for weight in model.weights],
    )


def _sizes(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if size is None else int(size) for size in shape)


def saved_network(folder: Path, chosen: Selection) -> Network:
    """Load a SavedModel's signature as a network. Raises CannotPack."""
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures[chosen.signature]
    except (tf.errors.OpError, *ERRORS) as error:
        raise CannotPack(f"TensorFlow cannot load {folder}: {reason(error)}") from error
    return Network(
        takes=chosen.takes,
        labels=chosen.labels,
        call=lambda values: signature(**{chosen.input: values})[chosen.output],
        weights=loaded,
    )


def save(network: Network, takes: Geometry, spec: InputSpec, folder: Path) -> Path:
    """Write the SavedModel into `folder` and return it. Raises CannotPack."""
    try:
        module = bytes_module(_classifier(network, takes), network.weights, spec)
        save_module(module, spec, folder)
    except (tf.errors.OpError, *ERRORS) as error:
        raise CannotPack(f"TensorFlow cannot export the model: {reason(error)}") from error
    (folder / UNIQUE).unlink(missing_ok=True)
    return folder


def convert(network: Network, takes: Geometry, spec: InputSpec) -> bytes:
    """Convert to LiteRT. Raises what the converter raises."""
    return convert_module(pixels_module(_classifier(network, takes), network.weights, spec), spec)


def _classifier(network: Network, takes: Geometry) -> Classifier:
    def scores(values: tf.Tensor) -> tf.Tensor:
        if takes.channels_first:
            values = tf.transpose(values, [0, 3, 1, 2])
        shaped = tf.reshape(values, [-1, *takes.own])
        typed = tf.cast(shaped, tf.dtypes.as_dtype(network.takes.dtype))
        return tf.cast(network.call(typed), tf.float32)

    return scores
