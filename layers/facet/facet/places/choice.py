"""Chooses where a version runs: the places that may answer for it, in the order to ask them.

A place where a version was not proven is never asked. Of those where it was, the first is the one
that the model's `run_in` names or, without one, the stack's parameter RunIn. The others answer if
that one is away.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from facet.errors import (
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    ModelFailed,
    ModelLoading,
)
from facet.manifest import AnyManifest
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Place, RunIn, Version
from facet.registry.reasons import endpoint_only

PASSING = (EndpointThrottled, EndpointUnavailable, ModelLoading)
"""Errors of a place that cannot answer now: they say nothing about the version."""

SMALL = 32 << 20
"""Bytes of the largest LiteRT model that `auto` runs in the function. A new environment reads it
from S3 first, which takes some 0.4 s: AWS counts with 85 to 90 MB/s a request.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
"""

FAST = 0.1
"""Seconds of the longest answer that `auto` runs in the function. An instance costs as much as the
function at 2.2 requests a second for each second of an answer (docs/cost.md): here at 22."""

AWAY = 10.0
"""Seconds for which an endpoint that was found removed is not asked, if another place can answer.
Creating an endpoint takes minutes."""


class Runner(Protocol):
    """What every place offers."""

    def classify(
        self,
        version: Version,
        manifest: AnyManifest,
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        """For each image float32 (labels,) scores in 0..1, or why the model gave none for it.

        `batch` has each image's tensor from `preprocess.apply`; `request_id` is in the place's log.
        Raises BodyTooLarge, EndpointThrottled, EndpointUnavailable, EndpointRemoved,
        FunctionUnavailable, LiteRTMissing, ModelLoading, ModelFailed if the whole request fails,
        and botocore's ClientError for other causes, such as permissions.
        """
        ...


Runners = Callable[[Place, float], Runner]
"""The runner of a place whose answers must come within so many seconds."""


class Choice:
    """The places for each version in a stack whose parameter RunIn is `run_in`."""

    def __init__(self, run_in: RunIn, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_in = run_in
        self._clock = clock
        self._away_until = clock()

    def places(self, version: Version, run_in: RunIn | None = None) -> list[Place]:
        """Where a READY version may answer, in the order to ask; `run_in` is its model's.

        An endpoint that was found removed is the last.
        """
        first = preferred(run_in or self._run_in, version)
        away = self._clock() < self._away_until
        return sorted(
            version.proven_in,
            key=lambda each: (each is Place.ENDPOINT and away, each is not first),
        )

    def endpoint_is_removed(self) -> None:
        """Remembers for some seconds that there is no endpoint."""
        self._away_until = self._clock() + AWAY


def preferred(run_in: RunIn, version: Version) -> Place:
    """The place to ask first if a version is proven in both."""
    if run_in is RunIn.AUTO:
        size, seconds = version.litert_size or 0, version.function_seconds
        small = 0 < size <= SMALL and seconds is not None and seconds <= FAST
        return Place.FUNCTION if small else Place.ENDPOINT
    return Place(run_in.value)


def without_endpoint(version: Version, error: EndpointRemoved) -> EndpointRemoved:
    """The error of a version that needs the endpoint: why it does, and what to do."""
    why, remedy = endpoint_only(version.not_proven, version.litert_size)
    return EndpointRemoved(
        f"{error} Version {version.id} of '{version.model}' runs on the endpoint only: {why}. "
        f"To use it without an endpoint, {remedy}."
    )
