"""What quantising costs: the float model and the quantised one answer the same labelled images."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facet.preprocess import Pixels

Scores = NDArray[np.float32]
Scorer = Callable[[Pixels], Scores]
"""(images, height, width, channels) → float32 (images, labels)."""

Kind = Literal["float16", "dynamic", "int8"]
"""float16: the weights have half the size; LiteRT computes with float32. dynamic: the weights are
int8, and each call quantises what they are multiplied with. int8: all layers but the last one
compute with int8."""

EXAMPLES = 200
"""Images whose values set the scales of int8."""

BATCH = 64
"""Images that are answered at once."""

MAX_LOSS: Mapping[Kind, float] = {"float16": 0.0, "dynamic": 0.01, "int8": 0.01}
"""The share of the images that each kind may get wrong in addition, unless another is stated."""


@dataclass(frozen=True)
class Loss:
    """How many of the `images` each model has right, and on how many they give different labels.

    `largest` is the largest difference of a score, `mean` the mean over the images of each one's
    largest difference.
    """

    images: int
    float_correct: int
    correct: int
    changed: int
    largest: float
    mean: float

    @classmethod
    def measure(
        cls,
        full: Scorer,
        quantised: Scorer,
        batches: Iterable[tuple[Pixels, NDArray[np.int64]]],
    ) -> "Loss":
        """Compares on batches of images with their classes; there must be at least one image."""
        right_full, right, changed, apart = [], [], [], []
        for pixels, classes in batches:
            one, other = full(pixels), quantised(pixels)
            before, after = one.argmax(axis=1), other.argmax(axis=1)
            right_full.append(before == classes)
            right.append(after == classes)
            changed.append(before != after)
            apart.append(np.abs(one - other).max(axis=1))
        differences = np.concatenate(apart)
        return cls(
            images=len(differences),
            float_correct=int(np.concatenate(right_full).sum()),
            correct=int(np.concatenate(right).sum()),
            changed=int(np.concatenate(changed).sum()),
            largest=float(differences.max()),
            mean=float(differences.mean()),
        )

    @property
    def accuracy(self) -> float:
        return self.correct / self.images

    @property
    def float_accuracy(self) -> float:
        return self.float_correct / self.images

    def is_within(self, share: float) -> bool:
        """Whether the quantised model has at most that share of the images fewer right."""
        lost = self.float_correct - self.correct
        return bool(np.isfinite(self.largest)) and lost <= share * self.images + 1e-9

    @property
    def metrics(self) -> dict[str, float]:
        """For the manifest."""
        return {
            "litert_accuracy": round(self.accuracy, 4),
            "litert_float32_accuracy": round(self.float_accuracy, 4),
            "litert_images": float(self.images),
            "litert_correct": float(self.correct),
            "litert_float32_correct": float(self.float_correct),
            "litert_changed_images": float(self.changed),
            "litert_score_difference": round(self.largest, 4),
            "litert_mean_score_difference": round(self.mean, 4),
        }

    def __str__(self) -> str:
        return (
            f"{self.correct:,} of {self.images:,} images right ({self.accuracy:.4f}), as float32 "
            f"{self.float_correct:,} ({self.float_accuracy:.4f}); {self.changed:,} get another "
            f"label, scores differ by at most {self.largest:.3f}"
        )


def draw(count: int, seed: int, most: int = EXAMPLES) -> list[int]:
    """At most `most` of `count` indices, ascending; the same seed draws the same."""
    return sorted(np.random.default_rng(seed).permutation(count)[:most].tolist())
