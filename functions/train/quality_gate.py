"""The quality gate: whether a training job's artifact is good enough to be uploaded.

It compares a metric in the artifact's manifest with a minimum, and with the live version's. The
artifact is read as onboarding reads it, so that onboarding cannot reject its manifest afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from facet.artifact import archive, manifest_file
from facet.artifact.gzip_stream import Readable
from facet.errors import FacetError, Violation
from facet.keys import MANIFEST, version_id
from facet.manifest import Frozen, Manifest
from facet.registry.models import Version

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
    """What a model must reach: `metric` of its manifest at least `minimum`, and not less than the
    live version's unless `allow_worse`."""

    metric: str
    minimum: float
    allow_worse: bool


@dataclass(frozen=True)
class Candidate:
    """An artifact: its version id, and what it says about itself."""

    version: str
    manifest: Manifest


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
    artifact = archive.read(stream, only=MANIFEST)
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


def judge(manifest: Manifest, gate: Gate, live: Version | None) -> Verdict:
    """Decides whether an artifact with this manifest may replace `live`. Raises NoMetric."""
    if gate.metric not in manifest.metrics:
        stated = ", ".join(manifest.metrics) or "no metrics at all"
        raise NoMetric(f"{MANIFEST} of the artifact has no {gate.metric}; it has {stated}.")
    reached = manifest.metrics[gate.metric]
    number = f"{gate.metric} {reached:.4f}"
    if reached < gate.minimum:
        return Verdict("BELOW_MINIMUM", f"{number} is below the minimum {gate.minimum:.4f}")
    passed = f"{number} reaches the minimum {gate.minimum:.4f}" if gate.minimum else number
    if live is None:
        return Verdict("PUBLISH", f"{passed}; there was no live version to compare with")
    if gate.allow_worse:
        return Verdict("PUBLISH", f"{passed}; being worse is allowed")
    before = live.manifest.metrics.get(gate.metric) if live.manifest else None
    if before is None:
        return Verdict("WORSE", f"the live version {live.id} has no {gate.metric}; {INCOMPARABLE}")
    if live.manifest and set(live.manifest.labels) != set(manifest.labels):
        return Verdict("WORSE", f"the live version {live.id} has other labels; {INCOMPARABLE}")
    compared = f"the live version {live.id} has {before:.4f}"
    if reached >= before:
        return Verdict("PUBLISH", f"{passed}; {compared}")
    return Verdict("WORSE", f"{number} is worse: {compared}")
