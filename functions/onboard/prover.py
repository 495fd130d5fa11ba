"""The proof of a version: the endpoint answers its golden sample before any client can use it.

Without a golden sample the endpoint must answer a grey image with valid scores (a smoke test).
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from facet import preprocess
from facet.endpoint import Endpoint, Scores
from facet.errors import BodyTooLarge, ModelFailed, Violation
from facet.keys import MANIFEST
from facet.manifest import GoldenSample, Manifest
from onboard.retry import RetryPolicy

SUM_TOLERANCE = 0.02
"""How far the sum of softmax scores may be from 1; half-precision weights stay within it."""

PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/:;,'\"()<>\[\]{}]+){2,}")
"""An absolute path. Names of TensorFlow's nodes and devices have no `/` before them, or a colon."""

VERSION_FOLDER = re.compile(r".*/([0-9]+(?:/.*)?)")

REQUEST_ID = "proof"
"""The id of these requests in the container's log."""


class Proof(NamedTuple):
    """How a version was proven (`golden` or `smoke`), and the violations in its answer."""

    kind: str
    violations: list[Violation]


class Prover:
    """Proves versions on one endpoint. A loaded model must answer in `within` seconds."""

    def __init__(
        self, endpoint: Endpoint, within: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._within = within
        self._clock = clock

    def prove(
        self, target: str, manifest: Manifest, golden: bytes | None, retry: RetryPolicy
    ) -> Proof:
        """Invokes `target` with the encoded image of its golden sample, or with a grey image.

        A slow first answer included the model's load, so that it is invoked again. Raises
        EndpointThrottled, EndpointUnavailable and ModelLoading, which say nothing about the model,
        when `retry` gives up.
        """
        kind = "golden" if golden is not None else "smoke"
        try:
            scores, seconds = self._invoke(target, manifest, golden, retry)
            if seconds > self._within:
                scores, seconds = self._invoke(target, manifest, golden, retry)
        except ModelFailed as error:
            return Proof(kind, [_failed(error)])
        except BodyTooLarge as error:
            return Proof(kind, [_too_large(error)])
        violations = [*_probabilities(manifest, scores)]
        if manifest.golden is not None:
            violations += _as_recorded(manifest, manifest.golden, scores)
        if seconds > self._within:
            violations.append(_too_slow(seconds, self._within))
        return Proof(kind, violations)

    def _invoke(
        self, target: str, manifest: Manifest, golden: bytes | None, retry: RetryPolicy
    ) -> tuple[Scores, float]:
        """float32 (labels,) scores of one image, and the seconds that the invocation took."""
        image = (
            preprocess.decode(manifest.input, golden)
            if golden is not None
            else Image.new("RGB", (256, 256), "grey")
        )
        tensor = preprocess.apply(manifest.input, image, golden or b"")

        def attempt() -> tuple[Scores, float]:
            began = self._clock()
            scores = self._endpoint.classify(target, manifest, [tensor], REQUEST_ID)[0]
            return scores, self._clock() - began

        return retry.until_endpoint_answers(attempt)


def without_folders(text: str) -> str:
    """Paths as the uploader knows them: from the version folder on, or the file's name alone."""
    return PATH.sub(_in_artifact, text)


def _in_artifact(path: re.Match[str]) -> str:
    inside = VERSION_FOLDER.fullmatch(path[0])
    return inside[1] if inside else path[0].rpartition("/")[2]


def _failed(error: ModelFailed) -> Violation:
    return Violation(
        "model-failed",
        "endpoint",
        f"the endpoint failed to run this model: {without_folders(error.reason)}",
        "load the SavedModel with TensorFlow Serving and send it the same image",
    )


def _too_large(error: BodyTooLarge) -> Violation:
    return Violation(
        "input-too-large",
        f"{MANIFEST}.input",
        f"one image is too large for a request to the endpoint: {error}",
        "export a signature that takes uint8, or smaller images",
    )


def _too_slow(seconds: float, within: float) -> Violation:
    return Violation(
        "too-slow",
        "endpoint",
        f"the loaded model took {seconds:.1f} s for one image; the limit is {within:g} s",
        "make the network smaller, or serve it on a faster instance",
    )


def _probabilities(manifest: Manifest, scores: Scores) -> Iterator[Violation]:
    softmax = manifest.output.activation == "softmax"
    least, most, total = float(np.min(scores)), float(np.max(scores)), float(np.sum(scores))
    if least < 0 or most > 1 or (softmax and abs(total - 1) > SUM_TOLERANCE):
        yield Violation(
            "not-probabilities",
            f"{MANIFEST}.output.activation",
            f"the scores are between {least:.4g} and {most:.4g}, and their sum is {total:.4g}",
            "use 'logits' if the model has no softmax, 'sigmoid' if labels are independent",
        )


def _as_recorded(manifest: Manifest, golden: GoldenSample, scores: Scores) -> Iterator[Violation]:
    best = int(np.argmax(scores))
    if manifest.labels[best] != golden.label:
        yield Violation(
            "golden-label",
            f"{MANIFEST}.golden.label",
            f"the endpoint answers '{manifest.labels[best]}' ({scores[best]:.4f}) "
            f"for the golden sample; the trainer recorded '{golden.label}'",
            "check that labels and input are those that the model was trained with",
        )
    elif abs(float(scores[best]) - golden.score) > golden.tolerance:
        yield Violation(
            "golden-score",
            f"{MANIFEST}.golden.score",
            f"the endpoint answers {scores[best]:.4f} for the golden sample; "
            f"the trainer recorded {golden.score:.4f} ± {golden.tolerance}",
            "check that input is what the model was trained with, down to the resize filter",
        )
