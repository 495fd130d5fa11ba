"""A data set by its name, and the images that it is made of."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facet.manifest import MODEL_NAME
from training.data import sources
from training.data.layout import CHANNELS, Source, SourceError
from training.data.sources import CIFAR10, SIGN_LANGUAGE


@dataclass(frozen=True)
class DataSet:
    """What to bring. `source` is `cifar10`, `sign-language`, or a folder or zip of images.

    `place` is where to take one of the first two from; `data` is where FACET_DATA points.
    """

    name: str
    source: str
    place: Path | None = None
    data: Path | None = None

    @property
    def prefix(self) -> str:
        """Where its objects lie in the bucket."""
        return f"datasets/{self.name}/"


@dataclass(frozen=True)
class Content:
    """How many images each channel has, of how many classes; `skipped` other files."""

    images: dict[str, int]
    classes: int
    skipped: int

    def told(self) -> str:
        """The same in words."""
        channels = ", ".join(f"{count:,} {name}" for name, count in self.images.items())
        return f"{channels} images of {self.classes} classes, {self.skipped:,} other files skipped"


def data_set(
    source: str, name: str | None = None, place: Path | None = None, data: Path | None = None
) -> DataSet:
    """With the source's own name where none is given. Raises `SourceError`."""
    known = source in (CIFAR10, SIGN_LANGUAGE)
    if place and not known:
        raise SourceError(f"--from is for {CIFAR10} and {SIGN_LANGUAGE}; name the folder alone")
    own = source if known else Path(source).resolve().name.removesuffix(".zip")
    found = name or own
    if not MODEL_NAME.fullmatch(found):
        raise SourceError(
            f"'{found}' is no name for a data set: it has a-z, 0-9 and '-', begins with none of "
            "'-', and has at most 63 of them. Choose one with --name"
        )
    return DataSet(found, source, place, data)


@contextmanager
def opened(wanted: DataSet) -> Iterator[Source]:
    """Its images, which can be read until the context ends. Raises `SourceError`.

    A CIFAR-10 that is not at hand is loaded with Keras, which takes a while.
    """
    path = sources.local_copy(wanted.source, wanted.place, wanted.data)
    if path is None:
        yield sources.cifar10()
        return
    # The repository of the sign language digits has its images in a folder of that name.
    inside = "Dataset" if wanted.source == SIGN_LANGUAGE else ""
    with sources.opened(path, inside=inside) as source:
        yield source


def content_of(source: Source) -> Content:
    """What it has."""
    counts = Counter(image.channel for image in source.images)
    channels = {each: counts[each] for each in CHANNELS if each in counts}
    classes = {image.label for image in source.images}
    return Content(channels, len(classes), source.skipped)
