"""How much an image is like those that a head was taught with, from the direction of its features.

The distance, 1 minus the cosine of the angle to the nearest label's mean, is compared with that of
each image of the teaching to the means without it: docs/decisions/0051-familiarity.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facet.heads.rounding import rounded

UNSURE = 0.05
"""The familiarity below which an answer is unsure: about this part of images like those of the
teaching."""

POINTS = 65
"""Quantiles of the distances of the teaching's images that are kept."""

TINY = 1e-12
"""The least length and distance, because something is divided by them."""

Array = NDArray[np.float64]


Centres = NDArray[np.int8] | NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """The images of a teaching: `centres` (labels, width), the directions of the labels' means, of
    any length, and float32 `distances` (POINTS,), in rising order.
    """

    centres: Centres
    distances: NDArray[np.float32]

    def familiarity(self, features: NDArray[np.floating[Any]]) -> Array:
        """For features (n, width) the part of the teaching's images (n,) that are as far out.

        Beyond the last of them it goes on towards 0 with the distance.
        """
        found = 1 - (_directions(features) @ _directions(self.centres).T).max(axis=1)
        inside = 1 - np.interp(found, self.distances, np.linspace(0, 1, POINTS))
        last = float(self.distances[-1])
        beyond = found > last
        inside[beyond] = 0
        least = 1 / (2 * POINTS)
        raised: Array = np.maximum(inside, least * np.minimum(1, last / np.maximum(found, TINY)))
        return raised

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name."""
        return {"centres": self.centres, "distances": self.distances}

    @classmethod
    def of(cls, arrays: Mapping[str, Centres]) -> "Reference":
        """From `arrays`. Raises KeyError for one that is missing."""
        return cls(arrays["centres"], arrays["distances"].astype(np.float32))


SHAPES: Mapping[str, str] = {"centres": "labels width", "distances": "points"}
"""The dimensions of each array."""


def fit_reference(features: NDArray[np.floating[Any]], classes: NDArray[np.int64]) -> Reference:
    """The reference for features (n, width) of images with classes (n,), each with two or more.

    Its centres are int8, as are those with which an image of the teaching is compared.
    """
    rows = _directions(features)
    sums = np.zeros((int(classes.max()) + 1, rows.shape[1]))
    np.add.at(sums, classes, rows)
    centres, _ = rounded(sums)
    cosines = rows @ _directions(centres).T
    without = _directions(rounded(sums[classes] - rows)[0])
    cosines[np.arange(len(rows)), classes] = (rows * without).sum(axis=1)
    distances = np.quantile(1 - cosines.max(axis=1), np.linspace(0, 1, POINTS))
    return Reference(centres, distances.astype(np.float32))


def _directions(vectors: NDArray[np.number[Any]]) -> Array:
    """The vectors divided by their length: contrast changes it, what an image shows does not."""
    rows = vectors.astype(np.float64)  # the square of a large float32 is infinite
    directions: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    return directions
