"""The baseline: the article's two trainings, restated for current libraries.

"Host multiple TensorFlow computer vision models using Amazon SageMaker multi-model endpoints" (AWS
blog). Arguments that Keras 3 no longer accepts are replaced, and epochs are complete: the article
sets one step less than there are batches, so that Keras 3 would train every second epoch on the
one remaining batch. XLA is off: TensorFlow 2.3 did not use it by default, and on a CPU it slows
both trainings down.
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
"""Number of training images of sign language digits, to which an epoch is extrapolated."""

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
    """`seconds` and `processor_seconds`, of all threads, include validation, `images_per_second`
    does not. `steps` counts all epochs; `validation_accuracy` has one value per epoch."""

    epochs: int
    steps: int
    seconds: float
    processor_seconds: float
    images_per_second: float
    validation_accuracy: tuple[float, ...]
    test_accuracy: float


@dataclass(frozen=True)
class SignTraining:
    """The time of an epoch is extrapolated: the median step, times the steps of an epoch."""

    steps: int
    seconds_per_step: float

    @property
    def extrapolated_epoch_seconds(self) -> float:
        """Seconds for `SIGN_IMAGES` in batches of `SIGN_BATCH`."""
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
    """Keras's iterator of augmented (images, one-hot labels); each image once per epoch."""
    generator = ImageDataGenerator(
        width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    images, targets = _scaled(examples)
    return generator.flow(images, targets, batch_size=CIFAR_BATCH, seed=seed)


def train_cifar(train: Examples, test: Examples, *, epochs: int, seed: int = 1) -> CifarTraining:
    """Trains `cifar_network` for complete epochs; validates on 500 images drawn from `train`."""
    keras.utils.set_random_seed(seed)
    validation, rest = _split(train, seed)
    batches = cifar_batches(rest, seed)
    network = cifar_network()
    _compile(network, keras.optimizers.Adam())
    timer = EpochTimer()
    began, processor_began = time.perf_counter(), time.process_time()
    history = network.fit(
        batches, validation_data=_scaled(validation), epochs=epochs, verbose=0, callbacks=[timer]
    )
    seconds = time.perf_counter() - began
    processor_seconds = time.process_time() - processor_began
    _, accuracy = network.evaluate(*_scaled(test), verbose=0)
    return CifarTraining(
        epochs=epochs,
        steps=int(network.optimizer.iterations),
        seconds=seconds,
        processor_seconds=processor_seconds,
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
    """VGG16 with only the last block trainable: float32 (batch, 224, 224, 3) → probabilities.

    `weights` is Keras's argument; random weights (None) take the same time.
    """
    backbone = keras.applications.VGG16(
        include_top=False, weights=weights, input_shape=(224, 224, 3), pooling="avg"
    )
    for layer in backbone.layers[:-5]:
        layer.trainable = False
    scores = layers.Dense(SIGN_LABELS, activation="softmax")(backbone.output)
    return keras.Model(backbone.input, scores)


def sign_batches(folder: Path, seed: int) -> Iterator[Any]:
    """Batches of an image folder: pixels 0..255, resized by nearest neighbour, and labels."""
    batches: Iterator[Any] = ImageDataGenerator().flow_from_directory(
        str(folder), target_size=(224, 224), batch_size=SIGN_BATCH, seed=seed
    )
    return batches


def train_signs(network: keras.Model, folder: Path, *, steps: int, seed: int = 1) -> SignTraining:
    """Times `steps` training steps of the whole network, after a first one that is not timed."""
    keras.utils.set_random_seed(seed)
    _compile(network, keras.optimizers.Adam(1e-4))
    batches = sign_batches(folder, seed)
    network.train_on_batch(*next(batches))  # traces the graph
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
