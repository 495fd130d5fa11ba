"""The images that a head is taught with: those of a data set without what would harm it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facet.errors import FacetError, Violation
from teach.data_sets import StoredImage
from teach.work.features import Known
from teach.work.rules import sort_out


@dataclass(frozen=True, eq=False)
class Lesson:
    """`features` (n, width) of `images` with `classes` (n,), which are indices of `labels`."""

    labels: tuple[str, ...]
    images: tuple[StoredImage, ...]
    features: NDArray[np.float32]
    classes: NDArray[np.int64]

    @property
    def targets(self) -> NDArray[np.float32]:
        """One-hot (n, labels)."""
        return np.eye(len(self.labels), dtype=np.float32)[self.classes]


@dataclass(frozen=True, eq=False)
class Checked:
    """A lesson, or the problems for which there is none; and what was left out, for the report."""

    lesson: Lesson | None
    problems: tuple[Violation, ...]
    left_out: dict[str, Any]


def lesson_of(
    dataset: str,
    images: Sequence[StoredImage],
    known: Sequence[Known | FacetError],
    others: Sequence[StoredImage] = (),
) -> Checked:
    """What is taught with these images; `others` are objects that are no images."""
    digests = [each if isinstance(each, FacetError) else each.digest for each in known]
    found = sort_out(dataset, images, digests, others)
    if found.problems:
        return Checked(None, found.problems, found.left_out)
    taken = tuple(images[at] for at in found.taken)
    labels = tuple(sorted({each.label for each in taken}))
    index = {label: at for at, label in enumerate(labels)}
    rows = [each.features for at in found.taken if isinstance(each := known[at], Known)]
    classes = np.array([index[each.label] for each in taken], dtype=np.int64)
    return Checked(Lesson(labels, taken, np.stack(rows), classes), (), found.left_out)
