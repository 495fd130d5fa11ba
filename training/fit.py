"""Arrays → a trained network: the input pipeline, the one-cycle schedule, a line per epoch."""

import time
from dataclasses import dataclass

import keras
import tensorflow as tf

from facet.manifest import InputSpec
from training.augment import augment
from training.dataset import Dataset, Pictures
from training.graph import normalised
from training.recipes import Hyperparameters, Recipe

WARM_UP = 0.25
"""The share of all steps in which the learning rate rises; then it falls along a cosine."""

BATCH = 256
"""How many pictures are looked at together where nothing is learned."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """`history` has a list per measure with one value per epoch."""

    network: keras.Model
    history: dict[str, list[float]]
    seconds: float


def fit(recipe: Recipe, data: Dataset, settings: Hyperparameters) -> Fitted:
    """Trains the recipe's network; the same data, settings and machine give the same weights."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    network = recipe.network(recipe.spec, len(data.labels))
    batches = training_batches(data, recipe, settings)
    network.compile(
        optimizer=_optimizer(settings, len(batches) * settings.epochs),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
        jit_compile=False,
    )
    began = time.monotonic()
    history = network.fit(
        batches,
        validation_data=plain_batches(data.validation, len(data.labels), recipe.spec),
        epochs=settings.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[EpochLine()],
    )
    measures = {name: [float(value) for value in row] for name, row in history.history.items()}
    return Fitted(network, measures, time.monotonic() - began)


def evaluate(network: keras.Model, pictures: Pictures, spec: InputSpec) -> dict[str, float]:
    """`loss` and `accuracy` of a trained network."""
    batches = plain_batches(pictures, network.output_shape[-1], spec)
    measures = network.evaluate(batches, verbose=0, return_dict=True)
    return {name: float(value) for name, value in measures.items()}


class EpochLine(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Prints `epoch=3 loss=… accuracy=… val_loss=… val_accuracy=… seconds=…`."""

    def on_epoch_begin(self, *_: object) -> None:
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        measures = " ".join(
            f"{name}={(logs or {})[name]:.4f}"
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        )
        seconds = time.monotonic() - self.began
        print(f"epoch={epoch + 1} {measures} seconds={seconds:.1f}", flush=True)


def training_batches(data: Dataset, recipe: Recipe, settings: Hyperparameters) -> tf.data.Dataset:
    """Shuffled, augmented, normalised (pictures, one-hot labels); different in every epoch."""
    pixels = tf.constant(data.train.pixels)
    targets = tf.one_hot(data.train.classes, len(data.labels))
    seeds = tf.data.Dataset.random(settings.seed, rerandomize_each_iteration=True).batch(2)

    def prepared(chosen: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        changed = augment(recipe.augmentation, tf.gather(pixels, chosen), seed)
        return normalised(recipe.spec, changed), tf.gather(targets, chosen)

    order = tf.data.Dataset.range(len(data.train)).shuffle(len(data.train), seed=settings.seed)
    batches = tf.data.Dataset.zip(order.batch(settings.batch_size), seeds)
    return batches.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def plain_batches(pictures: Pictures, labels: int, spec: InputSpec) -> tf.data.Dataset:
    """Normalised (pictures, one-hot labels), in order and unchanged."""
    return (
        tf.data.Dataset.from_tensor_slices((pictures.pixels, tf.one_hot(pictures.classes, labels)))
        .batch(BATCH)
        .map(lambda pixels, targets: (normalised(spec, pixels), targets))
    )


def _optimizer(settings: Hyperparameters, steps: int) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises for a quarter of all steps and then falls along a cosine."""
    warm_up = max(1, round(WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 25,
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=1e-3,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
