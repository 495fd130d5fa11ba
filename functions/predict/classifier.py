"""Images → ranked labels, by one version: decode, preprocess, invoke the endpoint.

The images of a request go to the endpoint together. An image that cannot be decoded fails alone. If
the endpoint fails on the batch, or the model answers single images only, each image is sent by
itself.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from facet import preprocess
from facet.errors import (
    BadRequest,
    BodyTooLarge,
    BrokenImage,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
    OutOfTime,
    UnsupportedImage,
)
from facet.manifest import InputSpec, Manifest
from facet.observability import logger
from facet.places.endpoint import Endpoint
from facet.places.predict_call import Scores, check_size
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version
from predict.timing import Deadline, Stopwatch

AT_ONCE = 4
"""Invocations at the same time, for images that are sent by themselves."""

OF_IMAGE = (BadRequest, BrokenImage, UnsupportedImage)
"""Errors of one image, which say nothing about the version."""

OF_INVOCATION = (BodyTooLarge, EndpointThrottled, EndpointUnavailable, ModelFailed, ModelLoading)

Image = bytes | Pixels | FacetError
"""An image file, pixels of the model's input size, or why the request has no image there."""


@dataclass(frozen=True)
class Prediction:
    """A label and its score in 0..1."""

    label: str
    score: float


@dataclass(frozen=True)
class Predictions:
    """float32 (labels,) scores of each image, or why there are none, by one version.

    `alone` counts the images that were sent by themselves.
    """

    version: Version
    labels: Sequence[str]
    answers: Sequence[Scores | FacetError]
    stopwatch: Stopwatch
    alone: int = 0

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
        return np.array(self.answers)

    def ranked(self, top_k: int) -> list[list[Prediction] | FacetError]:
        """Returns the `top_k` best labels of each image, the best first, or its error."""
        return [
            row
            if isinstance(row, FacetError)
            else [
                Prediction(self.labels[index], round(float(row[index]), 6))
                for index in best_labels(row, top_k)
            ]
            for row in self.answers
        ]


@dataclass
class _Request:
    version: Version
    manifest: Manifest
    deadline: Deadline
    stopwatch: Stopwatch
    id: str
    alone: int = 0


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
        images: Sequence[Image],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
    ) -> Predictions:
        """Returns the scores of each image, or its error.

        The container logs `request_id`. If no image has scores and the images are not to blame,
        raises what `Deadline.invocation_timeout` and `Endpoint.classify` raise.
        """
        if version.manifest is None:
            raise LookupError(f"{version.target} is READY but has no manifest")
        request = _Request(version, version.manifest, deadline, stopwatch, request_id)
        single = version.max_batch_size == 1 and len(images) > 1
        check_size(request.manifest.input, 1 if single else len(images))
        group = AT_ONCE if single else len(images)  # so that few decoded images are in memory
        answers: list[Scores | FacetError] = []
        for at in range(0, len(images), group):
            answers += self._group(request, images[at : at + group], single=single)
        found = Predictions(version, request.manifest.labels, answers, stopwatch, request.alone)
        for error in found.failures.values():
            if not found.answered and not isinstance(error, OF_IMAGE):
                raise error
        return found

    def _group(
        self, request: _Request, images: Sequence[Image], *, single: bool
    ) -> list[Scores | FacetError]:
        answers: dict[int, Scores | FacetError] = {}
        tensors: dict[int, Pixels | Tensor] = {}
        try:
            for at, image in enumerate(images):  # one by one: a decoded image may take 200 MB
                request.deadline.invocation_timeout(self._timeout)
                try:
                    tensors[at] = self._tensor(request.manifest.input, image, request.stopwatch)
                except OF_IMAGE as error:
                    answers[at] = error
            if tensors:
                with request.stopwatch.step("invoke"):
                    send = self._alone if single else self._together
                    found = send(request, [*tensors.values()])
                answers.update(zip(tensors, found, strict=True))
        except OutOfTime as error:
            return [answers.get(at, error) for at in range(len(images))]
        return [answers[at] for at in range(len(images))]

    def _together(
        self, request: _Request, batch: Sequence[Pixels | Tensor]
    ) -> list[Scores | FacetError]:
        """One invocation with all images; if the model fails on it, one for each."""
        endpoint = self._endpoint(request.deadline.invocation_timeout(self._timeout))
        try:
            return [*endpoint.classify(request.version, request.manifest, batch, request.id)]
        except ModelFailed as error:
            if len(batch) == 1:
                return [error]
            logger().warning("batch failed", target=request.version.target, reason=error.reason)
        return self._alone(request, batch)

    def _alone(
        self, request: _Request, batch: Sequence[Pixels | Tensor]
    ) -> list[Scores | FacetError]:
        """One invocation for each image, AT_ONCE at the same time, while there is time."""
        answers: list[Scores | FacetError] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for at in range(0, len(batch), AT_ONCE):
                try:
                    timeout = request.deadline.invocation_timeout(self._timeout)
                except OutOfTime as error:
                    return answers + [error] * (len(batch) - at)
                images = batch[at : at + AT_ONCE]
                request.alone += len(images)
                answers += pool.map(partial(_single, self._endpoint(timeout), request), images)
        return answers

    def _tensor(self, spec: InputSpec, image: Image, stopwatch: Stopwatch) -> Pixels | Tensor:
        if isinstance(image, FacetError):
            raise image
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


def _single(endpoint: Endpoint, request: _Request, tensor: Pixels | Tensor) -> Scores | FacetError:
    try:
        (answer,) = endpoint.classify(request.version, request.manifest, [tensor], request.id)
    except OF_INVOCATION as error:
        return error
    return answer


def best_labels(scores: Scores, top_k: int) -> list[int]:
    """Returns the indices of the `top_k` highest scores of one image, the highest first."""
    return [int(index) for index in np.argsort(-scores, kind="stable")[:top_k]]
