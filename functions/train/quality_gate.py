"""The quality gate: whether a training job's artifact is good enough to be uploaded.

It compares a metric in the artifact's manifest with a minimum, and the model with the live version:
on the same images if the training job scored both, otherwise by what the two manifests state. The
artifact is read as onboarding reads it, so that onboarding cannot reject its manifest afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from facet.artifact import archive, manifest_file
from facet.artifact.gzip_stream import Readable
from facet.errors import FacetError, Violation
from facet.keys import MANIFEST, version_id
from facet.manifest import AnyManifest, LabelledManifest
from facet.registry.models import Version
from facet.specs import Frozen
from facet.statistics import at_least, wilson
from train.comparison import Comparison, missing

LEVEL = 0.05
"""The default significance level."""

EVALUATED = ("test", "validation")
"""The sets that training evaluates; the validation images have also chosen the epoch."""

MAX_REASONS = 5
"""Violations that an error lists."""

INCOMPARABLE = "they cannot be compared; set allow_worse to replace it anyway"


class NoManifest(FacetError):
    """The training job's artifact has no valid manifest."""


class TooLarge(FacetError):
    """The training job's artifact has more bytes than S3 copies, and than onboarding takes."""


class NoMetric(FacetError):
    """The artifact's manifest does not state the metric that decides."""


class Gate(Frozen):
    """What a model must reach: `metric` of its manifest at least `minimum`, and not worse than the
    live version unless `allow_worse`.

    `accuracy` and `balanced_accuracy` are those of the test images, if the manifest has them.
    Without a `minimum`, the accuracy must be above the share of the most frequent class. `level` is
    the significance level of that test and of the comparison with the live version.
    """

    metric: str
    minimum: float | None
    allow_worse: bool
    level: float = LEVEL


@dataclass(frozen=True)
class Candidate:
    """An artifact: its version id, and what it says about itself."""

    version: str
    manifest: AnyManifest


@dataclass(frozen=True)
class Verdict:
    """The decision, and its reason with the numbers."""

    verdict: Literal["PUBLISH", "BELOW_MINIMUM", "WORSE"]
    reason: str


def read(stream: Readable, size: int) -> Candidate:
    """Reads a `model.tar.gz` of `size` bytes in one pass, in constant memory, as onboarding does.

    Raises NoManifest where onboarding would reject the artifact because of its manifest, or could
    not read it, and TooLarge before anything is read.
    """
    if wrong := archive.oversize(size):
        raise TooLarge(f"The training job's artifact is too large: {wrong.problem}.")
    artifact = archive.read(stream, only={MANIFEST})
    file = manifest_file.read(artifact)
    if file.manifest is None:
        reasons = file.violations or artifact.violations or [manifest_file.NO_MANIFEST]
        raise NoManifest(_reason(reasons))
    return Candidate(version_id(artifact.sha256), file.manifest)


def _reason(violations: Sequence[Violation]) -> str:
    reasons = "; ".join(f"{each.place}: {each.problem}" for each in violations[:MAX_REASONS])
    more = f"; and {len(violations) - MAX_REASONS} more" if len(violations) > MAX_REASONS else ""
    return (
        f"The training job's artifact has no valid manifest: {reasons}{more}. "
        f"train.py must write {MANIFEST} to SM_MODEL_DIR, as docs/manifest.md describes."
    )


def judge(manifest: AnyManifest, gate: Gate, live: Version | None) -> Verdict:
    """Decides whether an artifact with this manifest may replace `live`. Raises NoMetric."""
    metric = stated(gate.metric, manifest)
    reached = manifest.metrics[metric]
    number = f"{metric} {reached:.4f}{_certainty(metric, manifest)}"
    if gate.minimum is None:
        guess = _above_guessing(metric, manifest, gate.level)
        if guess and not guess.passed:
            return Verdict("BELOW_MINIMUM", f"{number} is not significantly above {guess.text}")
        passed = f"{number} is above {guess.text}" if guess else number
    elif reached < gate.minimum:
        return Verdict("BELOW_MINIMUM", f"{number} is below the minimum {gate.minimum:.4f}")
    else:
        passed = f"{number} reaches the minimum {gate.minimum:.4f}" if gate.minimum else number
    if live is None:
        return Verdict("PUBLISH", f"{passed}; there was no live version to compare with")
    compared = Comparison.read(manifest, live)
    found = compared and compared.describe(live.id, metric, gate.level)
    if gate.allow_worse:
        allowed = f"{passed}; being worse is allowed"
        return Verdict("PUBLISH", f"{allowed}; {found}" if found else allowed)
    if compared and found:
        if compared.worse(metric, gate.level):
            return Verdict("WORSE", f"{number} is worse: {found}")
        return Verdict("PUBLISH", f"{passed}; {found}")
    before = live.manifest.metrics.get(metric) if live.manifest else None
    if before is None:
        return Verdict("WORSE", f"the live version {live.id} has no {metric}; {INCOMPARABLE}")
    if live.manifest and _labels(live.manifest) != _labels(manifest):
        return Verdict("WORSE", f"the live version {live.id} has other labels; {INCOMPARABLE}")
    other = (
        f"the live version {live.id} has {before:.4f}, perhaps of other images "
        f"({missing(manifest, live)})"
    )
    if reached >= before:
        return Verdict("PUBLISH", f"{passed}; {other}")
    return Verdict("WORSE", f"{number} is worse: {other}")


def _labels(manifest: AnyManifest) -> frozenset[str]:
    """Those that its model distinguishes; none for a backbone."""
    return frozenset(manifest.labels if isinstance(manifest, LabelledManifest) else ())


def stated(metric: str, manifest: AnyManifest) -> str:
    """The name under which the manifest has the metric, `test_` before `validation_`.

    Raises NoMetric.
    """
    for name in (metric, *(f"{channel}_{metric}" for channel in EVALUATED)):
        if name in manifest.metrics:
            return name
    known = ", ".join(manifest.metrics) or "no metrics at all"
    raise NoMetric(f"{MANIFEST} of the artifact has no {metric}; it has {known}.")


def _certainty(metric: str, manifest: AnyManifest) -> str:
    """The counts and the 95 % interval of an accuracy, and which images they are."""
    channel = metric.removesuffix("_accuracy")
    counts = [manifest.metrics.get(f"{channel}_{name}") for name in ("correct", "images")]
    if None in counts:
        return ""
    correct, images = (int(each or 0) for each in counts)
    low, high = wilson(correct, images)
    share = manifest.provenance.get("held_out") if channel == "test" else None
    which = f", held out of train (test-share {share})" if share else ""
    chosen = ", which also chose the epoch" if channel == "validation" else ""
    return (
        f" ({correct:,} of {images:,} {channel} images right{which}{chosen}; "
        f"{low:.3f} to {high:.3f} with 95 % confidence)"
    )


@dataclass(frozen=True)
class _Guess:
    """Whether an accuracy is significantly above that of always naming the most frequent class."""

    passed: bool
    text: str


def _above_guessing(metric: str, manifest: AnyManifest, level: float) -> _Guess | None:
    """A one-sided binomial test; None if the manifest has no counts, as of other training code."""
    channel = metric.partition("_")[0]
    names = ("correct", "images", "largest_class")
    counts = [manifest.metrics.get(f"{channel}_{name}") for name in names]
    if None in counts or not counts[1]:
        return None
    correct, images, largest = (int(each or 0) for each in counts)
    p = at_least(correct, images, largest / images)
    return _Guess(
        p <= level,
        f"the share of the most frequent class, {largest:,} of {images:,} images "
        f"(binomial test: p = {p:.2g}, level {level:g})",
    )
