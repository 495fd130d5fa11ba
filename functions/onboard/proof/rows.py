"""What a row of an answer must be: scores of labels."""

from collections.abc import Iterator

import numpy as np

from facet.errors import Violation
from facet.keys import MANIFEST
from facet.manifest import (
    TOLERANCE,
    GoldenSample,
    Manifest,
)
from facet.places.predict_call import Scores
from facet.registry.models import Place

SUM_TOLERANCE = 0.02
"""How far the sum of softmax scores may be from 1; half-precision weights stay within it."""

STEP = 1 / 256
"""The step of scores in eight bits; each is off by up to half of it. MobileNet's 1,001 quantised
scores for a grey image add up to 0.6."""

NOISE = 1e-6
"""Differences of float32 arithmetic, whatever the size of the scores."""

AS_RECORDED = {"golden-label", "golden-score"}
"""Violations of `as_recorded`."""


class ScoreRows:
    """How the answers of one version are judged, compared and named: one score for each label."""

    def __init__(self, manifest: Manifest) -> None:
        self._labels = manifest.labels
        self._golden: GoldenSample | None = manifest.golden
        self._softmax = manifest.output.activation == "softmax"
        self._tolerance = self._golden.tolerance if self._golden else TOLERANCE

    def invalid(self, row: Scores) -> Iterator[Violation]:
        least, most, total = float(np.min(row)), float(np.max(row)), float(np.sum(row))
        tolerance = max(SUM_TOLERANCE, len(row) * STEP / 2)
        if least < 0 or most > 1 or (self._softmax and abs(total - 1) > tolerance):
            yield Violation(
                "not-probabilities",
                f"{MANIFEST}.output.activation",
                f"the scores are between {least:.4g} and {most:.4g}, and their sum is {total:.4g}",
                "use 'logits' if the model has no softmax, 'sigmoid' if labels are independent",
            )

    def as_recorded(self, row: Scores, place: Place) -> Iterator[Violation]:
        golden, best = self._golden, int(np.argmax(row))
        if golden is None:
            return
        if self._labels[best] != golden.label:
            yield Violation(
                "golden-label",
                f"{MANIFEST}.golden.label",
                f"the {place} answers '{self._labels[best]}' ({row[best]:.4f}) "
                f"for the golden sample; the trainer recorded '{golden.label}'",
                "check that labels and input are those that the model was trained with",
            )
        elif abs(float(row[best]) - golden.score) > golden.tolerance:
            yield Violation(
                "golden-score",
                f"{MANIFEST}.golden.score",
                f"the {place} answers {row[best]:.4f} for the golden sample; "
                f"the trainer recorded {golden.score:.4f} ± {golden.tolerance}",
                "check that input is what the model was trained with, down to the resize filter",
            )

    def differ(self, one: Scores, other: Scores) -> bool:
        """Whether a score moved by more than the tolerance or, among small scores, the best label
        changed although its score moved by more than that part of it.
        """
        apart = float(np.abs(one - other).max())
        if apart > self._tolerance:
            return True
        part = self._tolerance * float(max(one.max(), other.max()))
        return int(one.argmax()) != int(other.argmax()) and apart > max(part, NOISE)

    def said(self, row: Scores) -> str:
        best = int(row.argmax())
        return f"'{self._labels[best]}' ({row[best]:.4f})"
