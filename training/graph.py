"""What runs inside the exported model: raw pixels → scores. `facet.preprocess` in TensorFlow."""

from collections.abc import Callable

import keras
import tensorflow as tf

from facet.manifest import InputSpec

SCORES = "scores"
"""The output tensor of every exported model: softmax, float32 (batch, labels)."""


def normalised(spec: InputSpec, pixels: tf.Tensor) -> tf.Tensor:
    """float32 `(pixel * scale - mean) / std`, the graph's twin of `facet.preprocess.normalise`.

    `pixels` is (batch, height, width, channels) in RGB order, 0..255, of any number type.
    """
    ordered = pixels[..., ::-1] if spec.order == "BGR" else pixels
    values = tf.cast(ordered, tf.float32) * spec.scale
    if spec.mean:
        values = values - tf.constant(spec.mean)
    if spec.std:
        values = values / tf.constant(spec.std)
    return values


def bytes_model(network: keras.Model, spec: InputSpec) -> tf.Module:
    """For SavedModels: strings (batch,), the raw RGB bytes of a picture each → scores."""

    def pixels(image: tf.Tensor) -> tf.Tensor:
        rows = tf.io.decode_raw(image, tf.uint8)
        return tf.reshape(rows, [-1, spec.height, spec.width, spec.channels])

    return _module(network, spec, tf.TensorSpec([None], tf.string, spec.tensor), pixels)


def pixels_model(network: keras.Model, spec: InputSpec) -> tf.Module:
    """For LiteRT, which has no strings: uint8 (batch, height, width, channels) → scores."""
    shape = [None, spec.height, spec.width, spec.channels]
    return _module(network, spec, tf.TensorSpec(shape, tf.uint8, spec.tensor), tf.identity)


def _module(
    network: keras.Model,
    spec: InputSpec,
    signature: tf.TensorSpec,
    pixels: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Module:
    """Holds each weight once; `network` stays out of it, as Keras would bring its own copies."""

    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(normalised(spec, pixels(image)), training=False)
        return {SCORES: tf.nn.softmax(logits)}

    module = tf.Module()
    module.weights = [weight.value for weight in network.weights]
    module.serve = serve
    return module
