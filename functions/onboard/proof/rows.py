"""What a row of an answer must be: a classifier's scores of labels, or a backbone's features."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from facet.errors import Violation
from facet.features import distance
from facet.heads import maps
from facet.keys import MANIFEST
from facet.manifest import AnyManifest, BackboneManifest, HeadManifest, LabelledManifest
from facet.places.predict_call import Scores
from facet.registry.models import Place
from facet.specs import TOLERANCE, GoldenSample

SUM_TOLERANCE = 0.02
"""How far the sum of softmax scores may be from 1; half-precision weights stay within it."""

STEP = 1 / 256
"""The step of scores in eight bits; each is off by up to half of it. MobileNet's 1,001 quantised
scores for a grey image add up to 0.6."""

NOISE = 1e-6
"""Differences of float32 arithmetic, whatever the size of the scores."""

AS_RECORDED = {"golden-label", "golden-score", "golden-features", "golden-maps"}
"""Violations of `as_recorded` and `maps_as_recorded`."""


class Rows(Protocol):
    """How the answers of one version are judged, compared and named."""

    def invalid(self, row: Scores, /) -> Iterator[Violation]:
        """Why it can be no answer to any image."""
        ...

    def as_recorded(self, row: Scores, place: Place) -> Iterator[Violation]:
        """How a place's answer to the golden image differs from the recorded one."""
        ...

    def differ(self, one: Scores, other: Scores) -> bool:
        """Whether they cannot be answers to the same image."""
        ...

    def said(self, row: Scores) -> str:
        """The answer in a violation's text."""
        ...


def rows_of(manifest: AnyManifest) -> Rows:
    """Those of a classifier, or of a backbone."""
    if isinstance(manifest, LabelledManifest):
        return ScoreRows(manifest)
    return FeatureRows(manifest)


class ScoreRows:
    """A classifier's: one score for each label."""

    def __init__(self, manifest: LabelledManifest) -> None:
        self._labels = manifest.labels
        self._golden: GoldenSample | None = manifest.golden
        self._softmax = (
            isinstance(manifest, HeadManifest) or manifest.output.activation == "softmax"
        )
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


class FeatureRows:
    """A backbone's: a vector. Distances are parts of the length of the one compared with."""

    def __init__(self, manifest: BackboneManifest) -> None:
        self._output = manifest.output
        self._recorded = np.asarray(manifest.golden.features, np.float32)
        self._tolerance = manifest.golden.tolerance

    def invalid(self, _: Scores, /) -> Iterator[Violation]:
        """Nothing: all finite features are valid, and their number was checked."""
        yield from ()

    def as_recorded(self, row: Scores, place: Place) -> Iterator[Violation]:
        apart = distance(row, self._recorded)
        if apart > self._tolerance:
            yield Violation(
                "golden-features",
                f"{MANIFEST}.golden.features",
                f"the {place}'s features for the golden sample are {apart:.3g} of their length "
                f"away from the recorded ones; the tolerance is {self._tolerance:g}",
                "check that input is what the backbone was trained with, down to the resize filter",
            )

    def maps_as_recorded(self, row: Scores, place: Place) -> Iterator[Violation]:
        """How the averages of a place's maps of the golden image differ from the features."""
        apart = distance(maps.averages(self._output, row[None])[0], self._recorded)
        if apart > self._tolerance:
            yield Violation(
                "golden-maps",
                f"{MANIFEST}.output.maps",
                f"the averages of the {place}'s maps of the golden sample are {apart:.3g} of their "
                f"length away from the recorded features; the tolerance is {self._tolerance:g}",
                "give the maps of which the features are averages, as height x width x channels, "
                "and the grid of cells (rows, columns) over which they are averaged",
            )

    def differ(self, one: Scores, other: Scores) -> bool:
        return distance(other, one) > self._tolerance

    def said(self, row: Scores) -> str:
        return f"features of length {np.linalg.norm(row):.4g}"
