"""The rules for a data set: which of its images are taught, and for what it cannot be taught.

An image that cannot be read is left out, and so is a copy of another one. Problems of the data set
as a whole stop the teaching; all of them are reported at once. `facet teach` applies the same rules
before it uploads anything.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from facet.errors import FacetError, Violation
from facet.keys import IMAGE_SUFFIXES
from facet.manifest import MAX_TAUGHT
from facet.specs import MAX_LABEL
from teach.data_sets import StoredImage

MAX_IMAGES = 5000
"""Beyond it a training job is better, and a function's time would not suffice."""

MOST = 100
"""Images that a report, or a problem, names."""


@dataclass(frozen=True)
class Sorted:
    """The indices of the images that are taught, or the problems for which none are; and what was
    left out, for the report.
    """

    taken: tuple[int, ...]
    problems: tuple[Violation, ...]
    left_out: dict[str, Any]


def too_much(dataset: str, images: Sequence[StoredImage]) -> list[Violation]:
    """The problems of a data set that its listing shows."""
    counts = Counter(each.label for each in images)
    return too_many(dataset, images) + few(dataset, counts, labels=len(counts))


def too_many(dataset: str, images: Sequence[StoredImage]) -> list[Violation]:
    """The problems of too many images or labels, and of labels that are too long."""
    names = dict.fromkeys(each.label for each in images)
    labels = len(names)
    found = [
        Violation(
            "long-label",
            label[:MAX_LABEL] + "…",
            f"it has {len(label):,} characters; a label has up to {MAX_LABEL}",
            "rename its folder, then upload the data set again: facet data",
        )
        for label in [each for each in names if len(each) > MAX_LABEL][:MOST]
    ]
    if len(images) > MAX_IMAGES:
        found.append(
            Violation(
                "many-images",
                dataset,
                f"it has {len(images):,} images; up to {MAX_IMAGES:,} can be taught",
                f"train on it: facet train image-folder --dataset {dataset}",
            )
        )
    if labels > MAX_TAUGHT:
        found.append(
            Violation(
                "many-labels",
                dataset,
                f"it has {labels:,} labels; a head has up to {MAX_TAUGHT:,}",
                "remove labels, or train on it",
            )
        )
    return found


def few(dataset: str, counts: Counter[str], labels: int) -> list[Violation]:
    """The problems of too few labels, and of labels with too few images."""
    found = []
    if labels < 2:
        found.append(
            Violation(
                "few-labels",
                dataset,
                f"it has {labels} label{'' if labels == 1 else 's'}; a head needs two",
                "add images of another label",
            )
        )
    found += [
        Violation(
            "few-images",
            label,
            f"it has {images} image{'' if images == 1 else 's'} that can be used",
            "add images until it has two or more; ten are a good start",
        )
        for label, images in [*counts.items()][:MOST]
        if images < 2
    ]
    return found


def images_of(stored: Sequence[StoredImage]) -> tuple[list[StoredImage], list[StoredImage]]:
    """The images among the objects of a data set, and the other objects."""
    suffixes = (*IMAGE_SUFFIXES, ".jfif", ".jpe")
    images = [each for each in stored if each.name.lower().endswith(suffixes)]
    return images, [each for each in stored if not each.name.lower().endswith(suffixes)]


def sort_out(
    dataset: str,
    images: Sequence[StoredImage],
    digests: Sequence[bytes | FacetError],
    others: Sequence[StoredImage] = (),
) -> Sorted:
    """Which of these images are taught. `digests` are of their files, or why one cannot be used;
    `others` are objects that are no images.
    """
    skipped = [{"image": each.path, "problem": "it is not an image"} for each in others]
    first: dict[bytes, StoredImage] = {}
    copies: list[list[str]] = []
    twice: list[tuple[str, str]] = []
    taken: list[int] = []
    counts = Counter(dict.fromkeys(dict.fromkeys(each.label for each in images), 0))
    for at, (image, digest) in enumerate(zip(images, digests, strict=True)):
        if isinstance(digest, FacetError):
            skipped.append({"image": image.path, "problem": str(digest)})
            continue
        same = first.setdefault(digest, image)
        if same is image:
            taken.append(at)
            counts[image.label] += 1
        elif same.label == image.label:
            copies.append([same.path, image.path])
        else:
            twice.append((same.path, image.path))
    problems = (*_contradictions(twice), *few(dataset, counts, labels=len(counts)))
    left_out: dict[str, Any] = {
        "skipped": skipped[:MOST],
        "skipped_images": len(skipped),
        "duplicates": copies[:MOST],
        "duplicate_images": len(copies),
    }
    return Sorted(() if problems else tuple(taken), problems, left_out)


def _contradictions(twice: Sequence[tuple[str, str]]) -> Iterator[Violation]:
    for one, other in twice[:MOST]:
        yield Violation(
            "two-labels",
            other,
            f"the same image is '{one}', under another label",
            "delete it from one of the two",
        )
