"""How good a network is on images that it did not learn from."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.manifest import InputSpec
from training.dataset import ImageSet
from training.export.graph import normalised

BATCH = 64


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`confusion` is int64 (labels, labels): rows are the true class, columns the answer.

    `loss` is the mean cross-entropy in nats.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def accuracy(self) -> float:
        """The share of images that got their label."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """The mean over all classes of the share that got its label; rare classes count as much."""
        counts = self.confusion.sum(axis=1)
        there = counts > 0
        return float(np.mean(np.diag(self.confusion)[there] / counts[there]))

    @property
    def measures(self) -> dict[str, float]:
        """For the manifest."""
        return {
            "loss": round(self.loss, 4),
            "accuracy": round(self.accuracy, 4),
            "balanced_accuracy": round(self.balanced_accuracy, 4),
        }


def evaluate(network: keras.Model, spec: InputSpec, images: ImageSet) -> Evaluation:
    """Asks the network (images → logits) about each image."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def answer(pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(normalised(spec, pixels), training=False))

    labels = network.output_shape[-1]
    confusion = np.zeros((labels, labels), dtype=np.int64)
    loss = 0.0
    for begin in range(0, len(images), BATCH):
        scores = np.asarray(answer(tf.constant(images.pixels[begin : begin + BATCH])))
        classes = images.classes[begin : begin + BATCH]
        np.add.at(confusion, (classes, scores.argmax(axis=1)), 1)
        loss -= float(scores[np.arange(len(classes)), classes].sum())
    return Evaluation(confusion, loss / len(images))
