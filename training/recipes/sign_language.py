"""Hand signs for digits: a small CNN trained from scratch, for a few thousand pictures."""

import keras
from keras import layers

from facet.manifest import InputSpec
from training.augment import Augmentation
from training.recipes.recipe import Hyperparameters, Recipe


def network(spec: InputSpec, labels: int) -> keras.Model:
    """Four convolutions, each pooled and normalised, and two dense layers; about 430,000 weights.

    Flattened rather than averaged, because where a finger is tells the digit.
    """
    picture = values = keras.Input((spec.height, spec.width, spec.channels))
    for filters in (24, 48, 96, 128):
        values = layers.Conv2D(filters, 3, padding="same", use_bias=False)(values)
        values = layers.MaxPooling2D()(values)
        values = layers.BatchNormalization()(values)
        values = layers.ReLU()(values)
    values = layers.Dropout(0.3)(layers.Flatten()(values))
    values = layers.Dropout(0.3)(layers.Dense(128, activation="relu")(values))
    return keras.Model(picture, layers.Dense(labels)(values))


RECIPE = Recipe(
    name="sign-language",
    description="Hand signs for digits: a small CNN trained from scratch on 64x64 pixels",
    spec=InputSpec(
        tensor="image",
        encoding="uint8",
        height=64,
        width=64,
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    ),
    defaults=Hyperparameters(
        epochs=40,
        batch_size=64,
        learning_rate=2e-3,
        weight_decay=0.05,
        label_smoothing=0.1,
        validation_share=0.15,
    ),
    augmentation=Augmentation(
        shift=0.12, rotation=15, zoom=0.35, brightness=50, contrast=0.6, tint=30
    ),
    network=network,
)
