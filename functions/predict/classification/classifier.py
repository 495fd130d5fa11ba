"""Images → ranked labels, by one version: decode, preprocess, invoke the place where it runs.

Of a head its backbone runs there, and the head makes scores of the features (network.py).

The images of a request go there together. An image that cannot be decoded fails alone. If the model
fails on the batch, or answers single images only, each image is sent by itself. If the place cannot
take requests, or has too little memory for the model, another one where the version is proven
answers.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from facet import preprocess
from facet.errors import (
    BadRequest,
    BodyTooLarge,
    BrokenImage,
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
    OutOfTime,
    TooLargeForFunction,
    UnsupportedImage,
)
from facet.heads.errors import ExplanationFailed
from facet.heads.weights import HeadAnswer
from facet.observability import logger
from facet.places.choice import Choice, Runners, without_endpoint
from facet.places.predict_call import check_size
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Place, RunIn, Version
from predict.classification import explanation
from predict.classification.explanation import Explanation
from predict.classification.network import Answer, Network, Networks
from predict.classification.predictions import Predictions
from predict.timing import Deadline, Stopwatch

AT_ONCE = 4
"""Invocations at the same time, for images that are sent by themselves."""

OF_IMAGE = (BadRequest, BrokenImage, UnsupportedImage)
"""Errors of one image, which say nothing about the version."""

OF_INVOCATION = (BodyTooLarge, EndpointThrottled, EndpointUnavailable, ModelFailed, ModelLoading)

OF_THE_PLACE = (EndpointUnavailable, TooLargeForFunction)
"""Errors for which the version's other place is asked."""

Image = bytes | Pixels | FacetError
"""An image file, pixels of the model's input size, or why the request has no image there."""


@dataclass
class _Request:
    version: Version
    network: Network
    deadline: Deadline
    stopwatch: Stopwatch
    id: str
    places: list[Place]
    explain: bool
    place: Place | None = None
    alone: int = 0
    size: tuple[int, int] = (1, 1)
    explanation: Explanation | None = None


