"""The proof of a version: the endpoint answers its golden sample before any client can use it.

Without a golden sample the endpoint must answer a grey image with valid scores (a smoke test).
Either way the answer must be the same when it is asked again, in company and in another order.
A failure, and an answer that takes too long, count if they are seen twice, apart in time.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from facet import preprocess
from facet.errors import BodyTooLarge, ModelFailed, Violation
from facet.keys import MANIFEST
from facet.manifest import TOLERANCE, GoldenSample, Manifest
from facet.observability import logger
from facet.places.endpoint import Endpoint
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from onboard.consistency import Answer, Check, Consistency
from onboard.retry import RetryPolicy

SUM_TOLERANCE = 0.02
"""How far the sum of softmax scores may be from 1; half-precision weights stay within it."""

STEP = 1 / 256
"""The step of scores in eight bits; each is off by up to half of it. MobileNet's 1,001 quantised
scores for a grey image add up to 0.6."""

PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/:;,'\"()<>\[\]{}]+){2,}")
"""An absolute path. Names of TensorFlow's nodes and devices have no `/` before them, or a colon."""

VERSION_FOLDER = re.compile(r".*/([0-9]+(?:/.*)?)")

OF_THE_MOMENT = ("model-failed", "too-slow")
"""Violations that a crowded endpoint may cause."""

REQUEST_ID = "proof"
"""The id of these requests in the container's log."""


class Proof(NamedTuple):
    """How a version was proven (`golden` or `smoke`), and the violations in its answers.

    `max_batch_size` is 1 if it can only answer single images, None otherwise.
    """

    kind: str
    violations: list[Violation]
    max_batch_size: int | None = None


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

        A slow first answer included the model's load, so that it is invoked again. Then the model
        must answer the same again, in company and in another order. A violation that may be of the
        moment is looked at again. Raises EndpointThrottled, EndpointUnavailable and ModelLoading,
        which say nothing about the model, when `retry` gives up.
        """
        proof = self._prove(target, manifest, golden, retry)
        passing = any(each.code in OF_THE_MOMENT for each in proof.violations)
        if not passing or not retry.looks_again():
            return proof
        logger().info(
            "looking again", target=target, codes=[each.code for each in proof.violations]
        )
        return self._prove(target, manifest, golden, retry)

    def _prove(
        self, target: str, manifest: Manifest, golden: bytes | None, retry: RetryPolicy
    ) -> Proof:
        kind = "golden" if golden is not None else "smoke"
        image = preprocess.decode(manifest.input, golden) if golden is not None else _grey()

        def ask(images: Sequence[Image.Image]) -> Answer:
            files = [golden or b"" if each is image else b"" for each in images]
            batch = [
                preprocess.apply(manifest.input, each, file)
                for each, file in zip(images, files, strict=True)
            ]
            return self._invoke(target, manifest, batch, retry)

        try:
            answers = [ask([image])]
            if answers[0].seconds > self._within:
                answers.append(ask([image]))
            scores, seconds = _only(answers[-1]), answers[-1].seconds
            violations = self._violations(manifest, scores, seconds)
            found = Consistency()
            if seconds <= self._within:
                sample = manifest.golden
                tolerance = sample.tolerance if sample is not None else TOLERANCE
                check = Check(ask, manifest.labels, tolerance, self._within)
                examine = check.of_any if golden is None else check.of_sample
                found = examine(image, answers)
        except ModelFailed as error:
            return Proof(kind, [_failed(error)])
        except BodyTooLarge as error:
            return Proof(kind, [_too_large(error)])
        return Proof(kind, [*violations, *found.violations], found.max_batch_size)

    def answers(self, target: str, manifest: Manifest, retry: RetryPolicy) -> bool:
        """Whether `target` answers a grey image with valid scores. Raises what `prove` raises."""
        try:
            batch = [preprocess.apply(manifest.input, _grey())]
            scores = _only(self._invoke(target, manifest, batch, retry))
        except (ModelFailed, BodyTooLarge):
            return False
        return not [*_probabilities(manifest, scores)]

    def _violations(self, manifest: Manifest, scores: Scores, seconds: float) -> list[Violation]:
        violations = [*_probabilities(manifest, scores)]
        if manifest.golden is not None:
            violations += _as_recorded(manifest, manifest.golden, scores)
        if seconds > self._within:
            violations.append(_too_slow(seconds, self._within))
        return violations

    def _invoke(
        self, target: str, manifest: Manifest, batch: Sequence[Pixels | Tensor], retry: RetryPolicy
    ) -> Answer:
        """The answer to one request with all images, and the seconds that it took by itself."""

        def attempt() -> Answer:
            began = self._clock()
            rows = self._endpoint.classify(target, manifest, batch, REQUEST_ID)
            return Answer(rows, self._clock() - began)

        return retry.until_endpoint_answers(attempt)


def _grey() -> Image.Image:
    return Image.new("RGB", (256, 256), "grey")


def _only(answer: Answer) -> Scores:
    """The scores of a single image. Raises ModelFailed."""
    (row,) = answer.rows
    if isinstance(row, ModelFailed):
        raise row
    return row


def without_folders(text: str) -> str:
    """Paths as the uploader knows them: from the version folder on, or the file's name alone."""
    return PATH.sub(_in_artifact, text)


OVERRAN = re.compile(r"was stopped: it .* for over")
"""In the container's error for a model that passed a time limit."""


def _in_artifact(path: re.Match[str]) -> str:
    inside = VERSION_FOLDER.fullmatch(path[0])
    return inside[1] if inside else path[0].rpartition("/")[2]


def _failed(error: ModelFailed) -> Violation:
    return Violation(
        "model-failed",
        "endpoint",
        f"the endpoint failed to run this model: {without_folders(error.reason)}",
        "look for a loop without end, or make the model faster, then upload it again"
        if OVERRAN.search(error.reason)
        else "load the SavedModel with TensorFlow Serving and send it the same image",
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
    tolerance = max(SUM_TOLERANCE, len(scores) * STEP / 2)
    if least < 0 or most > 1 or (softmax and abs(total - 1) > tolerance):
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
