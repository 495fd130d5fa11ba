"""The article's two trainings, restated from its description for today's libraries.

"Host multiple TensorFlow computer vision models using Amazon SageMaker multi-model endpoints" (AWS
blog). What Keras 3 no longer takes is put as it takes it, and an epoch is a whole one: the article
asks for one step less than there are batches, and Keras 3 then trains every second epoch on the
one batch that was left over. XLA stays off: TensorFlow 2.3 had none by default, and on a CPU it
makes both slower.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from benchmarks.epoch_timer import EpochTimer
from facet.preprocess import Pixels

CIFAR_BATCH = 32
CIFAR_VALIDATION = 500
CIFAR_LABELS = 10
SIGN_BATCH = 10
SIGN_LABELS = 10
SIGN_IMAGES = 1712
"""Sign language digits to train on: what an epoch is extrapolated to."""

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator


@dataclass(frozen=True, eq=False)
class Examples:
    """`pixels` is uint8 (n, height, width, 3), `classes` int64 (n,)."""

    pixels: Pixels
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class CifarTraining:
    """`seconds` is the whole training with its validations, which `images_per_second` leaves out;
    `steps` are those of all epochs, `validation_accuracy` has a value for each."""

    epochs: int
    steps: int
    seconds: float
    images_per_second: float
    validation_accuracy: tuple[float, ...]
    test_accuracy: float


@dataclass(frozen=True)
class SignTraining:
    """An epoch's time is not measured: it is the median step's, times an epoch's steps."""

    steps: int
    seconds_per_step: float

    @property
    def extrapolated_epoch_seconds(self) -> float:
        """For `SIGN_IMAGES` in batches of `SIGN_BATCH`."""
        return self.seconds_per_step * ceil(SIGN_IMAGES / SIGN_BATCH)


# --- CIFAR-10 ---------------------------------------------------------------------------------


def cifar_network() -> keras.Model:
    """The article's simplified AlexNet: float32 (batch, 32, 32, 3) in 0..1 → probabilities."""
    image = values = keras.Input((32, 32, 3))
    for filters in (16, 32, 64):
        values = layers.Conv2D(filters, 2, padding="same", activation="relu")(values)
        values = layers.BatchNormalization()(values)
        values = layers.MaxPooling2D()(values)
    values = layers.Flatten()(layers.Dropout(0.3)(values))
    values = layers.Dropout(0.4)(layers.Dense(500, activation="relu")(values))
    return keras.Model(image, layers.Dense(CIFAR_LABELS, activation="softmax")(values))


def cifar_batches(examples: Examples, seed: int) -> Any:
    """Keras's iterator of augmented (images, one-hot labels), each image once per epoch."""
    generator = ImageDataGenerator(
        width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    images, targets = _scaled(examples)
    return generator.flow(images, targets, batch_size=CIFAR_BATCH, seed=seed)


def train_cifar(train: Examples, test: Examples, *, epochs: int, seed: int = 1) -> CifarTraining:
    """Trains `cifar_network` for whole epochs; 500 of `train`, drawn by `seed`, validate it."""
    keras.utils.set_random_seed(seed)
    validation, rest = _split(train, seed)
    batches = cifar_batches(rest, seed)
    network = cifar_network()
    _compile(network, keras.optimizers.Adam())
    timer = EpochTimer()
    began = time.perf_counter()
    history = network.fit(
        batches, validation_data=_scaled(validation), epochs=epochs, verbose=0, callbacks=[timer]
    )
    seconds = time.perf_counter() - began
    _, accuracy = network.evaluate(*_scaled(test), verbose=0)
    return CifarTraining(
        epochs=epochs,
        steps=int(network.optimizer.iterations),
        seconds=seconds,
        images_per_second=timer.images_per_second(len(rest)),
        validation_accuracy=tuple(map(float, history.history["val_accuracy"])),
        test_accuracy=float(accuracy),
    )


def _split(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    order = np.random.default_rng(seed).permutation(len(examples))
    first, rest = order[:CIFAR_VALIDATION], order[CIFAR_VALIDATION:]
    return (
        Examples(examples.pixels[first], examples.classes[first]),
        Examples(examples.pixels[rest], examples.classes[rest]),
    )


def _scaled(examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    targets = np.eye(CIFAR_LABELS, dtype=np.float32)[examples.classes]
    return examples.pixels.astype(np.float32) / np.float32(255), targets


# --- Sign language digits ---------------------------------------------------------------------


def sign_network(*, weights: str | None = None) -> keras.Model:
    """VGG16 of which only the last block learns: float32 (batch, 224, 224, 3) → probabilities.

    `weights` as Keras takes them. Random ones (None) take the same time.
    """
    backbone = keras.applications.VGG16(
        include_top=False, weights=weights, input_shape=(224, 224, 3), pooling="avg"
    )
    for layer in backbone.layers[:-5]:
        layer.trainable = False
    scores = layers.Dense(SIGN_LABELS, activation="softmax")(backbone.output)
    return keras.Model(backbone.input, scores)


def sign_batches(folder: Path, seed: int) -> Iterator[Any]:
    """Images of an image folder: 0..255, brought to size by nearest neighbour, and labels."""
    batches: Iterator[Any] = ImageDataGenerator().flow_from_directory(
        str(folder), target_size=(224, 224), batch_size=SIGN_BATCH, seed=seed
    )
    return batches


def train_signs(network: keras.Model, folder: Path, *, steps: int, seed: int = 1) -> SignTraining:
    """Times `steps` steps of `sign_network`, each the whole of it, after a first one."""
    keras.utils.set_random_seed(seed)
    _compile(network, keras.optimizers.Adam(1e-4))
    batches = sign_batches(folder, seed)
    network.train_on_batch(*next(batches))  # traces
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        network.train_on_batch(*next(batches))
        seconds.append(time.perf_counter() - began)
    return SignTraining(steps, median(seconds))


def _compile(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    network.compile(
        optimizer, loss="categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
