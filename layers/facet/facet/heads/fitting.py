"""The last layer in closed form: ridge regression on features, its strength chosen by leaving out
each image in turn, which needs no second fit (Hastie, Tibshirani, Friedman, section 7.10.1).

A few images cannot choose among epochs, and gradient steps on them reach no better layer than this.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facet.heads.calibration import fit_temperature, tempered

STRENGTHS = 10.0 ** np.arange(-3.0, 3.5, 0.5)
"""Of the regularisation: multiples of the mean eigenvalue of the features' scatter."""

USUAL = 40.0
"""The strength times the images per label that is expected: a prior does not grow with the images,
the scatter does. Measured on four data sets, docs/decisions/0051-familiarity.md."""

CERTAINTY = 4.0
"""Nats that a strength of a tenth or ten times as much costs, for all images together: few images
cannot tell strengths apart, and many outweigh it."""

SCALES = 2.0 ** np.arange(-1.0, 7.25, 0.25)
"""Of the scores. Ridge regression fits 0 and 1; softmax needs scores that are further apart."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedHead:
    """`kernel` is (features, labels) and `bias` (labels,): features → logits, float32: those of
    ridge regression divided by the temperature.

    `views` is how many were fitted. `left_out` is (n, labels): the scores, about 0 to 1, that ridge
    regression gives each image if it is left out of the fit. `accuracy` and `loss` (nats) are those
    of the images left out. They chose the rest, so they are a little too good to be the model's.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    views: int
    accuracy: float
    loss: float
    temperature: float
    left_out: Array


def fit_head(
    features: NDArray[np.floating[Any]], targets: NDArray[np.float32], *, balanced: bool
) -> FittedHead:
    """Fits the layer that maps features (views, n, width) to targets (n, labels), one-hot.

    The first view is the image itself. The others take part if they lower the loss of images left
    out, each with all its views. `balanced`: rare classes count as much as frequent ones.

    Features are divided by their own standard deviation plus the mean one. Alone, their own would
    count features that vary little, and say little, as much as all others; keeping their scales
    was worse on some data (docs/training.md#few-images).
    """
    every = features.astype(np.float64)
    mean, spread = every[0].mean(axis=0), every[0].std(axis=0)
    spread += spread.mean() or 1.0
    every = (every - mean) / spread
    weights = _weights(targets, balanced=balanced)
    fits = [_Ridge(every[:views], targets, weights) for views in sorted({1, len(every)})]
    best, fit = min(
        (
            (_scaled(fit.left_out(each), targets, weights, each), fit)
            for fit in fits
            for each in STRENGTHS.tolist()
        ),
        key=lambda tried: len(targets) * tried[0].loss + _surprise(tried[0].strength, targets),
    )
    left_out = fit.left_out(best.strength)
    rows = tempered(left_out, 1 / best.scale)
    temperature = fit_temperature(rows, targets.argmax(axis=1)) / best.scale
    kernel, bias = fit.layer(best.strength)
    kernel = kernel / temperature / spread[:, None]
    bias = bias / temperature - mean @ kernel
    return FittedHead(
        kernel.astype(np.float32),
        bias.astype(np.float32),
        best.strength,
        fit.views,
        best.accuracy,
        best.loss,
        temperature,
        left_out,
    )


def _surprise(strength: float, targets: NDArray[np.float32]) -> float:
    """Nats, of a strength for so many images of each label."""
    images, labels = targets.shape
    return CERTAINTY * math.log10(strength * images / labels / USUAL) ** 2


@dataclass(frozen=True)
class _Tried:
    strength: float
    scale: float
    accuracy: float
    loss: float


class _Ridge:
    """Weighted ridge regression with a free intercept, for any strength after one decomposition."""

    def __init__(self, rows: Array, targets: NDArray[np.float32], weights: Array) -> None:
        views, count, _ = rows.shape
        self.views = views
        self._shape = (views, count)
        every = np.tile(weights / views, views)
        flat, wanted = rows.reshape(views * count, -1), np.tile(targets, (views, 1))
        self._row_mean = every @ flat / every.sum()
        self._target_mean = every @ wanted / every.sum()
        root = np.sqrt(every)[:, None]
        self._root = root
        scaled = root * (flat - self._row_mean)
        self._targets = root * (wanted - self._target_mean)
        self._values, self._vectors, self._projected = _decomposed(scaled)
        # the mean eigenvalue; 1 if no row varies
        self._usual = float((scaled * scaled).sum()) / scaled.shape[1] or 1.0
        self._answers = self._projected.T @ self._targets
        self._intercept = root / np.sqrt(every.sum())

    def layer(self, strength: float) -> tuple[Array, Array]:
        kernel = self._vectors @ (self._shrink(strength)[:, None] * self._answers)
        return kernel, self._target_mean - self._row_mean @ kernel

    def left_out(self, strength: float) -> Array:
        """Scores (n, labels) of each image's first view by the fit without the image."""
        shrink = self._shrink(strength)
        views, count = self._shape
        residuals = self._targets - self._projected @ (shrink[:, None] * self._answers)
        by_image = residuals.reshape(views, count, -1).swapaxes(0, 1)
        left = (self._projected * shrink).reshape(views, count, -1).swapaxes(0, 1)
        right = self._projected.reshape(views, count, -1).swapaxes(0, 1)
        constant = self._intercept.reshape(views, count, 1).swapaxes(0, 1)
        hat = left @ right.swapaxes(1, 2) + constant @ constant.swapaxes(1, 2)
        errors = np.linalg.solve(np.eye(views) - hat, by_image)[:, 0]
        scaled_targets = self._targets[:count] - errors
        scores: Array = scaled_targets / self._root[:count] + self._target_mean
        return scores

    def _shrink(self, strength: float) -> Array:
        shrink: Array = 1.0 / (self._values + strength * self._usual)
        return shrink


def _decomposed(rows: Array) -> tuple[Array, Array, Array]:
    """The eigenvalues of the scatter of rows (n, width), its eigenvectors as columns, and the rows
    in their coordinates. Directions in which no row varies may be left out.

    With more features than rows it takes the time and memory of n x n: 200 images on 8,192 features
    are fitted in two seconds (two busy cores).
    """
    if len(rows) >= rows.shape[1]:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        return np.maximum(values, 0.0), vectors, rows @ vectors
    values, coordinates = np.linalg.eigh(rows @ rows.T)
    varies = values > values[-1] * len(rows) * np.finfo(np.float64).eps
    values, lengths = values[varies], np.sqrt(values[varies])
    coordinates = coordinates[:, varies]
    return values, rows.T @ (coordinates / lengths), coordinates * lengths


def _weights(targets: NDArray[np.float32], *, balanced: bool) -> Array:
    counts = targets.sum(axis=0)
    each = (
        len(targets) / (len(counts) * np.maximum(counts, 1)) if balanced else np.ones_like(counts)
    )
    weights: Array = (targets @ each).astype(np.float64)
    return weights


def _scaled(scores: Array, targets: NDArray[np.float32], weights: Array, strength: float) -> _Tried:
    """The scale that gives the least cross-entropy, weighted as the fit is."""
    classes = targets.argmax(axis=1)
    right = scores.argmax(axis=1) == classes
    tried = []
    for scale in SCALES:
        logits = scale * (scores - scores.max(axis=1, keepdims=True))
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses = -logs[np.arange(len(classes)), classes]
        tried.append((float(np.average(losses, weights=weights)), float(scale)))
    loss, scale = min(tried)
    return _Tried(float(strength), scale, float(np.average(right, weights=weights)), loss)
