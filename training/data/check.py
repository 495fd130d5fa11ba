"""Checks a data set before its upload, so that no training job ends for what is known here.

Each image is decoded, as training will. Those that cannot be read are left out, with the reason.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from facet.errors import FacetError
from facet.image import decoding
from training.data.layout import ImageFolder, LabelledImage, Skipped, SourceError

BATCH = 256
"""Images that are checked in parallel before the next ones are read."""


def check(folder: ImageFolder, done: Callable[[], object]) -> ImageFolder:
    """The images that training can read; the others join `skipped`. Calls `done` for each image.

    Raises SourceError for what training would refuse.
    """
    kept: list[LabelledImage] = []
    unreadable: list[Skipped] = []
    with ThreadPoolExecutor() as pool:
        for begin in range(0, len(folder.images), BATCH):
            batch = folder.images[begin : begin + BATCH]
            for each, problem in zip(batch, pool.map(_problem, batch), strict=True):
                done()
                if problem:
                    unreadable.append(Skipped(each.source, problem))
                else:
                    kept.append(each)
    if problems := [*_empty(folder.images, kept, unreadable), *_untrainable(kept)]:
        raise SourceError("; ".join(problems))
    return replace(folder, images=tuple(kept), skipped=(*folder.skipped, *unreadable))


def _problem(each: LabelledImage) -> str:
    """Why the image cannot be read, or nothing. A JPEG is decoded at an eighth of its size."""
    try:
        decoding.decode(each.read(), fitting=(1, 1))
    except FacetError as error:
        return str(error)
    return ""


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
