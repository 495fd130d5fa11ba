"""Checks a data set before its upload, so that no training job ends for what is known here.

Each image is decoded, as training will. Those that cannot be read are left out, with the reason.
Copies of an image on both sides of a split, or under several labels, are reported.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from facet.errors import FacetError
from facet.image import decoding
from training.data import duplicates
from training.data.layout import ImageFolder, LabelledImage, Skipped, SourceError

BATCH = 256
"""Images that are checked in parallel before the next ones are read."""


def check(folder: ImageFolder, done: Callable[[], object]) -> ImageFolder:
    """As `examine`. Raises SourceError for what training would refuse."""
    return trainable(examine(folder, done))


def trainable(folder: ImageFolder) -> ImageFolder:
    """The same. Raises SourceError for what training would refuse, if it was examined."""
    if problems := (*folder.empty, *folder.untrainable):
        raise SourceError("; ".join(problems))
    return folder


def examine(folder: ImageFolder, done: Callable[[], object]) -> ImageFolder:
    """The images that can be read; the others join `skipped`. Calls `done` for each image.

    `warnings` is what a training job would warn of, `untrainable` for what it would refuse them.
    """
    kept: list[LabelledImage] = []
    prints: list[duplicates.Fingerprint] = []
    unreadable: list[Skipped] = []
    with ThreadPoolExecutor() as pool:
        for begin in range(0, len(folder.images), BATCH):
            batch = folder.images[begin : begin + BATCH]
            for each, found in zip(batch, pool.map(_fingerprint, batch), strict=True):
                done()
                if isinstance(found, str):
                    unreadable.append(Skipped(each.source, found))
                else:
                    kept.append(each)
                    prints.append(found)
    members = [duplicates.Member(each.channel, each.label, each.source) for each in kept]
    return replace(
        folder,
        images=tuple(kept),
        skipped=(*folder.skipped, *unreadable),
        warnings=tuple(duplicates.warnings(members, prints)),
        empty=tuple(_empty(folder.images, kept, unreadable)),
        untrainable=(
            *_untrainable(kept),
            *_only_copies(kept, prints),
            *filter(None, [duplicates.too_many_contradictions(members, prints)]),
        ),
    )


def _fingerprint(each: LabelledImage) -> duplicates.Fingerprint | str:
    """The image's fingerprint, or why it cannot be read. A large JPEG is decoded at an eighth."""
    try:
        fitting = (duplicates.SIDE, duplicates.SIDE)
        return duplicates.fingerprint(decoding.decode(each.read(), fitting=fitting))
    except FacetError as error:
        return str(error)


def _only_copies(
    images: Sequence[LabelledImage], prints: Sequence[duplicates.Fingerprint]
) -> Iterator[str]:
    """Classes that cannot be split, because all of their images are the same one."""
    if any(each.channel == "validation" for each in images):
        return
    different: dict[str, list[bytes]] = {}
    for each, found in zip(images, prints, strict=True):
        if each.channel == "train":
            different.setdefault(each.label, []).append(found.pixels)
    for label, pixels in different.items():
        if len(pixels) > len(set(pixels)) == 1:
            yield (
                f"class '{label}' has only copies of one image; two different ones are needed, "
                "because one is split off for validation"
            )


def _empty(
    images: Sequence[LabelledImage], kept: Sequence[LabelledImage], unreadable: Sequence[Skipped]
) -> Iterator[str]:
    filled = {(each.channel, each.label) for each in kept}
    for channel, label in dict.fromkeys((each.channel, each.label) for each in images):
        if (channel, label) not in filled:
            sources = {each.source for each in images if each.label == label}
            first = next(each for each in unreadable if each.path in sources)
            yield (
                f"class '{label}' has no readable image in channel '{channel}' "
                f"('{first.path}': {first.reason.rstrip('.')})"
            )


def _untrainable(images: Sequence[LabelledImage]) -> Iterator[str]:
    counts = Counter((each.channel, each.label) for each in images)
    trained = [label for channel, label in counts if channel == "train"]
    if len(trained) == 1:
        yield f"'{trained[0]}' is the only class; training needs at least two"
    for channel, label in counts:
        if label not in trained:
            yield f"channel '{channel}' has the class '{label}', which channel 'train' lacks"
    if not any(channel == "validation" for channel, _ in counts):
        for label in trained:
            if counts["train", label] == 1:
                yield (
                    f"class '{label}' has one image; two are needed, because one is split off "
                    "for validation"
                )
