"""The proof of a version: a place answers its golden sample before any client is answered there.

Without a golden sample it must answer a grey image with valid scores (a smoke test). `rows` says
what an answer must be: a classifier's scores, or a backbone's features.
Either way the answer must be the same when it is asked again, in company and in another order. The
maps of a backbone that has them are asked for once: their averages must be the golden features.
A failure, and an answer that takes too long, count if they are seen twice, apart in time.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from facet import preprocess
from facet.errors import BodyTooLarge, ModelFailed, TooLargeForFunction, Violation
from facet.heads import maps
from facet.heads.runner import HeadRunner
from facet.keys import MANIFEST
from facet.manifest import AnyManifest, BackboneManifest
from facet.observability import logger
from facet.places.choice import Runner
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Place, Version
from onboard.kinds import OnBackbone
from onboard.proof.consistency import Answer, Check, Consistency
from onboard.proof.rows import FeatureRows, rows_of
from onboard.retry import RetryPolicy

PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/:;,'\"()<>\[\]{}]+){2,}")
"""An absolute path. Names of TensorFlow's nodes and devices have no `/` before them, or a colon."""

VERSION_FOLDER = re.compile(r".*/([0-9]+(?:/.*)?)")

OF_THE_MOMENT = ("model-failed", "too-slow")
"""Violations that a crowded endpoint may cause."""

REQUEST_ID = "proof"
"""The id of these requests in the container's log."""


class Proof(NamedTuple):
    """How a version was proven (`golden` or `smoke`), and the violations in its answers.

    `max_batch_size` is 1 if it can only answer single images, None otherwise. `seconds` is how long
    the loaded model took to answer one image, None if it did not.
    """

    kind: str
    violations: list[Violation]
    max_batch_size: int | None = None
    seconds: float | None = None


