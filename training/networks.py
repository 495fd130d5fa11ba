"""Hyperparameters → a network: trained from scratch, or a pretrained backbone to fine-tune."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import keras
from keras import layers

from facet.errors import FacetError
from facet.recipes import Hyperparameters
from facet.specs import MAX_MAP_SIDE, MAX_MAP_VALUES, InputSpec

BN_MOMENTUM = 0.95
"""Of a cnn's moving statistics. Keras's default, 0.99, needs more steps than a small folder has."""

MAX_FILTERS = 128

WHITENED = "whitened"
"""The name of a cnn's first convolution, whose filters training computes before it starts."""


class BadWeights(FacetError):
    """Pretrained weights that cannot be loaded or do not fit the backbone."""


@dataclass(frozen=True, eq=False)
class Body:
    """A network without its last layers, as a backbone is exported.

    `model` maps images to features (batch, width). With a `grid`, those are averages, and `model`
    also gives the maps (batch, height, width, channels) that were averaged: over each cell of that
    many rows and columns, one cell's channels after the other's.
    """

    model: keras.Model
    grid: tuple[int, int] | None = None

    @classmethod
    def of(
        cls, image: Any, features: Any, maps: Any = None, grid: tuple[int, int] = (1, 1)
    ) -> Self:
        """Of Keras's tensors. Maps that are too large for an answer are left out."""
        if (
            maps is None
            or max(maps.shape[1:3]) > MAX_MAP_SIDE
            or math.prod(maps.shape[1:]) > MAX_MAP_VALUES
        ):
            return cls(keras.Model(image, features))
        return cls(keras.Model(image, [features, maps]), grid)

    def __call__(self, images: Any) -> list[Any]:
        """The features and, with a grid, the maps."""
        found = self.model(images, training=False)
        return found if isinstance(found, list) else [found]


@dataclass(frozen=True, eq=False)
class Network:
    """`trunk`, frozen, maps images to features; `tail`, trainable, maps those to logits.

    Without a trunk, `tail` maps images. Images are float32 (batch, height, width, channels),
    normalised as `spec` says; logits are (batch, labels). The trunk runs in inference mode.
    With `mirror_average`, the logits of an image and of its mirrored image are averaged, except
    in training.
    """

    spec: InputSpec
    trunk: keras.Model | None
    tail: keras.Model
    mirror_average: bool = False

    @cached_property
    def whole(self) -> keras.Model:
        """Images → logits, as in training; shares the weights of trunk and tail."""
        if self.trunk is None:
            return self.tail
        image = self._image()
        return keras.Model(image, self.tail(self.trunk(image, training=False)))

    @cached_property
    def exported(self) -> keras.Model:
        """Images → logits, as they are evaluated and exported; shares the weights."""
        if not self.mirror_average:
            return self.whole
        image = self._image()
        both = [self.whole(image), self.whole(keras.ops.flip(image, axis=2))]
        return keras.Model(image, layers.Average(dtype="float32")(both))

    @cached_property
    def body(self) -> Body:
        """Images → features, as a backbone is exported; shares the weights.

        From scratch, the last convolution's maps, pooled by two: dense layers keep what tells
        apart the labels they were trained on, and less of what others need. Otherwise the input
        of the last layer.
        """
        return self._convolutions() if self.trunk is None else self._before_last_layer()

    def _convolutions(self) -> Body:
        flatten = next(each for each in self.tail.layers if isinstance(each, layers.Flatten))
        maps = flatten.input
        pooled = layers.AveragePooling2D(2)(maps)
        rows, columns, channels = pooled.shape[1:]
        # Flatten would compute the shape in the graph; LiteRT then allocates the output while
        # it runs, where its C API has given it a buffer, and fails.
        flat = keras.ops.reshape(pooled, (-1, rows * columns * channels))
        whole = (2 * rows, 2 * columns) == maps.shape[1:3]  # or else pooling leaves positions out
        return Body.of(self.tail.input, flat, maps if whole else None, (rows, columns))

    def _before_last_layer(self) -> Body:
        assert self.trunk is not None
        *before, _, last = self.tail.layers  # dropout is between them
        averaged = isinstance(before[-1], layers.GlobalAveragePooling2D)
        tail = Body.of(self.tail.input, last.input, before[-1].input if averaged else None)
        image = self._image()
        return Body.of(image, *tail(self.trunk(image, training=False)))

    def _image(self) -> Any:
        return keras.Input((self.spec.height, self.spec.width, self.spec.channels))


@dataclass(frozen=True)
class Backbone:
    """A network of keras.applications. `split`: its last frozen layer. `widths`: takes `alpha`."""

    make: Callable[..., keras.Model]
    split: str
    normalisation: dict[str, Any]
    widths: bool = False


MINUS_ONE_TO_ONE = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0)}
CAFFE = {"order": "BGR", "mean": (103.939, 116.779, 123.68)}
"""What each backbone's `preprocess_input` does, as fields of an input spec."""

BACKBONES = {
    "vgg16": Backbone(keras.applications.VGG16, "block4_pool", CAFFE),
    "mobilenet": Backbone(
        keras.applications.MobileNet, "conv_pw_12_relu", MINUS_ONE_TO_ONE, widths=True
    ),
    "mobilenet-v2": Backbone(
        keras.applications.MobileNetV2, "block_15_add", MINUS_ONE_TO_ONE, widths=True
    ),
}

