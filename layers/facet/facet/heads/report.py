"""What teaching reports: how the head answers each image that it was taught with, by a fit without
that image, and the images and labels that need a look.

Leaving out costs nothing: `fitting` has those scores already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facet.heads.calibration import Reliability, cross_tempered, tempered
from facet.heads.fitting import FittedHead
from facet.statistics import wilson

MOST = 100
"""Mistakes and confused pairs of labels that a report names; at most this many of each."""

FEW = 5
"""A label with fewer images needs more, however many of them are right."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """The answers to images left out: `scores` (n, labels), which add up to 1, for `classes` (n,).

    `before` and `after` are the images by their best score, without and with the temperature. Each
    half of the images is measured with the temperature that the other half asks for.
    """

    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    temperature: float
    before: Reliability
    after: Reliability

    @classmethod
    def of(cls, fitted: FittedHead, classes: NDArray[np.int64]) -> "LeftOut":
        """`classes` are those of the images that the head was fitted to, in their order."""
        rows = tempered(fitted.left_out, fitted.temperature)
        return cls(
            np.exp(rows),
            classes,
            fitted.temperature,
            Reliability.of(tempered(fitted.left_out, 1.0), classes),
            Reliability.of(cross_tempered(rows, classes), classes),
        )

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(labels, labels): rows are the true class, columns the answer."""
        labels = self.scores.shape[1]
        counts = np.zeros((labels, labels), dtype=np.int64)
        np.add.at(counts, (self.classes, self.scores.argmax(axis=1)), 1)
        return counts

    @property
    def measures(self) -> dict[str, float]:
        """For the manifest: the accuracy, its 95 % interval, and the calibration error."""
        images = len(self.classes)
        correct = int((self.scores.argmax(axis=1) == self.classes).sum())
        low, high = wilson(correct, images)
        return {
            "accuracy": round(correct / images, 4),
            "accuracy_low": round(low, 4),
            "accuracy_high": round(high, 4),
            "images": float(images),
            "correct": float(correct),
            "calibration_error": round(self.after.error, 4),
            "temperature": float(f"{self.temperature:.4g}"),
        }

    @property
    def clearest(self) -> int | None:
        """The image that is right by the greatest distance from the next label; None if none is."""
        rest = self.scores.copy()
        each = np.arange(len(rest))
        rest[each, self.classes] = -np.inf
        margins = self.scores[each, self.classes] - rest.max(axis=1)
        best = int(margins.argmax())
        return best if margins[best] > 0 else None

    def document(
        self, labels: Sequence[str], names: Sequence[str], min_accuracy: float
    ) -> dict[str, object]:
        """The report of the API. `names` are those of the images.

        A label needs more images if it has fewer than `FEW`, or if a smaller part of them than
        `min_accuracy` is right. Mistakes begin with those that have the highest score.
        """
        confusion, measures = self.confusion, self.measures
        images, correct = confusion.sum(axis=1), np.diag(confusion)
        lacking = (images < FEW) | (correct < min_accuracy * images)
        return {
            "images": len(self.classes),
            **{name: measures[name] for name in ("accuracy", "accuracy_low", "accuracy_high")},
            "calibration_error": {
                "before": round(self.before.error, 4),
                "after": round(self.after.error, 4),
            },
            "temperature": measures["temperature"],
            "labels": [
                {"label": label, "images": int(all_of_it), "correct": int(right)}
                for label, all_of_it, right in zip(labels, images, correct, strict=True)
            ],
            "confused": list(_confused(confusion, labels)),
            "more_images": [label for label, lacks in zip(labels, lacking, strict=True) if lacks],
            "mistakes": list(self._mistakes(labels, names)),
        }

    def _mistakes(self, labels: Sequence[str], names: Sequence[str]) -> Iterator[dict[str, object]]:
        answers, best = self.scores.argmax(axis=1), self.scores.max(axis=1)
        wrong = np.flatnonzero(answers != self.classes)
        for each in wrong[np.argsort(-best[wrong], kind="stable")][:MOST].tolist():
            yield {
                "label": labels[self.classes[each]],
                "name": names[each],
                "answered": labels[answers[each]],
                "score": round(float(best[each]), 4),
            }


def _confused(confusion: NDArray[np.int64], labels: Sequence[str]) -> Iterator[dict[str, object]]:
    """Pairs of labels, those with the most images first."""
    counts = confusion.copy()
    np.fill_diagonal(counts, 0)
    rows, columns = np.nonzero(counts)
    found = counts[rows, columns]
    for each in np.argsort(-found, kind="stable")[:MOST].tolist():
        yield {
            "label": labels[rows[each]],
            "as": labels[columns[each]],
            "images": int(found[each]),
        }
