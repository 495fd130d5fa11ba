"""Pictures → ranked labels, by one version."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from facet import preprocess
from facet.endpoint import Endpoint, Scores
from facet.records import Version
from predict.deadline import Deadline


@dataclass(frozen=True)
class Prediction:
    """A label and its score in 0..1."""

    label: str
    score: float


@dataclass
class Watch:
    """The milliseconds that each step of one request took, added up by name."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times what is done within."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.milliseconds[name] = self.milliseconds.get(name, 0) + spent


@dataclass(frozen=True)
class Classified:
    """For each picture its predictions, best first; which version gave them, and the time."""

    version: Version
    results: tuple[tuple[Prediction, ...], ...]
    watch: Watch


class Classifier:
    """Classifies with any version that the endpoint can load.

    `endpoint` gives the one that waits so many seconds, and is asked to wait `patience` at most;
    pictures have `max_pixels` at most.
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
        pictures: Sequence[bytes],
        top_k: int,
        deadline: Deadline,
        watch: Watch,
    ) -> Classified:
        """The `top_k` best labels of each encoded picture.

        Raises what `preprocess.decode`, `Deadline.patience` and `Endpoint.classify` raise.
        """
        manifest = version.manifest
        if manifest is None:
            raise LookupError(f"{version.target} is READY without a manifest")
        batch = []
        for each in pictures:  # one after the other: a decoded picture may take 200 MB
            with watch.step("decode"):
                deadline.patience(self._patience)
                picture = preprocess.decode(manifest.input, each, max_pixels=self._max_pixels)
            with watch.step("preprocess"):
                batch.append(preprocess.apply(manifest.input, picture))
        with watch.step("invoke"):
            endpoint = self._endpoint(deadline.patience(self._patience))
            scores = endpoint.classify(version.target, manifest, batch)
        results = tuple(_ranked(manifest.labels, row, top_k) for row in scores)
        return Classified(version, results, watch)


def _ranked(labels: Sequence[str], scores: Scores, top_k: int) -> tuple[Prediction, ...]:
    best = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Prediction(labels[at], round(float(scores[at]), 6)) for at in best)
