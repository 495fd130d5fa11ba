"""The graph of the exported model: raw pixels → scores. It restates `facet.preprocess`."""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from facet.manifest import InputSpec

SCORES = "scores"
"""The output tensor of every exported model: float32 (batch, labels)."""

Classifier = Callable[[tf.Tensor], tf.Tensor]
"""float32 (batch, height, width, channels) → float32 (batch, labels)."""


def normalise(spec: InputSpec, pixels: tf.Tensor) -> tf.Tensor:
    """float32 `(pixel * scale - mean) / std`, as `facet.preprocess.normalise` does in NumPy.

    `pixels` is (batch, height, width, channels) in RGB order, 0..255, of any number type.
    """
    ordered = pixels[..., ::-1] if spec.order == "BGR" else pixels
    values = tf.cast(ordered, tf.float32) * spec.scale
    if spec.mean:
        values = values - tf.constant(spec.mean)
    if spec.std:
        values = values / tf.constant(spec.std)
    return tf.image.per_image_standardization(values) if spec.per_image_standardization else values


def bytes_model(network: keras.Model, spec: InputSpec) -> tf.Module:
    """For a SavedModel: strings (batch,), the raw RGB bytes of one image each → scores."""
    return bytes_module(_probabilities(network), _weights(network), spec)


def pixels_model(network: keras.Model, spec: InputSpec) -> tf.Module:
    """For LiteRT, which has no strings: uint8 (batch, height, width, channels) → scores."""
    return pixels_module(_probabilities(network), _weights(network), spec)


def bytes_module(scores: Classifier, weights: object, spec: InputSpec) -> tf.Module:
    """Like `bytes_model`, for any function from the output of `normalise` to scores.

    `weights` are the variables that it uses, or an object in which TensorFlow finds them.
    """

    def pixels(image: tf.Tensor) -> tf.Tensor:
        rows = tf.io.decode_raw(image, tf.uint8)
        return tf.reshape(rows, [-1, spec.height, spec.width, spec.channels])

    return _module(scores, weights, spec, tf.TensorSpec([None], tf.string, spec.tensor), pixels)


def pixels_module(scores: Classifier, weights: object, spec: InputSpec) -> tf.Module:
    """Like `pixels_model`, for any function from the output of `normalise` to scores."""
    shape = [None, spec.height, spec.width, spec.channels]
    signature = tf.TensorSpec(shape, tf.uint8, spec.tensor)
    return _module(scores, weights, spec, signature, tf.identity)


def save_module(module: tf.Module, spec: InputSpec, folder: Path) -> None:
    """Writes a SavedModel; the module's `serve` becomes the signature that `spec` names."""
    tf.saved_model.save(module, str(folder), signatures={spec.signature: module.serve})


def _probabilities(network: keras.Model) -> Classifier:
    return lambda values: tf.nn.softmax(network(values, training=False))


def _weights(network: keras.Model) -> list[tf.Variable]:
    """Each weight once. Attaching `network` itself would make Keras save its own copies."""
    return [weight.value for weight in network.weights]


def _module(
    scores: Classifier,
    weights: object,
    spec: InputSpec,
    signature: tf.TensorSpec,
    pixels: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Module:
    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {SCORES: scores(normalise(spec, pixels(image)))}

    module = tf.Module()
    module.weights = weights
    module.serve = serve
    return module
