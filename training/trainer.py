"""Trains a network on a data set: from pixels, or from the cached features of its frozen trunk.

From cached features the last layer can be computed in closed form: instead of gradient descent
(method `head`), or before it (`fine-tune`).
"""

import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.heads.fitting import FittedHead, fit_head
from facet.recipes import PRETRAINED, Hyperparameters
from training.dataset import Dataset, ImageSet
from training.export.graph import normalise
from training.fitting.augment import Augmentation, augment
from training.fitting.checkpoint import Checkpoint, History
from training.fitting.features import Features, extract, pool, restore
from training.fitting.fit import MEASURES, fit
from training.fitting.stream import Examples, plan_epoch
from training.fitting.whitening import whiten
from training.fitting.workers import Workers
from training.networks import Network

FITTED = ("train", "validation")
"""The sets that choose a network; with `head`, both are fitted in the end."""

FASTER = {"amx_bf16": ("cnn", "article-cnn", *PRETRAINED), "avx512_bf16": ("cnn", "vgg16")}
"""Flags of processors that multiply bfloat16 faster than float32, and the backbones that gain.

A MobileNet's depthwise convolutions do not: with AVX-512 its features take up to 1.3 times as long.
"""


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
    if settings.method == "head":
        return _compute_head(network, data, settings, folder, workers)
    if network.trunk is not None and settings.cache_features:
        return _train_on_features(network, data, settings, folder, checkpoint, workers)
    return _train_on_pixels(network, data, settings, checkpoint, workers)


def refit(network: Network, data: Dataset, settings: Hyperparameters, folder: Path) -> None:
    """Computes the head of `train` again, from the validation images too; `folder` is the same.

    What the network answers for those images says nothing about its accuracy afterwards.
    """
    train, validation = (np.load(folder / f"{name}-pooled.npy") for name in FITTED)
    targets = np.concatenate([_targets(data, data.train), _targets(data, data.validation)])
    head = fit_head(
        np.concatenate([train, validation], axis=1), targets, balanced=settings.class_weights
    )
    network.tail.layers[-1].set_weights([head.kernel, head.bias])
    print(f"refit=1 images={len(targets)}", flush=True)


def dtype_policy(settings: Hyperparameters, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Keras's dtype policy. `auto` is bfloat16 if the processor is faster with it.

    AMX makes VGG16 four times faster, AVX-512 BF16 twice, and a cnn 1.4 times.
    """
    precision = settings.precision
    if precision == "auto":
        flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
        fast = any(flag in flags and settings.backbone in FASTER[flag] for flag in FASTER)
        precision = "bfloat16" if fast else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def _compute_head(
    network: Network, data: Dataset, settings: Hyperparameters, folder: Path, workers: Workers
) -> History:
    """The history has one epoch, whose training measures are those of images left out."""
    began = time.monotonic()
    pooled = []
    for name in FITTED:
        features = _cached(network, data, name, settings, folder, workers)
        pooled.append(pool(network, features))
        np.save(folder / f"{name}-pooled.npy", pooled[-1])
    head = _start_from_head(network, data, settings, pooled[0], workers)
    measures = (head.loss, head.accuracy, *_measures(network, pooled[1][0], data.validation))
    seconds = time.monotonic() - began
    described = " ".join(
        f"{name}={value:.4f}" for name, value in zip(MEASURES, measures, strict=True)
    )
    print(f"head=1 strength={head.strength:.2g} {described} seconds={seconds:.1f}", flush=True)
    return {name: [value] for name, value in zip(MEASURES, measures, strict=True)} | {
        "seconds": [round(seconds, 3)]
    }


def _start_from_head(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    pooled: NDArray[np.float32],
    workers: Workers,
) -> FittedHead:
    """Gives the network the first host's head."""
    head = fit_head(pooled, _targets(data, data.train), balanced=settings.class_weights)
    layer = network.tail.layers[-1]
    own = np.concatenate([head.kernel.ravel(), head.bias]).tobytes()
    shared = np.frombuffer(workers.all_gather(own)[0], np.float32)
    layer.set_weights(
        [shared[: head.kernel.size].reshape(head.kernel.shape), shared[head.kernel.size :]]
    )
    return head


def _measures(
    network: Network, pooled: NDArray[np.float32], images: ImageSet
) -> tuple[float, float]:
    """Loss in nats and accuracy."""
    logits = tf.constant(pooled) @ network.tail.layers[-1].kernel + network.tail.layers[-1].bias
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(images.classes, logits)
    right = np.asarray(logits).argmax(axis=1) == images.classes
    return float(np.mean(losses)), float(right.mean())


def _cached(
    network: Network,
    data: Dataset,
    name: str,
    settings: Hyperparameters,
    folder: Path,
    workers: Workers,
) -> Features:
    """For a head, image and mirrored image, validation images too; they are fitted in the end."""
    file, images = folder / f"{name}-features.npy", data.sets[name]
    if head := settings.method == "head":
        views = 1 + settings.flip
    else:
        views = settings.views if name == "train" else 1
    features = extract(network, images, settings, file, workers, views=views, mirrored=head)
    print(f"cached={name} features={file.stat().st_size / 1e6:.1f}MB", flush=True)
    return features


def _train_on_features(
    network: Network,
    data: Dataset,
    settings: Hyperparameters,
    folder: Path,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    def cached(name: str) -> Examples:
        features = _cached(network, data, name, settings, folder, workers)
        return Examples(features, _targets(data, data.sets[name]))

    def prepare(rows: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return restore(rows)

    plan_epoch(len(data.train), settings, workers)  # fails before features take an hour
    train, validation = cached("train"), cached("validation")
    steps = (prepare, prepare)
    if settings.method != "fine-tune":
        return fit(network.tail, train, validation, steps, settings, checkpoint, workers)
    head = _start_from_head(network, data, settings, pool(network, train.rows), workers)
    pooled = pool(network, validation.rows)[0]
    _, accuracy = _measures(network, pooled, data.validation)
    print(f"head=1 strength={head.strength:.2g} val_accuracy={accuracy:.4f}", flush=True)
    start = network.tail.get_weights()
    history = fit(network.tail, train, validation, steps, settings, checkpoint, workers)
    if accuracy > max(history["val_accuracy"]):
        print("kept=head reason=no epoch has as many validation images right", flush=True)
        network.tail.set_weights(start)
    return history


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
    whiten(network, data.train, workers)
    return fit(network.whole, train, validation, steps, settings, checkpoint, workers)


def _targets(data: Dataset, images: ImageSet) -> NDArray[np.float32]:
    return np.eye(len(data.labels), dtype=np.float32)[images.classes]
