"""The graph of the exported model: raw pixels → scores. It restates `facet.preprocess`."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from facet.specs import InputSpec
from training.networks import Body

SCORES = "scores"
"""The output tensor of every exported classifier: float32 (batch, labels)."""

FEATURES = "features"
"""The output tensor of every exported backbone: float32 (batch, features)."""

MAPS = "maps"
"""A second signature of backbones, and its output: float32 (batch, height * width * channels)."""

Classifier = Callable[[tf.Tensor], tf.Tensor]
"""float32 (batch, height, width, channels) → float32 (batch, labels)."""

Pixels = Callable[[tf.Tensor], tf.Tensor]
"""A signature's input → uint8 (batch, height, width, channels)."""


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
    return bytes_module(_probabilities(network), variables(network), spec)


def pixels_model(network: keras.Model, spec: InputSpec) -> tf.Module:
    """For LiteRT, which has no strings: uint8 (batch, height, width, channels) → scores."""
    return pixels_module(_probabilities(network), variables(network), spec)


def bytes_module(
    scores: Classifier, weights: object, spec: InputSpec, output: str = SCORES
) -> tf.Module:
    """Like `bytes_model`, for any function from the output of `normalise` to the tensor `output`.

    `weights` are the variables that it uses, or an object in which TensorFlow finds them.
    """
    return _module(scores, weights, spec, *_bytes(spec), output)


def pixels_module(
    scores: Classifier, weights: object, spec: InputSpec, output: str = SCORES
) -> tf.Module:
    """Like `pixels_model`, for any function from the output of `normalise` to `output`."""
    return _module(scores, weights, spec, *_pixels(spec), output)


def bytes_body(body: Body, spec: InputSpec) -> tf.Module:
    """Like `bytes_model`, of a backbone: strings → features, and maps in a second signature."""
    return _body(body, spec, *_bytes(spec))


def pixels_body(body: Body, spec: InputSpec) -> tf.Module:
    """Like `pixels_model`, of a backbone."""
    return _body(body, spec, *_pixels(spec))


def save_module(module: tf.Module, spec: InputSpec, folder: Path) -> None:
    """Writes a SavedModel with the signatures of a module."""
    tf.saved_model.save(module, str(folder), signatures=signatures(module, spec))


def signatures(module: tf.Module, spec: InputSpec) -> dict[str, Any]:
    """A module's functions by the names of their signatures: `serve`, or those of a backbone with
    maps, has the one that `spec` names.
    """
    if hasattr(module, MAPS):
        return {spec.signature: module.features, MAPS: module.maps}
    return {spec.signature: module.serve}


def _probabilities(network: keras.Model) -> Classifier:
    return lambda values: tf.nn.softmax(network(values, training=False))


def variables(network: keras.Model) -> list[tf.Variable]:
    """Each weight once. Attaching `network` itself would make Keras save its own copies."""
    return [weight.value for weight in network.weights]


def _bytes(spec: InputSpec) -> tuple[tf.TensorSpec, Pixels]:
    def pixels(image: tf.Tensor) -> tf.Tensor:
        rows = tf.io.decode_raw(image, tf.uint8)
        return tf.reshape(rows, [-1, spec.height, spec.width, spec.channels])

    return tf.TensorSpec([None], tf.string, spec.tensor), pixels


def _pixels(spec: InputSpec) -> tuple[tf.TensorSpec, Pixels]:
    shape = [None, spec.height, spec.width, spec.channels]
    return tf.TensorSpec(shape, tf.uint8, spec.tensor), tf.identity


def _body(body: Body, spec: InputSpec, signature: tf.TensorSpec, pixels: Pixels) -> tf.Module:
    weights = variables(body.model)
    if body.grid is None:

        def features(values: tf.Tensor) -> tf.Tensor:
            return body(values)[0]

        return _module(features, weights, spec, signature, pixels, FEATURES)

    # one function that both signatures call, so that the file has the network's graph once
    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def compute(image: tf.Tensor) -> list[tf.Tensor]:
        return body(normalise(spec, pixels(image)))

    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def only_features(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {FEATURES: compute(image)[0]}

    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def only_maps(image: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = compute(image)[1]
        return {MAPS: tf.reshape(maps, [-1, math.prod(maps.shape[1:])])}

    module = tf.Module()
    module.weights = weights
    # With an attribute `serve`, LiteRT's converter would take one signature only (lite.py,
    # from_saved_model).
    module.features, module.maps = only_features, only_maps
    return module


def _module(
    scores: Classifier,
    weights: object,
    spec: InputSpec,
    signature: tf.TensorSpec,
    pixels: Pixels,
    output: str,
) -> tf.Module:
    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {output: scores(normalise(spec, pixels(image)))}

    module = tf.Module()
    module.weights = weights
    module.serve = serve
    return module
