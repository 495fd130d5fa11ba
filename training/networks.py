"""Hyperparameters → a network: from scratch, or a frozen trunk with a last block to tune."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
from keras import layers

from facet.errors import FacetError
from facet.manifest import InputSpec
from facet.recipes import Hyperparameters

BN_MOMENTUM = 0.95
"""Of a cnn's moving statistics. Keras' own 0.99 needs more steps than a small folder has."""

MAX_FILTERS = 128


class BadWeights(FacetError):
    """Weights that cannot be had, or do not fit the backbone."""


@dataclass(frozen=True, eq=False)
class Network:
    """`tail` maps what `trunk` answers to logits (batch, labels); without a trunk, images.

    Images are float32 (batch, height, width, channels), normalised as `spec` says. The trunk is
    frozen and runs in inference mode.
    """

    spec: InputSpec
    trunk: keras.Model | None
    tail: keras.Model

    @cached_property
    def whole(self) -> keras.Model:
        """Images → logits, with the weights of trunk and tail."""
        if self.trunk is None:
            return self.tail
        image = keras.Input((self.spec.height, self.spec.width, self.spec.channels))
        return keras.Model(image, self.tail(self.trunk(image, training=False)))


@dataclass(frozen=True)
class Backbone:
    """A network of keras.applications. `split` is the last frozen layer."""

    make: Callable[..., keras.Model]
    split: str
    normalisation: dict[str, Any]
    widths: bool = False


TO_ONE = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0)}
CAFFE = {"order": "BGR", "mean": (103.939, 116.779, 123.68)}
"""What each backbone's `preprocess_input` does, in an input spec's words."""

BACKBONES = {
    "vgg16": Backbone(keras.applications.VGG16, "block4_pool", CAFFE),
    "mobilenet": Backbone(keras.applications.MobileNet, "conv_pw_12_relu", TO_ONE, widths=True),
    "mobilenet-v2": Backbone(keras.applications.MobileNetV2, "block_15_add", TO_ONE, widths=True),
}

SCRATCH: dict[str, dict[str, Any]] = {
    "cnn": {"scale": 1 / 255, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
    "article-cnn": {"scale": 1 / 255},
}


def spec(settings: Hyperparameters) -> InputSpec:
    """How images reach that network; the exported graph takes bytes and normalises them."""
    name = settings.backbone
    normalisation = SCRATCH.get(name) or BACKBONES[name].normalisation
    side = settings.image_size
    return InputSpec(tensor="image", encoding="uint8", height=side, width=side, **normalisation)


def build(settings: Hyperparameters, labels: int, weights: Path | None) -> Network:
    """The network in keras' present dtype policy, with fresh weights where nothing is pretrained.

    `weights` is a file of the backbone's ImageNet weights without its top; Keras downloads them
    where it is None. Raises BadWeights.
    """
    wanted = spec(settings)
    if settings.backbone in SCRATCH:
        make = cnn if settings.backbone == "cnn" else article_cnn
        return Network(wanted, None, make(settings, labels))
    backbone = BACKBONES[settings.backbone]
    base = _base(backbone, settings, weights)
    middle = base.get_layer(backbone.split).output
    trunk = keras.Model(base.input, middle, name="trunk")
    trunk.trainable = False
    block = keras.Model(middle, base.output, name="last_block")
    for layer in block.layers:
        # Fine-tuning keeps batch norm's ImageNet statistics: keras.io/guides/transfer_learning
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    features = keras.Input(trunk.output_shape[1:])
    pooled = layers.GlobalAveragePooling2D()(block(features))
    return Network(wanted, trunk, keras.Model(features, _head(pooled, settings, labels)))


def cnn(settings: Hyperparameters, labels: int) -> keras.Model:
    """Convolutions of 3x3, each pooled and then normalised, down to 4x4..7x7; two dense layers.

    Pooling first costs a quarter of the batch norm. Flattened rather than averaged: where
    something is tells hand signs apart. At 32x32 it is the article's network with wider kernels.
    """
    image = values = keras.Input((settings.image_size, settings.image_size, 3))
    for depth in range((settings.image_size // 4).bit_length() - 1):
        filters = min(settings.width << depth, max(settings.width, MAX_FILTERS))
        values = layers.Conv2D(filters, 3, padding="same", use_bias=False)(values)
        values = layers.MaxPooling2D()(values)
        values = layers.BatchNormalization(momentum=BN_MOMENTUM)(values)
        values = layers.Activation("silu")(values)
    values = layers.Dropout(settings.dropout / 2)(layers.Flatten()(values))
    return keras.Model(image, _head(values, settings, labels))


def article_cnn(settings: Hyperparameters, labels: int) -> keras.Model:
    """The article's simplified AlexNet as it stands there: 528,502 weights for ten labels."""
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


def _base(backbone: Backbone, settings: Hyperparameters, weights: Path | None) -> keras.Model:
    options = {"alpha": settings.alpha} if backbone.widths else {}
    shape = (settings.image_size, settings.image_size, 3)
    source = "imagenet" if weights is None else None
    try:
        with warnings.catch_warnings():
            # Keras only warns where a file lacks a layer, and leaves it as chance made it.
            warnings.filterwarnings("error", category=UserWarning, module="keras")
            base = backbone.make(include_top=False, weights=source, input_shape=shape, **options)
            if weights is not None:
                base.load_weights(str(weights))
    except Exception as error:  # a download that fails is nothing narrower in Keras
        where = f"The file {weights.name} of channel 'weights'" if weights else "Keras' download"
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise BadWeights(
            f"{where} gives no weights for {settings.backbone} (alpha {settings.alpha:g}, "
            f"{shape[0]} pixels, without top): {reason}. A channel 'weights' with one .h5 file of "
            "keras.applications brings them where there is no network."
        ) from error
    return base
