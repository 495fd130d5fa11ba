"""How a network learns from a data set: from pixels, or from the cached features of its trunk."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.recipes import Hyperparameters
from training.dataset import Dataset, ImageSet
from training.export.graph import normalised
from training.fitting.augment import Augmentation, augment
from training.fitting.checkpoint import Checkpoint, History
from training.fitting.features import extract, restored
from training.fitting.fit import fit
from training.fitting.stream import Examples, plan
from training.fitting.workers import Workers
from training.networks import Network

CPUINFO = Path("/proc/cpuinfo")


def learn(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    folder: Path,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    """Trains the network's tail, or all of it that is not frozen; `folder` takes the features."""
    if network.trunk is not None and settings.cache_features:
        return _from_features(network, data, settings, folder, checkpoint, workers)
    return _from_pixels(network, data, settings, checkpoint, workers)


def policy(settings: Hyperparameters) -> str:
    """Keras' dtype policy: bfloat16 where it is asked for, or the processor has matrix units for
    it (AMX: 4 times faster on VGG16, docs/benchmarks.md).
    """
    wanted = settings.precision
    if wanted == "auto":
        fast = CPUINFO.exists() and " amx_bf16" in CPUINFO.read_text()
        wanted = "bfloat16" if fast else "float32"
    return "mixed_bfloat16" if wanted == "bfloat16" else "float32"


def _from_features(
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
        return restored(rows)

    plan(len(data.train), settings, workers)  # refuses before the features cost an hour
    train = cached("train", data.train, settings.views)
    validation = cached("validation", data.validation, 1)
    both = (prepare, prepare)
    return fit(network.tail, train, validation, both, settings, checkpoint, workers)


def _from_pixels(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    augmentation = Augmentation.of(settings)

    def changed(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return normalised(network.spec, augment(augmentation, pixels, seed))

    def unchanged(pixels: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return normalised(network.spec, pixels)

    def examples(images: ImageSet) -> Examples:
        return Examples(images.pixels[None], _targets(data, images))

    train, validation = examples(data.train), examples(data.validation)
    both = (changed, unchanged)
    return fit(network.whole, train, validation, both, settings, checkpoint, workers)


def _targets(data: Dataset, images: ImageSet) -> NDArray[np.float32]:
    return np.eye(len(data.labels), dtype=np.float32)[images.classes]
