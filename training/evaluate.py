"""Evaluates a network on images that it was not trained on."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.manifest import InputSpec
from training.dataset import ImageSet
from training.export.graph import normalise

BATCH = 64


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`confusion` is int64 (labels, labels): rows are the true class, columns the prediction.

    `loss` is the mean cross-entropy in nats.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def accuracy(self) -> float:
        """The share of images whose prediction is right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the classes' recalls, so that rare classes count as much as frequent ones."""
        counts = self.confusion.sum(axis=1)
        present = counts > 0
        return float(np.mean(np.diag(self.confusion)[present] / counts[present]))

    @property
    def measures(self) -> dict[str, float]:
        """The measures that go into the manifest, rounded to four digits."""
        return {
            "loss": round(self.loss, 4),
            "accuracy": round(self.accuracy, 4),
            "balanced_accuracy": round(self.balanced_accuracy, 4),
        }


def evaluate(network: keras.Model, spec: InputSpec, images: ImageSet) -> Evaluation:
    """Runs the network (images → logits) on every image."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def log_probabilities(pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(normalise(spec, pixels), training=False))

    labels = network.output_shape[-1]
    confusion = np.zeros((labels, labels), dtype=np.int64)
    loss = 0.0
    for begin in range(0, len(images), BATCH):
        scores = np.asarray(log_probabilities(tf.constant(images.pixels[begin : begin + BATCH])))
        classes = images.classes[begin : begin + BATCH]
        np.add.at(confusion, (classes, scores.argmax(axis=1)), 1)
        loss -= float(scores[np.arange(len(classes)), classes].sum())
    return Evaluation(confusion, loss / len(images))