class Prover:
    """Proves versions in one place. A loaded model must answer in `within` seconds."""

    def __init__(
        self,
        runner: Runner,
        within: float,
        clock: Callable[[], float] = time.monotonic,
        place: Place = Place.ENDPOINT,
    ) -> None:
        self._runner = runner
        self._place = place
        self._within = within
        self._clock = clock

    def on_backbone(self, on: OnBackbone) -> "Prover":
        """The same for one head, in the place of its backbone."""
        runner = HeadRunner(self._runner, on.backbone, on.head)
        return Prover(runner, self._within, self._clock, self._place)

    def prove(
        self, version: Version, manifest: AnyManifest, golden: bytes | None, retry: RetryPolicy
    ) -> Proof:
        """Asks it with the encoded image of its golden sample, or with a grey image.

        A slow first answer included the model's load, so that it is invoked again. Then the model
        must answer the same again, in company and in another order. A violation that may be of the
        moment is looked at again. Raises EndpointThrottled, EndpointUnavailable and ModelLoading,
        which say nothing about the model, when `retry` gives up.
        """
        proof = self._prove(version, manifest, golden, retry)
        passing = any(each.code in OF_THE_MOMENT for each in proof.violations)
        if not passing or not retry.looks_again():
            return proof
        logger().info(
            "looking again", target=version.target, codes=[each.code for each in proof.violations]
        )
        return self._prove(version, manifest, golden, retry)

    def _prove(
        self, version: Version, manifest: AnyManifest, golden: bytes | None, retry: RetryPolicy
    ) -> Proof:
        rows = rows_of(manifest)
        kind = "golden" if golden is not None else "smoke"
        image = preprocess.decode(manifest.input, golden) if golden is not None else _grey()

        alone: list[float] = []

        def ask(images: Sequence[Image.Image]) -> Answer:
            files = [golden or b"" if each is image else b"" for each in images]
            batch = [
                preprocess.apply(manifest.input, each, file)
                for each, file in zip(images, files, strict=True)
            ]
            answer = self._invoke(version, manifest, batch, retry)
            if len(images) == 1:
                alone.append(answer.seconds)
            return answer

        try:
            answers = [ask([image])]
            if answers[0].seconds > self._within:
                answers.append(ask([image]))
            row, seconds = _only(answers[-1]), answers[-1].seconds
            violations = [*rows.invalid(row), *rows.as_recorded(row, self._place)]
            if seconds > self._within:
                violations.append(_too_slow(self._place, seconds, self._within))
            found = Consistency()
            if seconds <= self._within:
                check = Check(ask, rows, self._within, self._place)
                examine = check.of_any if golden is None else check.of_sample
                found = examine(image, answers)
                if isinstance(manifest, BackboneManifest) and manifest.output.maps:
                    batch = [preprocess.apply(manifest.input, image, golden or b"")]
                    violations += self._of_maps(version, manifest, batch, retry)
        except TooLargeForFunction as error:
            return Proof(kind, [_too_large_to_load(error)])
        except ModelFailed as error:
            return Proof(kind, [_failed(self._place, error)])
        except BodyTooLarge as error:
            return Proof(kind, [_too_large(error)])
        return Proof(kind, [*violations, *found.violations], found.max_batch_size, min(alone))

    def _of_maps(
        self,
        version: Version,
        manifest: BackboneManifest,
        batch: Sequence[Pixels | Tensor],
        retry: RetryPolicy,
    ) -> Iterator[Violation]:
        """The first answer may be slow, because the model computes this signature for the first
        time. Raises what `_invoke` raises, and ModelFailed.
        """
        asked = maps.manifest_of(manifest)
        try:
            answer = self._invoke(version, asked, batch, retry)
            if answer.seconds > self._within:
                answer = self._invoke(version, asked, batch, retry)
            row = _only(answer)
        except TooLargeForFunction:
            raise
        except ModelFailed as error:
            raise ModelFailed(f"asked for its maps, {error.reason}") from error
        yield from FeatureRows(manifest).maps_as_recorded(row, self._place)
        if answer.seconds > self._within:
            yield _too_slow(self._place, answer.seconds, self._within)

    def answers(self, version: Version, manifest: AnyManifest, retry: RetryPolicy) -> bool:
        """Whether it gives a grey image a valid answer. Raises what `prove` raises."""
        try:
            batch = [preprocess.apply(manifest.input, _grey())]
            row = _only(self._invoke(version, manifest, batch, retry))
        except (ModelFailed, BodyTooLarge):
            return False
        return not [*rows_of(manifest).invalid(row)]

    def _invoke(
        self,
        version: Version,
        manifest: AnyManifest,
        batch: Sequence[Pixels | Tensor],
        retry: RetryPolicy,
    ) -> Answer:
        """The answer to one request with all images, and the seconds that it took by itself."""

        def attempt() -> Answer:
            began = self._clock()
            rows = self._runner.classify(version, manifest, batch, REQUEST_ID)
            return Answer(rows, self._clock() - began)

        return retry.until_endpoint_answers(attempt, self._place)


def _grey() -> Image.Image:
    return Image.new("RGB", (256, 256), "grey")


def _only(answer: Answer) -> Scores:
    """The scores or features of a single image. Raises ModelFailed."""
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


def _failed(place: Place, error: ModelFailed) -> Violation:
    if OVERRAN.search(error.reason):
        remedy = "look for a loop without end, or make the model faster, then upload it again"
    elif place is Place.FUNCTION:
        remedy = "load the LiteRT model with LiteRT's interpreter and run it on the same image"
    else:
        remedy = "load the SavedModel with TensorFlow Serving and send it the same image"
    problem = f"the {place} failed to run this model: {without_folders(error.reason)}"
    return Violation("model-failed", place, problem, remedy)


def _too_large_to_load(error: ModelFailed) -> Violation:
    return Violation(
        "too-large-for-function",
        Place.FUNCTION,
        f"the LiteRT model does not fit into the function: {without_folders(error.reason)}",
        "quantise it (`facet pack --quantize`), let the operator give the function more memory, or "
        "run the model on the endpoint",
    )


def _too_large(error: BodyTooLarge) -> Violation:
    return Violation(
        "input-too-large",
        f"{MANIFEST}.input",
        f"one image is too large for a request: {error}",
        "export a signature that takes uint8, or smaller images",
    )


def _too_slow(place: Place, seconds: float, within: float) -> Violation:
    return Violation(
        "too-slow",
        place,
        f"the loaded model took {seconds:.1f} s for one image; the limit is {within:g} s",
        "make the network smaller, or serve it on a faster instance or in a larger function",
    )
