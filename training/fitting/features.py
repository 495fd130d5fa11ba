"""The features of a frozen trunk, computed once and kept in a file.

A frozen trunk gives the same features in every epoch, and takes most of the time of a step.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from facet.recipes import Hyperparameters
from training.dataset import ImageSet
from training.export.graph import normalise
from training.fitting.augment import Augmentation, augment
from training.fitting.workers import Workers
from training.networks import Network

BATCH = 32

Features = NDArray[np.generic]


def extract(
    network: Network,
    images: ImageSet,
    settings: Hyperparameters,
    file: Path,
    workers: Workers,
    *,
    views: int = 1,
    mirrored: bool = False,
) -> Features:
    """Computes an array (views, n, height, width, channels), memory-mapped from `file`.

    It has the trunk's precision; bfloat16 is stored as its bits, uint16. The first view is the
    image itself, the others are augmented or, if `mirrored`, only mirrored. Each host computes a
    share and sends it to the others.
    """
    assert network.trunk is not None
    trunk, spec = network.trunk, network.spec
    dtype = storage_dtype(trunk)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def compute(pixels: tf.Tensor, plan: Augmentation | None, seed: tf.Tensor) -> tf.Tensor:
        changed = augment(plan, pixels, seed) if plan else pixels
        features = trunk(normalise(spec, changed), training=False)
        return tf.bitcast(features, tf.uint16) if dtype == np.uint16 else features

    shape = (views, len(images), *trunk.output_shape[1:])
    features = open_memmap(file, "w+", dtype, shape)
    for view in range(views):
        plan = Augmentation.of(settings) if view and not mirrored else None
        for begin in range(0, len(images), BATCH * workers.count):
            seed = tf.constant([settings.seed, -begin - view * len(images)], tf.int64)
            mine = begin + workers.rank * BATCH
            rows = images.pixels[mine : mine + BATCH]
            rows = rows[:, :, ::-1] if view and mirrored else rows
            part = np.asarray(compute(tf.constant(rows), plan, seed)) if len(rows) else np.empty(0)
            parts = workers.all_gather(part.astype(dtype, copy=False).tobytes())
            joined = np.frombuffer(b"".join(parts), dtype).reshape(-1, *shape[2:])
            features[view, begin : begin + len(joined)] = joined
    return features


def pool(network: Network, features: Features) -> NDArray[np.float32]:
    """The inputs (views, n, width) of the last layer, from what `extract` computed."""
    before = keras.Model(network.tail.input, network.tail.layers[-1].input)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def compute(rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(before(restore(rows), training=False), tf.float32)

    pooled = np.empty((*features.shape[:2], before.output_shape[-1]), np.float32)
    for view, rows in enumerate(features):
        for begin in range(0, len(rows), BATCH):
            pooled[view, begin : begin + BATCH] = compute(tf.constant(rows[begin : begin + BATCH]))
    return pooled


def storage_dtype(trunk: keras.Model) -> type[np.generic]:
    """The dtype of features in a file: numpy's format has no bfloat16."""
    return np.uint16 if trunk.compute_dtype == "bfloat16" else np.float32


def restore(features: tf.Tensor) -> tf.Tensor:
    """Reverses the storage: features in the trunk's precision."""
    return tf.bitcast(features, tf.bfloat16) if features.dtype == tf.uint16 else features
