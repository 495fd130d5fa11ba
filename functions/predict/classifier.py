"""Images → ranked labels, by one version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facet import preprocess
from facet.endpoint import Endpoint, Scores
from facet.errors import BadRequest
from facet.manifest import InputSpec
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version
from predict.timing import Deadline, Stopwatch


@dataclass(frozen=True)
class Prediction:
    """A label and its score in 0..1."""

    label: str
    score: float


@dataclass(frozen=True)
class Predictions:
    """float32 (images, labels) scores; which version gave them, its labels, and the time."""

    version: Version
    labels: Sequence[str]
    scores: Scores
    stopwatch: Stopwatch

    def ranked(self, top_k: int) -> list[list[Prediction]]:
        """For each image the `top_k` best labels, the best first."""
        return [
            [Prediction(self.labels[at], round(float(row[at]), 6)) for at in best(row, top_k)]
            for row in self.scores
        ]


class Classifier:
    """Classifies with any version that the endpoint can load.

    `endpoint` gives the one that waits so many seconds, and is asked to wait `patience` at most;
    images have `max_pixels` at most.
    """

    def __init__(
        self, endpoint: Callable[[float], Endpoint], patience: float, max_pixels: int
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._max_pixels = max_pixels

    def classify(
        self,
        version: Version,
        images: Sequence[bytes | Pixels],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
    ) -> Predictions:
        """The scores of each image, which is encoded, or pixels as `preprocess.geometry` makes.

        The endpoint hears the `request_id`. Raises BadRequest for pixels of another shape, and
        what `preprocess.decode`, `Deadline.patience` and `Endpoint.classify` raise.
        """
        manifest = version.manifest
        if manifest is None:
            raise LookupError(f"{version.target} is READY without a manifest")
        batch = []
        for each in images:  # one after the other: a decoded image may take 200 MB
            deadline.patience(self._patience)
            batch.append(self._tensor(manifest.input, each, stopwatch))
        with stopwatch.step("invoke"):
            endpoint = self._endpoint(deadline.patience(self._patience))
            scores = endpoint.classify(version.target, manifest, batch, request_id)
        return Predictions(version, manifest.labels, scores, stopwatch)

    def _tensor(
        self, spec: InputSpec, given: bytes | Pixels, stopwatch: Stopwatch
    ) -> Pixels | Tensor:
        if isinstance(given, bytes):
            with stopwatch.step("decode"):
                image = preprocess.decode(spec, given, max_pixels=self._max_pixels)
            with stopwatch.step("preprocess"):
                return preprocess.apply(spec, image)
        size = (spec.height, spec.width, spec.channels)
        if given.shape != size:
            raise BadRequest(f"pixels must have the shape {size} for each image.")
        with stopwatch.step("preprocess"):
            return preprocess.tensor(spec, given)


def best(scores: Scores, top_k: int) -> list[int]:
    """Where the `top_k` best scores of one image are, the best first."""
    return [int(at) for at in np.argsort(-scores, kind="stable")[:top_k]]