SCRATCH: dict[str, dict[str, Any]] = {
    "cnn": {"scale": 1 / 255, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
    "article-cnn": {"scale": 1 / 255},
}


def spec(settings: Hyperparameters) -> InputSpec:
    """The input of that network. The exported graph takes uint8 pixels and normalises them."""
    name = settings.backbone
    normalisation = SCRATCH.get(name) or BACKBONES[name].normalisation
    side = settings.image_size
    return InputSpec(
        tensor="image",
        encoding="uint8",
        height=side,
        width=side,
        decode="reduced",  # training decodes in the same way
        **normalisation,
    )


def build(settings: Hyperparameters, labels: int, weights: Path | None) -> Network:
    """Builds the network in Keras's current dtype policy, with random weights except a backbone's.

    `weights` is a file of the backbone's ImageNet weights without its top; if it is None, Keras
    downloads them. Raises BadWeights.
    """
    input_spec = spec(settings)
    if settings.backbone in SCRATCH:
        make = cnn if settings.backbone == "cnn" else article_cnn
        return Network(input_spec, None, make(settings, labels), settings.mirror_average)
    backbone = BACKBONES[settings.backbone]
    base = pretrained(settings, weights)
    middle = base.get_layer(backbone.split).output
    trunk = keras.Model(base.input, middle, name="trunk")
    trunk.trainable = False
    block = keras.Model(middle, base.output, name="last_block")
    for layer in block.layers:
        # Fine-tuning keeps batch norm's ImageNet statistics: keras.io/guides/transfer_learning
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    features = keras.Input(trunk.output_shape[1:])
    pooled = layers.GlobalAveragePooling2D()(block(features))
    tail = keras.Model(features, _head(pooled, settings, labels))
    return Network(input_spec, trunk, tail, settings.mirror_average)


def cnn(settings: Hyperparameters, labels: int) -> keras.Model:
    """3x3 convolutions, each pooled and then normalised, down to 4x4..7x7; two dense layers.

    Batch norm after pooling takes a quarter of the time. Features are flattened, not averaged,
    because position distinguishes hand signs. At 32x32 it is the article's network with 3x3
    kernels. `training.fitting.whitening` computes the first filters.
    """
    image = values = keras.Input((settings.image_size, settings.image_size, 3))
    for depth in range((settings.image_size // 4).bit_length() - 1):
        filters = min(settings.width << depth, max(settings.width, MAX_FILTERS))
        name = None if depth else WHITENED
        values = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(values)
        values = layers.MaxPooling2D()(values)
        values = layers.BatchNormalization(momentum=BN_MOMENTUM)(values)
        values = layers.Activation("silu")(values)
    values = layers.Dropout(settings.dropout / 2)(layers.Flatten()(values))
    return keras.Model(image, _head(values, settings, labels))


def article_cnn(settings: Hyperparameters, labels: int) -> keras.Model:
    """The article's simplified AlexNet, unchanged: 528,502 weights for ten labels."""
    image = values = keras.Input((settings.image_size, settings.image_size, 3))
    for filters in (16, 32, 64):
        values = layers.Conv2D(filters, 2, padding="same", activation="relu")(values)
        values = layers.BatchNormalization()(values)
        values = layers.MaxPooling2D()(values)
    values = layers.Flatten()(layers.Dropout(0.3)(values))
    values = layers.Dropout(0.4)(layers.Dense(500, activation="relu")(values))
    return keras.Model(image, _logits(values, labels))


def _head(values: Any, settings: Hyperparameters, labels: int) -> Any:
    if settings.dense:
        values = layers.Dense(settings.dense, activation="silu")(values)
    return _logits(layers.Dropout(settings.dropout)(values), labels)


def _logits(values: Any, labels: int) -> Any:
    return layers.Dense(labels, dtype="float32")(values)


def pretrained(settings: Hyperparameters, weights: Path | None) -> keras.Model:
    """The backbone without its top, with the weights of the file or Keras's. Raises BadWeights."""
    backbone = BACKBONES[settings.backbone]
    options = {"alpha": settings.alpha} if backbone.widths else {}
    shape = (settings.image_size, settings.image_size, 3)
    try:
        return loaded(backbone.make, weights, input_shape=shape, **options)
    except BadWeights as error:
        source_name = (
            f"The file {weights.name} of channel 'weights'" if weights else "Keras's download"
        )
        raise BadWeights(
            f"{source_name} gives no weights for {settings.backbone} (alpha {settings.alpha:g}, "
            f"{shape[0]} pixels, without top): {error}. Without a network, provide a channel "
            "'weights' with one .h5 file of keras.applications."
        ) from error


def loaded(
    make: Callable[..., keras.Model], weights: Path | None, **options: object
) -> keras.Model:
    """A network of keras.applications without its top, with the weights of the file or Keras's.

    Raises BadWeights, with the reason alone.
    """
    source = "imagenet" if weights is None else None
    try:
        with warnings.catch_warnings():
            # If a file lacks a layer, Keras only warns and leaves the layer's random weights.
            warnings.filterwarnings("error", category=UserWarning, module="keras")
            network = make(include_top=False, weights=source, **options)
            if weights is not None:
                network.load_weights(str(weights))
    except Exception as error:  # if a download fails, Keras raises nothing more specific
        raise BadWeights(str(error).strip().splitlines()[0].rstrip(".")) from error
    return network
