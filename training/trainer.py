"""Trains a network on a data set: from pixels, or from the cached features of its frozen trunk."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.recipes import Hyperparameters
from training.dataset import Dataset, ImageSet
from training.export.graph import normalise
from training.fitting.augment import Augmentation, augment
from training.fitting.checkpoint import Checkpoint, History
from training.fitting.features import extract, restore
from training.fitting.fit import fit
from training.fitting.stream import Examples, plan_epoch
from training.fitting.workers import Workers
from training.networks import Network

CPUINFO = Path("/proc/cpuinfo")


def train(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    folder: Path,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    """Trains the layers that are not frozen and returns the history; `folder` takes the features.

    Raises UnevenBatch, WorkerLost.
    """
    if network.trunk is not None and settings.cache_features:
        return _train_on_features(network, data, settings, folder, checkpoint, workers)
    return _train_on_pixels(network, data, settings, checkpoint, workers)


def dtype_policy(settings: Hyperparameters) -> str:
    """Keras's dtype policy. `auto` is bfloat16 if the processor has matrix units for it.

    Those (AMX) make VGG16 four times faster.
    """
    precision = settings.precision
    if precision == "auto":
        fast = CPUINFO.exists() and " amx_bf16" in CPUINFO.read_text()
        precision = "bfloat16" if fast else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def _train_on_features(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    folder: Path,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    def cached(name: str, images: ImageSet, views: int) -> Examples:
        file = folder / f"{name}-features.npy"
        features = extract(network, images, settings, file, workers, views=views)
        print(f"cached={name} features={file.stat().st_size / 1e6:.1f}MB", flush=True)
        return Examples(features, _targets(data, images))

    def prepare(rows: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return restore(rows)

    plan_epoch(len(data.train), settings, workers)  # fails before features take an hour
    train = cached("train", data.train, settings.views)
    validation = cached("validation", data.validation, 1)
    steps = (prepare, prepare)
    return fit(network.tail, train, validation, steps, settings, checkpoint, workers)


def _train_on_pixels(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    augmentation = Augmentation.of(settings)

    def augmented(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return normalise(network.spec, augment(augmentation, pixels, seed))

    def unchanged(pixels: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return normalise(network.spec, pixels)

    def examples(images: ImageSet) -> Examples:
        return Examples(images.pixels[None], _targets(data, images))

    train, validation = examples(data.train), examples(data.validation)
    steps = (augmented, unchanged)
    return fit(network.whole, train, validation, steps, settings, checkpoint, workers)


def _targets(data: Dataset, images: ImageSet) -> NDArray[np.float32]:
    return np.eye(len(data.labels), dtype=np.float32)[images.classes]
