"""Heads that differ: each has a kernel and a reference of its own, drawn by its number.

What a head must answer is computed here, from the backbone's features, and not by the code that
predictions use. All heads give the golden image the same answer, so that their manifests are equal.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facet.heads import artifact
from facet.heads.familiarity import POINTS, Reference
from facet.heads.weights import Head
from facet.keys import head_key, version_id
from facet.manifest import BackboneManifest, BackboneRef, HeadManifest
from facet.specs import GoldenSample

Floats = NDArray[np.float32]

LABELS = tuple(f"label {number}" for number in range(10))
GOLDEN_LOGIT = 2.0
"""Of the first label for the golden image; the others' are 0."""

SPREAD = 2.0
"""About the standard deviation of the other images' logits."""

STANDARD = 73.6
"""The standard deviation of whole numbers from -127 to 127."""


@dataclass(frozen=True)
class Named:
    """What differs between the records of two heads. The artifact's SHA-256 comes first: it
    begins with the version's id.
    """

    sha256: str
    head_sha256: str
    version: str
    model: str


@dataclass(frozen=True, eq=False)
class Tenants:
    """Heads on a version of a backbone, whose float32 (images, width) `features` are known.

    The first image is the golden one, `golden` its file.
    """

    backbone: BackboneRef
    manifest: BackboneManifest
    golden: bytes
    features: Floats

    def name(self, number: int) -> str:
        """The model's."""
        return f"head-{number:07}"

    def head(self, number: int) -> Head:
        """The head as it is read from its file."""
        random = np.random.default_rng(number)
        width = self.backbone.width
        distance = np.linalg.norm(self.features[1:] - self.features[0], axis=1).mean()
        kernel, centres = random.integers(-127, 128, (2, len(LABELS), width), np.int8)
        scale = np.full(len(LABELS), SPREAD / (distance * STANDARD), np.float32)
        bias = -(self.features[0] @ (kernel.T * scale))
        bias[0] += GOLDEN_LOGIT
        distances = np.sort(random.random(POINTS, np.float32)) * 2
        distances[[0, -1]] = 0, 2
        return Head(kernel.T, bias, Reference(centres, distances), scale)

    def answers(self, head: Head) -> tuple[Floats, Floats]:
        """float32 (images, labels) scores and (images,) familiarity."""
        assert head.scale is not None
        powers = np.exp(self.features @ (head.kernel * head.scale) + head.bias)
        directions = self.features / np.linalg.norm(self.features, axis=1, keepdims=True)
        reference = head.reference
        centres = reference.centres.astype(np.float32)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        nearest = (directions @ centres.T).max(axis=1)
        share = np.interp(1 - nearest, reference.distances, np.linspace(0, 1, POINTS))
        scores: Floats = powers / powers.sum(axis=1, keepdims=True)
        return scores, (1 - share).astype(np.float32)

    @property
    def described(self) -> HeadManifest:
        """The manifest of every head."""
        powers = np.exp([GOLDEN_LOGIT, *[0.0] * (len(LABELS) - 1)])
        score = float(powers[0] / powers.sum())
        return HeadManifest(
            schema=1,
            kind="head",
            labels=LABELS,
            input=self.manifest.input,
            backbone=self.backbone,
            golden=GoldenSample(image="golden.png", label=LABELS[0], score=score),
        )

    def artifact(self, number: int) -> bytes:
        """What is uploaded of a head."""
        return artifact.pack(self.described, self.head(number), self.golden)

    def named(self, number: int, content: bytes) -> Named:
        """The names of a head with this file. Its artifact is not made: the digest of file and
        name stands for that of the artifact.
        """
        model = self.name(number)
        sha256 = hashlib.sha256(content + model.encode()).hexdigest()
        return Named(sha256, hashlib.sha256(content).hexdigest(), version_id(sha256), model)


def write(
    tenants: Tenants, numbers: Sequence[int], folder: Path
) -> tuple[list[Named], Floats, Floats]:
    """Writes the heads' files as objects below a folder. Returns their names, float32 (heads,
    images, labels) scores and (heads, images) familiarity.
    """
    named, scores, familiarity = [], [], []
    for number in numbers:
        head = tenants.head(number)
        content = head.to_bytes()
        named.append(tenants.named(number, content))
        path = folder / head_key(named[-1].model, named[-1].version)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        answers = tenants.answers(head)
        scores.append(answers[0])
        familiarity.append(answers[1])
    return named, np.array(scores), np.array(familiarity)
