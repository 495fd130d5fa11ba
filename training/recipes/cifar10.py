"""CIFAR-10: the article's simplified AlexNet with 3x3 kernels and pooling before batch norm."""

import keras
from keras import layers

from facet.manifest import InputSpec
from training.augment import Augmentation
from training.recipes.recipe import Hyperparameters, Recipe


def network(spec: InputSpec, labels: int) -> keras.Model:
    """Three convolutions (pooled, then normalised) and two dense layers; about 610,000 weights."""
    picture = values = keras.Input((spec.height, spec.width, spec.channels))
    for filters in (32, 64, 128):
        values = layers.Conv2D(filters, 3, padding="same", use_bias=False)(values)
        values = layers.MaxPooling2D()(values)
        values = layers.BatchNormalization()(values)
        values = layers.ReLU()(values)
    values = layers.Dropout(0.1)(layers.Flatten()(values))
    values = layers.Dropout(0.3)(layers.Dense(250, activation="relu")(values))
    return keras.Model(picture, layers.Dense(labels)(values))


RECIPE = Recipe(
    name="cifar10",
    description="Small photographs: three convolutions and two dense layers on 32x32 pixels",
    spec=InputSpec(
        tensor="image",
        encoding="uint8",
        height=32,
        width=32,
        scale=1 / 255,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.247, 0.2435, 0.2616),
    ),
    defaults=Hyperparameters(
        epochs=22,
        batch_size=128,
        learning_rate=4e-3,
        weight_decay=0.01,
        label_smoothing=0.1,
        validation_share=0.04,
    ),
    augmentation=Augmentation(shift=0.12, flip=True),
    network=network,
)
