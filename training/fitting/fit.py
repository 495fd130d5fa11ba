"""A network and its examples → trained weights: one-cycle schedule, a line per epoch, resume."""

import json
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.recipes import Hyperparameters
from training.fitting.checkpoint import Checkpoint, History, Progress, best_epoch
from training.fitting.stream import Examples, Prepare, plan, quiet, stream
from training.fitting.workers import Workers

WARM_UP = 0.25
"""The share of all steps in which the learning rate rises; then it falls along a cosine."""

BATCH = 128
"""How many images are looked at together where nothing is learned."""

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def fit(
    network: keras.Model,
    train: Examples,
    validation: Examples,
    prepare: tuple[Prepare, Prepare],
    settings: Hyperparameters,
    checkpoint: Checkpoint,
    workers: Workers,
) -> History:
    """Trains the network, leaves it with the weights of its best epoch, and answers its history.

    `prepare` is for training and for validation. The same examples, settings, hosts and machine
    give the same weights, interrupted or not.
    """
    steps = plan(train.rows.shape[1], settings, workers).steps
    network.compile(
        optimizer=_optimizer(settings, steps * settings.epochs, workers),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    course = ResumableTraining(network, settings, checkpoint, workers)
    done = course.resume()
    if done < settings.epochs and not course.over:
        network.fit(
            stream(train, prepare[0], settings, workers, done),
            validation_data=plain_batches(validation, prepare[1]),
            initial_epoch=done,
            epochs=settings.epochs,
            steps_per_epoch=steps,
            class_weight=_class_weights(train.targets) if settings.class_weights else None,
            shuffle=False,
            verbose=0,
            callbacks=[course],
        )
    for weight, value in zip(network.weights, course.best, strict=True):
        weight.assign(value)
    return course.history


class ResumableTraining(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """One training from its first epoch to its end, over interruptions.

    After each epoch it keeps the best weights, and the first host writes the checkpoint and prints
    `epoch=3 loss=… accuracy=… val_loss=… val_accuracy=… seconds=…`. Keras' EarlyStopping and
    BackupAndRestore forget the best epoch and the state of dropout when a training is resumed.
    """

    def __init__(
        self,
        network: keras.Model,
        settings: Hyperparameters,
        checkpoint: Checkpoint,
        workers: Workers,
    ) -> None:
        super().__init__()
        self._network = network
        self._patience = settings.patience
        self._checkpoint = checkpoint
        self._workers = workers
        self.history: History = {name: [] for name in (*MEASURES, "seconds")}
        self.best: list[Any] = []

    @property
    def over(self) -> bool:
        """Whether the best epoch lies as far back as patience goes."""
        losses = self.history["val_loss"]
        waited = len(losses) - 1 - best_epoch(self.history) if losses else 0
        return bool(self._patience) and waited >= self._patience

    def resume(self) -> int:
        """Takes up the chief's checkpoint; how many epochs are done."""
        content = self._checkpoint.read() if self._workers.rank == 0 else b""
        progress = self._checkpoint.parse(self._workers.exchange(content)[0])
        if progress is None:
            return 0
        for variable, value in zip(self._variables(), progress.variables, strict=True):
            variable.assign(value)
        self.history, self.best = progress.history, progress.best
        print(f"resumed=1 epochs_done={progress.epochs}", flush=True)
        return progress.epochs

    def on_epoch_begin(self, *_: object) -> None:
        self._began = time.monotonic()

    def on_test_begin(self, *_: object) -> None:
        """Hosts saw different images: what batch norm counted becomes one again."""
        if self._workers.count > 1:
            for weight in self._network.non_trainable_weights:
                weight.assign(self._workers.mean(np.asarray(weight, np.float32)))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for name, value in self._agreed(logs or {}).items():
            self.history[name].append(value)
        took = time.monotonic() - self._began
        self.history["seconds"].append(round(took, 3))
        words = " ".join(f"{name}={self.history[name][-1]:.4f}" for name in MEASURES)
        if best_epoch(self.history) == epoch:
            self.best = self._network.get_weights()
        if self._workers.rank == 0:
            print(f"epoch={epoch + 1} {words} seconds={took:.1f}", flush=True)
            variables = [np.asarray(each) for each in self._variables()]
            self._checkpoint.save(Progress(self.history, variables, self.best))
        if self.over:
            print(f"stopped_early=1 best_epoch={best_epoch(self.history) + 1}", flush=True)
            self.model.stop_training = True

    def _agreed(self, logs: Mapping[str, float]) -> dict[str, float]:
        """The first host's measures: all must stop, and find the best epoch, at the same time."""
        own = json.dumps({name: float(logs[name]) for name in MEASURES})
        agreed: dict[str, float] = json.loads(self._workers.exchange(own.encode())[0])
        return agreed

    def _variables(self) -> list[Any]:
        """Weights, the states of dropout's random numbers, and the optimizer's moments."""
        seeds = [each for each in self._network.variables if "seed_generator" in each.path]
        return [*self._network.weights, *seeds, *self._network.optimizer.variables]


def plain_batches(examples: Examples, prepare: Prepare) -> tf.data.Dataset:
    """Unchanged (inputs, targets), in order."""
    rows, targets = examples.rows[0], examples.targets
    kind = tf.as_dtype(rows.dtype)

    def read(begin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.numpy_function(
            lambda at: (rows[at : at + BATCH], targets[at : at + BATCH]),
            [begin],
            (kind, tf.float32),
        )
        found[0].set_shape([None, *rows.shape[1:]])
        found[1].set_shape([None, *targets.shape[1:]])
        return prepare(found[0], tf.zeros(2, tf.int64)), found[1]

    return tf.data.Dataset.range(0, len(targets), BATCH).map(read).prefetch(1).with_options(quiet())


def _class_weights(targets: NDArray[np.float32]) -> dict[int, float] | None:
    """What makes every class count the same in all; None where they do anyway."""
    counts = targets.sum(axis=0)
    weights = len(targets) / (len(counts) * counts)
    if np.ptp(weights) < 0.01:
        return None
    return {index: float(weight) for index, weight in enumerate(weights)}


def _optimizer(
    settings: Hyperparameters, steps: int, workers: Workers
) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises for a quarter of all steps and then falls along a cosine."""
    warm_up = max(1, round(WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 25,
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=1e-3,
    )
    optimizer = SharedAdamW(workers, rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


class SharedAdamW(keras.optimizers.AdamW):  # type: ignore[misc]  # keras is untyped
    """AdamW on the mean of all hosts' gradients."""

    def __init__(self, workers: Workers, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self._workers = workers

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        if self._workers.count > 1:
            grads = self._mean(grads)
        return super().apply(grads, trainable_variables)

    def _mean(self, grads: list[tf.Tensor]) -> list[tf.Tensor]:
        """One exchange for all gradients of a step."""
        flat = tf.concat([tf.reshape(each, [-1]) for each in grads], 0)
        shared = tf.numpy_function(self._workers.mean, [flat], tf.float32)
        sizes = [int(np.prod(each.shape)) for each in grads]
        shared.set_shape([sum(sizes)])
        parts = tf.split(shared, sizes)
        return [tf.reshape(part, each.shape) for part, each in zip(parts, grads, strict=True)]
