"""Evaluates a network on images that it was not trained on."""

from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.manifest import InputSpec
from facet.statistics import wilson
from training.dataset import ImageSet
from training.export.graph import normalise

BATCH = 64


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`confusion` is int64 (labels, labels): rows are the true class, columns the prediction.

    `loss` is the mean cross-entropy in nats. `predictions` is int64 (images,), the predicted class
    of each image in the set's order.
    """

    confusion: NDArray[np.int64]
    loss: float
    predictions: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def images(self) -> int:
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """The number of images whose prediction is right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of images whose prediction is right."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy, by Wilson's score."""
        return wilson(self.correct, self.images)

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the classes' recalls, so that rare classes count as much as frequent ones."""
        counts = self.confusion.sum(axis=1)
        present = counts > 0
        return float(np.mean(np.diag(self.confusion)[present] / counts[present]))

    @property
    def measures(self) -> dict[str, float]:
        """The measures that go into the manifest, rounded to four digits.

        `accuracy_low` and `accuracy_high` are the interval's ends; `largest_class` counts the
        images of the most frequent class, which a constant answer gets right.
        """
        low, high = self.interval
        return {
            "loss": round(self.loss, 4),
            "accuracy": round(self.accuracy, 4),
            "balanced_accuracy": round(self.balanced_accuracy, 4),
            "images": float(self.images),
            "correct": float(self.correct),
            "accuracy_low": round(low, 4),
            "accuracy_high": round(high, 4),
            "largest_class": float(self.confusion.sum(axis=1).max()),
        }


def evaluate(network: keras.Model, spec: InputSpec, images: ImageSet) -> Evaluation:
    """Runs the network (images → logits) on every image."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def log_probabilities(pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(normalise(spec, pixels), training=False))

    labels = network.output_shape[-1]
    confusion = np.zeros((labels, labels), dtype=np.int64)
    predictions = np.empty(len(images), dtype=np.int64)
    loss = 0.0
    for begin in range(0, len(images), BATCH):
        scores = np.asarray(log_probabilities(tf.constant(images.pixels[begin : begin + BATCH])))
        classes = images.classes[begin : begin + BATCH]
        predictions[begin : begin + BATCH] = scores.argmax(axis=1)
        np.add.at(confusion, (classes, scores.argmax(axis=1)), 1)
        loss -= float(scores[np.arange(len(classes)), classes].sum())
    return Evaluation(confusion, loss / len(images), predictions)
