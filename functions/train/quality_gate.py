"""A training job's artifact → whether it is good enough to be published."""

import hashlib
import posixpath
import tarfile
from dataclasses import dataclass
from io import RawIOBase
from typing import Literal, Protocol

from pydantic import ValidationError

from facet.errors import FacetError
from facet.keys import MANIFEST, version_id
from facet.manifest import Frozen, Manifest
from facet.registry.models import Version

BLOCK = 1 << 20
MAX_MANIFEST = 8 << 20
"""Bytes of a manifest; a hundred thousand labels have less."""

HOW = "they cannot be compared: set allow_worse to replace it all the same"


class NoManifest(FacetError):
    """The training job's artifact has no manifest that could be judged."""


class NoMetric(FacetError):
    """The artifact's manifest does not state the metric that decides."""


class Readable(Protocol):
    """A stream of bytes, S3's body among them."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes, none at the end."""


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


class _Digested(RawIOBase):
    """Passes a stream on and digests what went through."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size if size >= 0 else BLOCK)
        self._digest.update(block)
        return block

    def drain(self) -> str:
        """Reads to the end; the whole stream's SHA-256."""
        while self.read(BLOCK):
            pass
        return self._digest.hexdigest()


def read(stream: Readable) -> Candidate:
    """Reads a `model.tar.gz` in one pass and in constant memory. Raises NoManifest.

    Facet's own training puts the manifest first; SageMaker packs in an order of its own.
    """
    packed = _Digested(stream)
    try:
        text = _manifest(packed)
        manifest = Manifest.model_validate_json(text)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise NoManifest(f"The training job's artifact cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise NoManifest(f"{MANIFEST} of the artifact: {place}: {first['msg']}.") from error
    return Candidate(version_id(packed.drain()), manifest)


def _manifest(packed: _Digested) -> bytes:
    with tarfile.open(fileobj=packed, mode="r|gz", bufsize=BLOCK) as tar:
        for member in tar:
            if posixpath.normpath(member.name) != MANIFEST or not member.isreg():
                continue
            if member.size > MAX_MANIFEST:
                raise NoManifest(f"{MANIFEST} of the artifact has {member.size:,} bytes.")
            content = tar.extractfile(member)
            assert content is not None  # it is a regular file
            return content.read()
    raise NoManifest(
        f"The training job's artifact has no {MANIFEST}: train.py must write one to SM_MODEL_DIR."
    )


def judge(manifest: Manifest, gate: Gate, live: Version | None) -> Verdict:
    """Whether an artifact with this manifest may take the place of `live`. Raises NoMetric."""
    if gate.metric not in manifest.metrics:
        stated = ", ".join(manifest.metrics) or "no metrics at all"
        raise NoMetric(f"{MANIFEST} of the artifact has no {gate.metric}; it has {stated}.")
    reached = manifest.metrics[gate.metric]
    number = f"{gate.metric} {reached:.4f}"
    if reached < gate.minimum:
        return Verdict("BELOW_MINIMUM", f"{number} is below the minimum {gate.minimum:.4f}")
    passed = f"{number} reaches the minimum {gate.minimum:.4f}"
    if live is None:
        return Verdict("PUBLISH", f"{passed}; no version is live")
    if gate.allow_worse:
        return Verdict("PUBLISH", f"{passed}; being worse is allowed")
    before = live.manifest.metrics.get(gate.metric) if live.manifest else None
    if before is None:
        return Verdict("WORSE", f"the live version {live.id} states no {gate.metric}; {HOW}")
    if live.manifest and set(live.manifest.labels) != set(manifest.labels):
        return Verdict("WORSE", f"the live version {live.id} has other labels; {HOW}")
    compared = f"the live version {live.id} has {before:.4f}"
    if reached >= before:
        return Verdict("PUBLISH", f"{passed}; {compared}")
    return Verdict("WORSE", f"{number} is worse: {compared}")
