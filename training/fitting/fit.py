"""Fits a network to examples: one-cycle learning rate, a log line per epoch, resume, early stop.

`fit` sets up Keras and runs it; `ResumableTraining` is the callback that keeps the best weights and
the checkpoint; `SharedAdamW` averages gradients over hosts.
"""

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
from training.fitting.stream import Examples, Prepare, pipeline_options, plan_epoch, stream
from training.fitting.workers import Workers

WARM_UP = 0.25
"""Share of all steps in which the learning rate rises; then it falls along a cosine."""

BATCH = 128
"""Images in a batch of validation."""

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
    """Trains the network, restores the weights of its best epoch, and returns the history.

    `prepare` is a pair: for training and for validation. The same examples, settings, hosts and
    machine give the same weights, interrupted or not. Raises UnevenBatch, WorkerLost.
    """
    steps = plan_epoch(train.rows.shape[1], settings, workers).steps
    network.compile(
        optimizer=_optimizer(settings, steps * settings.epochs, workers),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    training = ResumableTraining(network, settings, checkpoint, workers)
    done = training.resume()
    if done < settings.epochs and not training.stopped_early:
        network.fit(
            stream(train, prepare[0], settings, workers, done),
            validation_data=plain_batches(validation, prepare[1]),
            initial_epoch=done,
            epochs=settings.epochs,
            steps_per_epoch=steps,
            class_weight=_class_weights(train.targets) if settings.class_weights else None,
            shuffle=False,
            verbose=0,
            callbacks=[training],
        )
    for weight, value in zip(network.weights, training.best, strict=True):
        weight.assign(value)
    return training.history


class ResumableTraining(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Keeps the best weights and a checkpoint, and stops when patience ends.

    After each epoch the first host writes the checkpoint and prints
    `epoch=3 loss=… accuracy=… val_loss=… val_accuracy=… seconds=…`. Keras's EarlyStopping and
    BackupAndRestore lose the best epoch and the state of dropout when a training is resumed.
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
    def stopped_early(self) -> bool:
        """Whether the last `patience` epochs brought no better one."""
        losses = self.history["val_loss"]
        waited = len(losses) - 1 - best_epoch(self.history) if losses else 0
        return bool(self._patience) and waited >= self._patience

    def resume(self) -> int:
        """Restores the first host's checkpoint. Returns the number of completed epochs."""
        content = self._checkpoint.read() if self._workers.rank == 0 else b""
        progress = self._checkpoint.parse(self._workers.all_gather(content)[0])
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
        """Averages the statistics of batch norm: each host saw different images."""
        if self._workers.count > 1:
            for weight in self._network.non_trainable_weights:
                weight.assign(self._workers.all_reduce_mean(np.asarray(weight, np.float32)))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for name, value in self._first_hosts_measures(logs or {}).items():
            self.history[name].append(value)
        seconds = time.monotonic() - self._began
        self.history["seconds"].append(round(seconds, 3))
        measures = " ".join(f"{name}={self.history[name][-1]:.4f}" for name in MEASURES)
        if best_epoch(self.history) == epoch:
            self.best = self._network.get_weights()
        if self._workers.rank == 0:
            print(f"epoch={epoch + 1} {measures} seconds={seconds:.1f}", flush=True)
            variables = [np.asarray(variable) for variable in self._variables()]
            self._checkpoint.save(Progress(self.history, variables, self.best))
        if self.stopped_early:
            print(f"stopped_early=1 best_epoch={best_epoch(self.history) + 1}", flush=True)
            self.model.stop_training = True

    def _first_hosts_measures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """All hosts use these, so that they choose the same best epoch and stop together."""
        own = json.dumps({name: float(logs[name]) for name in MEASURES})
        measures: dict[str, float] = json.loads(self._workers.all_gather(own.encode())[0])
        return measures

    def _variables(self) -> list[Any]:
        """Weights, the states of dropout's random numbers, and the optimizer's moments."""
        seeds = [var for var in self._network.variables if "seed_generator" in var.path]
        return [*self._network.weights, *seeds, *self._network.optimizer.variables]


def plain_batches(examples: Examples, prepare: Prepare) -> tf.data.Dataset:
    """Yields (inputs, targets) in order, not shuffled."""
    rows, targets = examples.rows[0], examples.targets
    dtype = tf.as_dtype(rows.dtype)

    def read(begin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, labels = tf.numpy_function(
            lambda start: (rows[start : start + BATCH], targets[start : start + BATCH]),
            [begin],
            (dtype, tf.float32),
        )
        inputs.set_shape([None, *rows.shape[1:]])
        labels.set_shape([None, *targets.shape[1:]])
        return prepare(inputs, tf.zeros(2, tf.int64)), labels

    batches = tf.data.Dataset.range(0, len(targets), BATCH).map(read).prefetch(1)
    return batches.with_options(pipeline_options())


def _class_weights(targets: NDArray[np.float32]) -> dict[int, float] | None:
    """Weights that balance the classes; None if they are balanced already."""
    counts = targets.sum(axis=0)
    weights = len(targets) / (len(counts) * counts)
    if np.ptp(weights) < 0.01:
        return None
    return {index: float(weight) for index, weight in enumerate(weights)}


def _optimizer(
    settings: Hyperparameters, steps: int, workers: Workers
) -> keras.optimizers.Optimizer:
    """AdamW whose learning rate rises for `WARM_UP` of all steps and then falls along a cosine."""
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
    """AdamW that applies the mean of all hosts' gradients."""

    def __init__(self, workers: Workers, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self._workers = workers

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        if self._workers.count > 1:
            grads = self._mean(grads)
        return super().apply(grads, trainable_variables)

    def _mean(self, grads: list[tf.Tensor]) -> list[tf.Tensor]:
        """Averages all gradients of a step in one message."""
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in grads], 0)
        shared = tf.numpy_function(self._workers.all_reduce_mean, [flat], tf.float32)
        sizes = [int(np.prod(gradient.shape)) for gradient in grads]
        shared.set_shape([sum(sizes)])
        parts = tf.split(shared, sizes)
        return [tf.reshape(part, old.shape) for part, old in zip(parts, grads, strict=True)]
