"""Pictures → ranked labels: the one path of every prediction."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from facet import image, preprocess
from facet.endpoint import Endpoint, Scores
from facet.registry import Version
from predict.live import LiveVersions


@dataclass(frozen=True)
class Prediction:
    """A label and its score in 0..1."""

    label: str
    score: float


@dataclass(frozen=True)
class Classified:
    """For each picture its predictions, best first, and the milliseconds that each step took."""

    version: Version
    results: tuple[tuple[Prediction, ...], ...]
    milliseconds: dict[str, float]


@dataclass
class _Watch:
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = (time.perf_counter() - start) * 1000
        self.milliseconds[name] = self.milliseconds.get(name, 0) + spent


class Classifier:
    """Classifies with the versions that the registry says are live."""

    def __init__(self, versions: LiveVersions, endpoint: Endpoint) -> None:
        self._versions = versions
        self._endpoint = endpoint

    def classify(
        self, model: str, pictures: Sequence[bytes], *, version: str | None, top_k: int
    ) -> Classified:
        """The `top_k` best labels of each encoded picture.

        Raises what `LiveVersions.get`, `image.decode` and `Endpoint.classify` raise.
        """
        watch = _Watch()
        with watch.step("registry"):
            found = self._versions.get(model, version)
        manifest = found.manifest
        if manifest is None:
            raise LookupError(f"{found.target} is READY without a manifest")
        batch = []
        for each in pictures:  # one after the other: a decoded picture may take 200 MB
            with watch.step("decode"):
                picture = image.decode(each)
            with watch.step("preprocess"):
                batch.append(preprocess.apply(manifest.input, picture))
        with watch.step("invoke"):
            scores = self._endpoint.classify(found.target, manifest, batch)
        results = tuple(_ranked(manifest.labels, row, top_k) for row in scores)
        return Classified(found, results, watch.milliseconds)


def _ranked(labels: Sequence[str], scores: Scores, top_k: int) -> tuple[Prediction, ...]:
    best = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Prediction(labels[at], round(float(scores[at]), 6)) for at in best)
