"""What a frozen trunk answers to each image, computed once and kept in a file.

A frozen trunk gives the same features in every epoch, and costs most of a step.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from facet.recipes import Hyperparameters
from training.dataset import ImageSet
from training.export.graph import normalised
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
) -> Features:
    """(views, n, height, width, channels) in the trunk's own precision; bfloat16 as its bits.

    The first view is the image as it is, the others are augmented. Hosts compute a share each
    and exchange them. The array lies in `file`.
    """
    assert network.trunk is not None
    trunk, spec = network.trunk, network.spec
    kind = storage(trunk)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def answer(pixels: tf.Tensor, plan: Augmentation | None, seed: tf.Tensor) -> tf.Tensor:
        changed = augment(plan, pixels, seed) if plan else pixels
        features = trunk(normalised(spec, changed), training=False)
        return tf.bitcast(features, tf.uint16) if kind == np.uint16 else features

    shape = (views, len(images), *trunk.output_shape[1:])
    found = open_memmap(file, "w+", kind, shape)
    for view in range(views):
        plan = Augmentation.of(settings) if view else None
        for begin in range(0, len(images), BATCH * workers.count):
            seed = tf.constant([settings.seed, -begin - view * len(images)], tf.int64)
            mine = begin + workers.rank * BATCH
            rows = images.pixels[mine : mine + BATCH]
            part = np.asarray(answer(tf.constant(rows), plan, seed)) if len(rows) else np.empty(0)
            parts = workers.exchange(part.astype(kind, copy=False).tobytes())
            joined = np.frombuffer(b"".join(parts), kind).reshape(-1, *shape[2:])
            found[view, begin : begin + len(joined)] = joined
    return found


def storage(trunk: keras.Model) -> type[np.generic]:
    """The dtype in which features lie in a file: numpy's format has no bfloat16."""
    return np.uint16 if trunk.compute_dtype == "bfloat16" else np.float32


def restored(features: tf.Tensor) -> tf.Tensor:
    """The features as the trunk gave them."""
    return tf.bitcast(features, tf.bfloat16) if features.dtype == tf.uint16 else features