class Classifier:
    """Classifies images with any READY version, where `choice` has it run.

    `runners` returns the runner of a place, whose answers must come within the given seconds, at
    most `timeout`. Images may have up to `max_pixels` pixels.
    """

    def __init__(
        self, networks: Networks, choice: Choice, runners: Runners, timeout: float, max_pixels: int
    ) -> None:
        self._networks = networks
        self._choice = choice
        self._runners = runners
        self._timeout = timeout
        self._max_pixels = max_pixels

    def classify(
        self,
        version: Version,
        images: Sequence[Image],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
        run_in: RunIn | None = None,
        *,
        explain: bool = False,
    ) -> Predictions:
        """Returns the scores of each image, or its error; with `explain`, which is for one image
        file, also why it got its first label.

        `run_in` is the model's; the place logs `request_id`. If no image has scores and the images
        are not to blame, raises what `Networks.of`, `Runner.classify` and
        `Deadline.invocation_timeout` raise, and `explanation.check`. Raises ExplanationFailed if
        the model fails on the explanation alone.
        """
        network = self._networks.of(version, run_in, stopwatch)
        if explain:
            explanation.check(network, version.model)
        places = network.places
        request = _Request(version, network, deadline, stopwatch, request_id, places, explain)
        single = network.version.max_batch_size == 1 and len(images) > 1
        check_size(network.manifest.input, 1 if single else len(images))
        group = AT_ONCE if single else len(images)  # so that few decoded images are in memory
        answers: list[Answer | FacetError] = []
        for at in range(0, len(images), group):
            answers += self._group(request, images[at : at + group], single=single)
        found = Predictions(
            version,
            network.labels,
            answers,
            stopwatch,
            request.alone,
            request.place,
            request.explanation,
        )
        for error in found.failures.values():
            if not found.answered and not isinstance(error, OF_IMAGE):
                raise error
        return found

    def _group(
        self, request: _Request, images: Sequence[Image], *, single: bool
    ) -> list[Answer | FacetError]:
        answers: dict[int, Answer | FacetError] = {}
        tensors: dict[int, Pixels | Tensor] = {}
        try:
            for at, image in enumerate(images):  # one by one: a decoded image may take 200 MB
                request.deadline.invocation_timeout(self._timeout)
                try:
                    tensors[at] = self._tensor(request, image)
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
    ) -> list[Answer | FacetError]:
        """One invocation with all images; if the model fails on it, one for each."""
        try:
            return [*self._invoke(request, batch)]
        except ModelFailed as error:
            if len(batch) == 1:
                return [error]
            logger().warning("batch failed", target=request.version.target, reason=error.reason)
        return self._alone(request, batch)

    def _alone(
        self, request: _Request, batch: Sequence[Pixels | Tensor]
    ) -> list[Answer | FacetError]:
        """One invocation for each image, AT_ONCE at the same time, while there is time."""
        answers: list[Answer | FacetError] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for at in range(0, len(batch), AT_ONCE):
                try:
                    request.deadline.invocation_timeout(self._timeout)
                except OutOfTime as error:
                    return answers + [error] * (len(batch) - at)
                images = batch[at : at + AT_ONCE]
                request.alone += len(images)
                answers += pool.map(partial(self._single, request), images)
        return answers

    def _single(self, request: _Request, tensor: Pixels | Tensor) -> Answer | FacetError:
        try:
            (answer,) = self._invoke(request, [tensor])
        except OF_INVOCATION as error:
            return error
        return answer

    def _invoke(
        self, request: _Request, batch: Sequence[Pixels | Tensor]
    ) -> Sequence[Answer | ModelFailed]:
        """Asks the first of the version's places, or the next if that one cannot run it now."""
        place = request.places[0]
        runner = self._runners(place, request.deadline.invocation_timeout(self._timeout))
        found: Sequence[Answer | ModelFailed] | None = None
        try:
            found = request.network.answers(runner, batch, request.id)
            if request.explain:
                self._explain(request, place, batch, found)
        except FacetError as error:
            if isinstance(error, EndpointRemoved):
                self._choice.endpoint_is_removed()
                if Place.FUNCTION not in request.network.version.proven_in:
                    error = without_endpoint(request.network.version, error)
            error.place = place
            others = [each for each in request.places if each is not place]
            if not isinstance(error, OF_THE_PLACE) or not others:
                if found is not None and isinstance(error, ModelFailed):
                    logger().error(
                        "explanation failed", target=request.version.target, reason=error.reason
                    )
                    raise ExplanationFailed(error.reason) from error
                raise error
            logger().warning("place unavailable", target=request.version.target, exc_info=error)
            request.places = others  # also for the images that other threads send
            return self._invoke(request, batch)
        request.place = place
        return found

    def _explain(
        self,
        request: _Request,
        place: Place,
        batch: Sequence[Pixels | Tensor],
        found: Sequence[Answer | ModelFailed],
    ) -> None:
        """Asks the place again, for the maps of the only image, if that has an answer."""
        (tensor,), (answer,) = batch, found
        if isinstance(answer, HeadAnswer):
            runner = self._runners(place, request.deadline.invocation_timeout(self._timeout))
            request.explanation = explanation.explain(
                request.network, runner, tensor, request.size, answer, request.id
            )

    def _tensor(self, request: _Request, image: Image) -> Pixels | Tensor:
        spec, stopwatch = request.network.manifest.input, request.stopwatch
        if isinstance(image, FacetError):
            raise image
        if isinstance(image, bytes):
            with stopwatch.step("decode"):
                decoded = preprocess.decode(spec, image, max_pixels=self._max_pixels)
            request.size = decoded.size
            with stopwatch.step("preprocess"):
                return preprocess.apply(spec, decoded, image)
        shape = (spec.height, spec.width, spec.channels)
        if image.shape != shape:
            raise BadRequest(f"pixels must have the shape {shape} for each image.")
        with stopwatch.step("preprocess"):
            return preprocess.tensor(spec, image)
