"""The answers of one version to the images of a request: scores, or errors, and labels ranked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facet.errors import FacetError
from facet.heads.weights import HeadAnswer
from facet.places.predict_call import Scores
from facet.registry.models import Place, Version
from predict.classification.explanation import Explanation
from predict.classification.network import Answer
from predict.timing import Stopwatch


@dataclass(frozen=True)
class Prediction:
    """A label and its score in 0..1."""

    label: str
    score: float


@dataclass(frozen=True)
class Ranking:
    """Labels of one image, the best first.

    By a head, `familiarity` (0..1) says how much the image is like those it was taught with, and
    `unsure` that this is very little. It is None by other models. `explanation` is that of the
    first label, if the request asked for one.
    """

    predictions: list[Prediction]
    familiarity: float | None = None
    unsure: bool = False
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Predictions:
    """The answer to each image, or why there is none, by one version.

    `alone` counts the images that were sent by themselves. `place` is where the version ran, None
    if it was not asked, because no image could be decoded. `explanation` is that of the only image,
    if the request asked for one.
    """

    version: Version
    labels: Sequence[str]
    answers: Sequence[Answer | FacetError]
    stopwatch: Stopwatch
    alone: int = 0
    place: Place | None = None
    explanation: Explanation | None = None

    @property
    def failures(self) -> dict[int, FacetError]:
        """The errors by the image's index."""
        return {at: each for at, each in enumerate(self.answers) if isinstance(each, FacetError)}

    @property
    def answered(self) -> int:
        """The number of images that have scores."""
        return len(self.answers) - len(self.failures)

    @property
    def scores(self) -> Scores:
        """float32 (images, labels). Raises the first failure, whose text names every one."""
        failures = self.failures
        for error in failures.values():
            if len(self.answers) > 1:
                error.args = (" ".join(f"image[{at}]: {each}" for at, each in failures.items()),)
            raise error
        answered = [each for each in self.answers if not isinstance(each, FacetError)]
        return np.array([*map(_scores, answered)])

    @property
    def familiarity(self) -> Scores | None:
        """float32 (images,) by a head whose answers are all there; None by other models."""
        found = [each.familiarity for each in self.answers if isinstance(each, HeadAnswer)]
        return np.array(found, np.float32) if found else None

    def ranked(self, top_k: int) -> list[Ranking | FacetError]:
        """Returns the `top_k` best labels of each image, or its error."""
        return [
            each if isinstance(each, FacetError) else self._ranking(each, top_k)
            for each in self.answers
        ]

    def _ranking(self, answer: Answer, top_k: int) -> Ranking:
        scores = _scores(answer)
        best = [
            Prediction(self.labels[index], round(float(scores[index]), 6))
            for index in best_labels(scores, top_k)
        ]
        if isinstance(answer, HeadAnswer):
            return Ranking(best, round(answer.familiarity, 4), answer.unsure, self.explanation)
        return Ranking(best)


def _scores(answer: Answer) -> Scores:
    return answer.scores if isinstance(answer, HeadAnswer) else answer


def best_labels(scores: Scores, top_k: int) -> list[int]:
    """Returns the indices of the `top_k` highest scores of one image, the highest first."""
    return [int(index) for index in np.argsort(-scores, kind="stable")[:top_k]]
