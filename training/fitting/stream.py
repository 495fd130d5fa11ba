"""Training batches as one stream over all epochs, each a function of the seed and its number.

So a resumed training sees what the interrupted one would have seen, and hosts agree without a word.
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
"""(rows of a batch, seed of two ints) → what the network takes."""


class BadBatch(FacetError):
    """A batch size that the hosts cannot share."""


@dataclass(frozen=True, eq=False)
class Examples:
    """`rows` is (views, n, …): pixels, or cached features, of `views` variants of each image;
    `targets` float32 (n, labels), one-hot.
    """

    rows: NDArray[np.generic]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """`batch` images a step, over all hosts; `steps` in an epoch."""

    count: int
    batch: int
    steps: int


def plan(count: int, settings: Hyperparameters, workers: Workers) -> Plan:
    """How `count` images make an epoch. Raises BadBatch.

    One host takes them all. Several take equal shares of full batches, as means of unequal shares
    would not add up; the few images over are other ones in each epoch.
    """
    batch = min(settings.batch_size, count)
    if workers.count == 1:
        return Plan(count, batch, -(-count // batch))
    batch -= batch % workers.count if batch == count else 0
    if not batch or batch % workers.count:
        raise BadBatch(
            f"batch-size {settings.batch_size} cannot be shared evenly by {workers.count} hosts."
        )
    return Plan(count, batch, count // batch)


def stream(
    examples: Examples,
    prepare: Prepare,
    settings: Hyperparameters,
    workers: Workers,
    first_epoch: int,
) -> tf.data.Dataset:
    """This host's (inputs, targets) of every step from `first_epoch` to the last."""
    views, count = examples.rows.shape[:2]
    epoch_plan = plan(count, settings, workers)

    def steps(epoch: tf.Tensor) -> tf.data.Dataset:
        draws = tf.random.stateless_uniform([count], [settings.seed, -1 - epoch])
        order = tf.data.Dataset.from_tensor_slices(tf.argsort(draws, stable=True))
        numbered = order.batch(epoch_plan.batch).take(epoch_plan.steps).enumerate()
        return numbered.map(lambda step, chosen: (epoch, step, chosen))

    def share(
        epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        number = (epoch * epoch_plan.steps + step) * workers.count + workers.rank
        seed = tf.stack([tf.constant(settings.seed, tf.int64), number])
        return chosen[workers.rank :: workers.count], epoch % views, seed

    read = _reader(examples)
    return (
        tf.data.Dataset.range(first_epoch, settings.epochs)
        .flat_map(steps)
        .map(share)
        .map(lambda chosen, view, seed: (*read(chosen, view), seed))
        .map(lambda rows, targets, seed: (prepare(rows, seed), targets))
        .prefetch(tf.data.AUTOTUNE)
        .with_options(quiet())
    )


def quiet() -> tf.data.Options:
    """Options that leave maps as they are written: TensorFlow would make the reading parallel, and
    then undo that for determinism's sake, with a complaint in the log.

    Its autotuner is off: the end of an iterator can miss it asleep, and then waits until it wakes,
    after 10 ms doubled again and again, which is up to as long as the iterator ran (2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.map_parallelization = False
    return options


def _reader(
    examples: Examples,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    rows, targets = examples.rows, examples.targets
    kinds = (tf.as_dtype(rows.dtype), tf.float32)

    def read(chosen: tf.Tensor, view: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.numpy_function(
            lambda which, variant: (rows[variant][which], targets[which]), [chosen, view], kinds
        )
        found[0].set_shape([None, *rows.shape[2:]])
        found[1].set_shape([None, *targets.shape[1:]])
        return found[0], found[1]

    return read
