"""Images → ranked labels, by one version: decode, preprocess, invoke the endpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facet import preprocess
from facet.endpoint import Endpoint, Scores, check_size
from facet.errors import BadRequest, ModelFailed
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
    """float32 (images, labels) scores, the version that gave them, its labels, and the time."""

    version: Version
    labels: Sequence[str]
    scores: Scores
    stopwatch: Stopwatch

    def ranked(self, top_k: int) -> list[list[Prediction]]:
        """Returns the `top_k` best labels of each image, the best first."""
        return [
            [
                Prediction(self.labels[index], round(float(row[index]), 6))
                for index in best_labels(row, top_k)
            ]
            for row in self.scores
        ]


class Classifier:
    """Classifies images with any version that the endpoint can load.

    `endpoint` returns an endpoint whose client times out after the given seconds, at most
    `timeout`. Images may have up to `max_pixels` pixels.
    """

    def __init__(
        self, endpoint: Callable[[float], Endpoint], timeout: float, max_pixels: int
    ) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._max_pixels = max_pixels

    def classify(
        self,
        version: Version,
        images: Sequence[bytes | Pixels],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
    ) -> Predictions:
        """Returns the scores of each image: an image file, or pixels of the model's input size.

        The container logs `request_id`. Raises BadRequest for pixels of another shape, and what
        `preprocess.decode`, `Deadline.invocation_timeout` and `Endpoint.classify` raise.
        """
        manifest = version.manifest
        if manifest is None:
            raise LookupError(f"{version.target} is READY but has no manifest")
        check_size(manifest.input, len(images))
        batch = []
        for image in images:  # one after the other: a decoded image may take 200 MB
            deadline.invocation_timeout(self._timeout)
            batch.append(self._tensor(manifest.input, image, stopwatch))
        with stopwatch.step("invoke"):
            endpoint = self._endpoint(deadline.invocation_timeout(self._timeout))
            answers = endpoint.classify(version.target, manifest, batch, request_id)
        for answer in answers:
            if isinstance(answer, ModelFailed):
                raise answer
        return Predictions(version, manifest.labels, np.array(answers), stopwatch)

    def _tensor(
        self, spec: InputSpec, image: bytes | Pixels, stopwatch: Stopwatch
    ) -> Pixels | Tensor:
        if isinstance(image, bytes):
            with stopwatch.step("decode"):
                decoded = preprocess.decode(spec, image, max_pixels=self._max_pixels)
            with stopwatch.step("preprocess"):
                return preprocess.apply(spec, decoded, image)
        shape = (spec.height, spec.width, spec.channels)
        if image.shape != shape:
            raise BadRequest(f"pixels must have the shape {shape} for each image.")
        with stopwatch.step("preprocess"):
            return preprocess.tensor(spec, image)


def best_labels(scores: Scores, top_k: int) -> list[int]:
    """Returns the indices of the `top_k` highest scores of one image, the highest first."""
    return [int(index) for index in np.argsort(-scores, kind="stable")[:top_k]]
