"""Evaluates and calibrates a network on images that it was not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.heads.calibration import (
    LogProbabilities,
    Reliability,
    cross_tempered,
    fit_temperature,
    tempered,
)
from facet.specs import InputSpec
from facet.statistics import wilson
from training.dataset import Dataset, ImageSet
from training.export.graph import normalise

BATCH = 64

ENOUGH = 100
"""Images that determine a temperature well: with fewer, doubt about the next image dominates."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`confusion` is int64 (labels, labels): rows are the true class, columns the prediction.

    `loss` is the mean cross-entropy in nats, `reliability` the images by their best score.
    `log_probabilities` is (images, labels).
    """

    confusion: NDArray[np.int64]
    loss: float
    reliability: Reliability
    log_probabilities: LogProbabilities

    @classmethod
    def of(cls, log_probabilities: LogProbabilities, classes: NDArray[np.int64]) -> "Evaluation":
        """Compares scores with the true classes."""
        images, labels = log_probabilities.shape
        confusion = np.zeros((labels, labels), dtype=np.int64)
        np.add.at(confusion, (classes, log_probabilities.argmax(axis=1)), 1)
        loss = -log_probabilities[np.arange(images), classes].mean(dtype=np.float64)
        return cls(
            confusion,
            float(loss),
            Reliability.of(log_probabilities, classes),
            log_probabilities,
        )

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The predicted class of each image, in the set's order."""
        return np.asarray(self.log_probabilities.argmax(axis=1), dtype=np.int64)

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
            "calibration_error": round(self.reliability.error, 4),
        }


@dataclass(frozen=True, eq=False)
class Calibration:
    """A temperature, and evaluations by channel before and after the logits are divided by it.

    It is fitted to the images of the channel `fitted_on`. What `after` says about them was measured
    with two other temperatures, each fitted to the other half of them.
    """

    temperature: float
    fitted_on: str
    before: Mapping[str, Evaluation]
    after: Mapping[str, Evaluation]

    @property
    def document(self) -> dict[str, object]:
        """For `metrics.json`."""
        return {
            "temperature": self.temperature,
            "fitted_on": self.fitted_on,
            "before": {name: each.reliability.document for name, each in self.before.items()},
            "after": {name: each.reliability.document for name, each in self.after.items()},
        }


def calibrate(evaluations: Mapping[str, Evaluation], data: Dataset) -> Calibration:
    """Fits the temperature to the test images, which did not choose the best epoch.

    It is fitted to the validation images if there are no test images, or if only the validation
    images are `ENOUGH`.
    """
    fitted_on = "test" if "test" in evaluations else "validation"
    if evaluations[fitted_on].images < ENOUGH <= evaluations["validation"].images:
        fitted_on = "validation"
    rows = {name: each.log_probabilities for name, each in evaluations.items()}
    classes = {name: data.sets[name].classes for name in evaluations}
    temperature = fit_temperature(rows[fitted_on], classes[fitted_on])
    after = {
        name: cross_tempered(each, classes[name])
        if name == fitted_on
        else tempered(each, temperature)
        for name, each in rows.items()
    }
    return Calibration(
        temperature,
        fitted_on,
        evaluations,
        {name: Evaluation.of(each, classes[name]) for name, each in after.items()},
    )


def calibrated(network: keras.Model, temperature: float) -> keras.Model:
    """The network (images → logits) with its logits divided by the temperature."""
    image = keras.Input(network.input_shape[1:])
    return keras.Model(image, keras.layers.Rescaling(1 / temperature)(network(image)))


def evaluate(network: keras.Model, spec: InputSpec, images: ImageSet) -> Evaluation:
    """Runs the network (images → logits) on every image."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def log_probabilities(pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(normalise(spec, pixels), training=False))

    rows = [
        np.asarray(log_probabilities(tf.constant(images.pixels[begin : begin + BATCH])))
        for begin in range(0, len(images), BATCH)
    ]
    return Evaluation.of(np.concatenate(rows), images.classes)
