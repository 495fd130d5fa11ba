"""Training batches as one stream over all epochs.

Each batch depends only on the seed and its number. So a resumed training sees the batches that the
interrupted one would have seen, and hosts agree on batches without communicating.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.errors import FacetError
from facet.recipes import Hyperparameters
from training.fitting.workers import Workers

Prepare = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(rows of a batch, seed of two ints) → input of the network."""


class UnevenBatch(FacetError):
    """The batch size is not a multiple of the number of hosts."""


@dataclass(frozen=True, eq=False)
class Examples:
    """`rows` is (views, n, …): pixels or cached features of `views` variants of each image.
    `targets` is float32 (n, labels), one-hot.
    """

    rows: NDArray[np.generic]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class EpochPlan:
    """An epoch of `count` images has `steps` steps of `batch` images, over all hosts."""

    count: int
    batch: int
    steps: int


def plan_epoch(count: int, settings: Hyperparameters, workers: Workers) -> EpochPlan:
    """Divides `count` images into the steps of an epoch. Raises UnevenBatch.

    A single host uses all images. Several hosts use equal shares of full batches, because the mean
    of unequal shares would be biased; the few images left out differ in each epoch.
    """
    batch = min(settings.batch_size, count)
    if workers.count == 1:
        return EpochPlan(count, batch, -(-count // batch))
    batch -= batch % workers.count if batch == count else 0
    if not batch or batch % workers.count:
        raise UnevenBatch(
            f"batch-size {settings.batch_size} cannot be divided evenly among {workers.count} "
            "hosts; use a multiple of their number."
        )
    return EpochPlan(count, batch, count // batch)


def stream(
    examples: Examples,
    prepare: Prepare,
    settings: Hyperparameters,
    workers: Workers,
    first_epoch: int,
) -> tf.data.Dataset:
    """Yields this host's (inputs, targets) of every step from `first_epoch` to the last epoch."""
    views, count = examples.rows.shape[:2]
    epoch_plan = plan_epoch(count, settings, workers)

    def steps(epoch: tf.Tensor) -> tf.data.Dataset:
        draws = tf.random.stateless_uniform([count], [settings.seed, -1 - epoch])
        order = tf.data.Dataset.from_tensor_slices(tf.argsort(draws, stable=True))
        numbered = order.batch(epoch_plan.batch).take(epoch_plan.steps).enumerate()
        return numbered.map(lambda step, chosen: (epoch, step, chosen))

    def own_share(
        epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        number = (epoch * epoch_plan.steps + step) * workers.count + workers.rank
        seed = tf.stack([tf.constant(settings.seed, tf.int64), number])
        return chosen[workers.rank :: workers.count], epoch % views, seed

    read = _reader(examples)
    return (
        tf.data.Dataset.range(first_epoch, settings.epochs)
        .flat_map(steps)
        .map(own_share)
        .map(lambda chosen, view, seed: (*read(chosen, view), seed))
        .map(lambda rows, targets, seed: (prepare(rows, seed), targets))
        .prefetch(tf.data.AUTOTUNE)
        .with_options(pipeline_options())
    )


def pipeline_options() -> tf.data.Options:
    """Options that turn off automatic parallel reading and the autotuner.

    TensorFlow would make the reading parallel and then undo it for determinism, with a warning.
    The autotuner delays the end of an iterator: its thread sleeps 10 ms, then twice as long each
    time, and the end waits for it, up to as long as the iterator ran (TensorFlow 2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.map_parallelization = False
    return options


def _reader(
    examples: Examples,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    rows, targets = examples.rows, examples.targets
    dtypes = (tf.as_dtype(rows.dtype), tf.float32)

    def read(chosen: tf.Tensor, view: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, labels = tf.numpy_function(
            lambda indices, variant: (rows[variant][indices], targets[indices]),
            [chosen, view],
            dtypes,
        )
        inputs.set_shape([None, *rows.shape[2:]])
        labels.set_shape([None, *targets.shape[1:]])
        return inputs, labels

    return read
