"""Asks the place of a backbone for the features of images.

Images are decoded and preprocessed here, as for a prediction, and go to the place in batches. If a
place is away, another one where the backbone is proven answers.
"""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import (
    BodyTooLarge,
    BrokenImage,
    FacetError,
    ModelFailed,
    UnsupportedImage,
)
from facet.manifest import BackboneManifest
from facet.places.choice import PASSING, Choice, Runners
from facet.preprocess import Pixels, Tensor
from facet.registry.models import RunIn, Version

Features = NDArray[np.float32]

BATCH = 16
"""Images of one invocation; fewer if they do not fit into its body."""

DECODING = 2
"""Images that are decoded at the same time: one may take 200 MB."""

PATIENCE = 60.0
"""Seconds for which a place that cannot answer now is asked again."""

PAUSE = 2.0


class Backbone:
    """A version of a backbone. `run_in` is its model's; images have up to `max_pixels` pixels."""

    def __init__(
        self,
        version: Version,
        run_in: RunIn | None,
        choice: Choice,
        runners: Runners,
        timeout: float,
        max_pixels: int,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        assert isinstance(version.manifest, BackboneManifest)
        self.version = version
        self.manifest = version.manifest
        self._places = choice.places(version, run_in)
        self._runners = runners
        self._timeout = timeout
        self._max_pixels = max_pixels
        self._pause = pause
        self._decoding = threading.BoundedSemaphore(DECODING)
        self._batch = 1 if version.max_batch_size == 1 else BATCH

    def features(self, images: Sequence[bytes], request_id: str) -> list[Features | FacetError]:
        """float32 (width,) features of each image file, or why it has none.

        Raises EndpointThrottled, EndpointUnavailable or ModelLoading if no place answers in time.
        """
        answers: list[Features | FacetError | None] = []
        tensors: list[Pixels | Tensor] = []
        for each in images:
            try:
                with self._decoding:
                    decoded = preprocess.decode(
                        self.manifest.input, each, max_pixels=self._max_pixels
                    )
                    tensors.append(preprocess.apply(self.manifest.input, decoded, each))
                answers.append(None)
            except (BrokenImage, UnsupportedImage) as error:
                answers.append(error)
        found = iter(self._batches(tensors, request_id))
        return [next(found) if each is None else each for each in answers]

    def _batches(
        self, tensors: Sequence[Pixels | Tensor], request_id: str
    ) -> list[Features | FacetError]:
        answers: list[Features | FacetError] = []
        while len(answers) < len(tensors):
            batch = tensors[len(answers) : len(answers) + self._batch]
            try:
                answers += self._asked(batch, request_id)
            except BodyTooLarge:
                if len(batch) == 1:
                    raise
                self._batch = max(1, len(batch) // 2)
            except ModelFailed as error:
                answers += [error] if len(batch) == 1 else self._alone(batch, request_id)
        return answers

    def _alone(
        self, batch: Sequence[Pixels | Tensor], request_id: str
    ) -> list[Features | FacetError]:
        answers: list[Features | FacetError] = []
        for each in batch:
            try:
                answers += self._asked([each], request_id)
            except ModelFailed as error:
                answers.append(error)
        return answers

    def _asked(
        self, batch: Sequence[Pixels | Tensor], request_id: str
    ) -> Sequence[Features | ModelFailed]:
        """Asks the places in turn, until one answers or PATIENCE is over."""
        until = time.monotonic() + PATIENCE
        while True:
            for place in self._places:
                try:
                    runner = self._runners(place, self._timeout)
                    return runner.classify(self.version, self.manifest, batch, request_id)
                except PASSING as error:
                    last = error
            if time.monotonic() > until:
                raise last
            self._pause(PAUSE)
