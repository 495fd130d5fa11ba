"""Fits a head to a lesson, and packs it with its golden image as an artifact."""

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet import preprocess
from facet.artifact.validation import MAX_PIXELS
from facet.errors import FacetError
from facet.heads import artifact, weights
from facet.heads.familiarity import Reference, fit_reference
from facet.heads.fitting import FittedHead, fit_head
from facet.heads.report import LeftOut
from facet.heads.rounding import rounded
from facet.heads.weights import Head
from facet.keys import version_id
from facet.manifest import BackboneRef, HeadManifest
from facet.specs import GoldenSample, InputSpec
from teach.work.backbone import Backbone
from teach.work.lesson import Lesson

GOLDEN = "golden.jpg"
MAX_CHANGE = 0.1
"""The standard deviation of what int8 changes in a logit, at most. Measured: 0.003 to 0.03
(docs/decisions/0054-heads-in-int8.md)."""

QUALITY = 90
"""Of the golden image's JPEG."""

LONGEST = 65_500
"""Pixels of a JPEG's side, at most, by libjpeg."""


class NoGoldenSample(FacetError):
    """The head answers no image of the lesson rightly when it is left out."""


@dataclass(frozen=True, eq=False)
class Taught:
    """A fitted head, and how it answers the images of its lesson, each left out."""

    head: Head
    left_out: LeftOut


def fit(lesson: Lesson) -> Taught:
    """Fits a head; each label counts the same, however many images it has."""
    fitted = fit_head(lesson.features[None], lesson.targets, balanced=True)
    reference = fit_reference(lesson.features, lesson.classes)
    return Taught(_head(fitted, reference, lesson.features), LeftOut.of(fitted, lesson.classes))


def _head(fitted: FittedHead, reference: Reference, features: NDArray[np.float32]) -> Head:
    """The head, with an int8 kernel if that hardly changes the logits of these features.

    The bias makes up for what it changes all logits of a label by. Where one feature varies a
    hundred times as much as others that matter, the kernel stays float32.
    """
    columns, scales = rounded(fitted.kernel.T)
    small = Head(columns.T, fitted.bias, reference, scales[:, 0].astype(np.float32))
    changes = features @ (small.weights - fitted.kernel)
    if changes.std(axis=0).max() > MAX_CHANGE:
        return Head(fitted.kernel, fitted.bias, reference)
    return replace(small, bias=fitted.bias - changes.mean(axis=0))


def packed(
    taught: Taught,
    lesson: Lesson,
    backbone: Backbone,
    min_accuracy: float,
    read: Callable[[int], bytes],
    request_id: str,
) -> tuple[str, bytes]:
    """The version id and the artifact. `read` returns the file of an image of the lesson.

    Raises NoGoldenSample, and what `Backbone.features` raises.
    """
    manifest = backbone.manifest
    content = taught.head.to_bytes()
    head = weights.read(content, labels=len(lesson.labels), width=manifest.width)
    best = taught.left_out.clearest
    if best is None:
        raise NoGoldenSample("no image is answered rightly when it is left out")
    image = small(manifest.input, read(best))
    (row,) = backbone.features([image], request_id)
    if isinstance(row, FacetError):
        raise row
    scores = head.answer(row[None])[0].scores
    golden = GoldenSample(
        image=GOLDEN, label=lesson.labels[int(scores.argmax())], score=float(scores.max())
    )
    measures: dict[str, Any] = taught.left_out.measures
    made = artifact.pack(
        HeadManifest(
            schema=1,
            kind="head",
            labels=lesson.labels,
            input=manifest.input,
            backbone=BackboneRef(
                model=backbone.version.model, version=backbone.version.id, width=manifest.width
            ),
            golden=golden,
            metrics={**measures, "min_accuracy": min_accuracy},
            provenance={"taught": "leave-one-out accuracy"},
        ),
        head,
        image,
    )
    return version_id(hashlib.sha256(made).hexdigest()), made


def small(spec: InputSpec, file: bytes) -> bytes:
    """The image as a JPEG that is no larger than the model's input needs, nor than onboarding
    takes.
    """
    decoded = preprocess.decode(spec, file).convert("RGB")
    side = max(spec.resize_to or 0, spec.height, spec.width)
    most = math.sqrt(0.99 * MAX_PIXELS / (decoded.width * decoded.height))  # sides are rounded
    scale = min(1, side / min(decoded.size), most)
    width, height = (min(max(1, round(each * scale)), LONGEST) for each in decoded.size)
    if (size := (width, height)) != decoded.size:
        decoded = decoded.resize(size, Image.Resampling.BOX)
    written = io.BytesIO()
    decoded.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
