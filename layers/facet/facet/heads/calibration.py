"""Makes scores mean what they say: a temperature for the logits, and the error before and after.

Label smoothing makes a network's scores too low. Dividing its logits by one temperature corrects
them and changes no prediction (Guo et al., "On Calibration of Modern Neural Networks", 2017).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of a score from 0 to 1, equally wide."""

TEMPERATURES = (0.05, 20.0)
STEPS = 40
"""Halvings of that range, of the logarithm."""

LogProbabilities = NDArray[np.floating]
"""(images, labels): the logarithms of scores that add up to 1."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Images by their best score, in `BINS` bins.

    For each bin: int64 `images` and how many of them are `correct`, and the sum of their best
    scores, `confidence`.
    """

    images: NDArray[np.int64]
    correct: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, rows: LogProbabilities, classes: NDArray[np.int64]) -> "Reliability":
        best = np.exp(rows.max(axis=1).astype(np.float64))
        bins = np.minimum((best * BINS).astype(np.int64), BINS - 1)
        correct = bins[rows.argmax(axis=1) == classes]
        return cls(
            np.bincount(bins, minlength=BINS),
            np.bincount(correct, minlength=BINS),
            np.bincount(bins, weights=best, minlength=BINS).astype(np.float64),
        )

    @property
    def error(self) -> float:
        """The expected calibration error: mean distance of score and accuracy over the images."""
        return float(np.abs(self.correct - self.confidence).sum() / self.images.sum())

    @property
    def document(self) -> dict[str, object]:
        """For `metrics.json`: the error, and each bin that has images."""
        filled = np.flatnonzero(self.images).tolist()
        return {
            "error": round(self.error, 4),
            "bins": [
                {
                    "from": round(each / BINS, 4),
                    "to": round((each + 1) / BINS, 4),
                    "images": int(self.images[each]),
                    "correct": int(self.correct[each]),
                    "mean_score": round(float(self.confidence[each] / self.images[each]), 4),
                }
                for each in filled
            ],
        }


def fit_temperature(rows: LogProbabilities, classes: NDArray[np.int64]) -> float:
    """The temperature with the lowest cross-entropy, rounded to four digits.

    As in Platt's scaling, n images count as if one more had been wrong: a network that is right
    about every image is not certain of the next one. The cross-entropy is convex in the inverse of
    the temperature, so its slope is bisected. Without an image it is 1.
    """
    count = len(rows)
    if not count:
        return 1.0
    doubt = 1 / (count + 2)
    right = rows[np.arange(count), classes].mean(dtype=np.float64)
    wanted = (1 - doubt) * right + doubt * rows.mean(dtype=np.float64)
    low, high = TEMPERATURES
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        scores = np.exp(tempered(rows, middle))
        expected = np.einsum("ij,ij->", scores, rows, dtype=np.float64) / count
        low, high = (middle, high) if expected > wanted else (low, middle)
    return round(math.sqrt(low * high), 4)


def tempered(rows: LogProbabilities, temperature: float) -> LogProbabilities:
    """The logarithms of the scores after the logits were divided by the temperature."""
    logits = rows / temperature
    logits -= logits.max(axis=1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def cross_tempered(rows: LogProbabilities, classes: NDArray[np.int64]) -> LogProbabilities:
    """Each half of the images, tempered as the other half wants it.

    It measures a temperature on the images that it is fitted to. Every second image is a half:
    sets are sorted by class.
    """
    result = rows.copy()
    halves = slice(0, None, 2), slice(1, None, 2)
    for own, other in (halves, halves[::-1]):
        result[own] = tempered(rows[own], fit_temperature(rows[other], classes[other]))
    return result
