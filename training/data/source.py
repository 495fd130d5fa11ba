"""A data set by its name and its source: CIFAR-10, the sign language digits, a folder or a zip."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facet.keys import MODEL_NAME, dataset_prefix
from training.data import check as checking
from training.data import readers
from training.data.layout import CHANNELS, ImageFolder, Skipped, SourceError
from training.data.readers import CIFAR10, SIGN_LANGUAGE


@dataclass(frozen=True)
class DataSource:
    """A data set to upload. `source` is `cifar10`, `sign-language`, or a folder or zip of images.

    For the first two, `local_copy` is a folder or zip that has them (the option --from), and
    `data_folder` is where to look for one (the variable FACET_DATA).
    """

    name: str
    source: str
    local_copy: Path | None = None
    data_folder: Path | None = None

    @property
    def prefix(self) -> str:
        """The prefix of its objects in the bucket."""
        return dataset_prefix(self.name)


@dataclass(frozen=True)
class Summary:
    """Number of images by channel, of classes, and of other files, which are skipped.

    `warnings` has a line for each way in which the data set misleads.
    """

    images: dict[str, int]
    classes: int
    skipped: int
    skipped_files: Sequence[Skipped] = ()
    warnings: Sequence[str] = ()

    def describe(self) -> str:
        channels = ", ".join(f"{count:,} {name}" for name, count in self.images.items())
        classes = "1 class" if self.classes == 1 else f"{self.classes:,} classes"
        files = "file" if self.skipped == 1 else "files"
        return f"{channels} images of {classes}, {self.skipped:,} other {files} skipped"


def data_source(
    source: str,
    name: str | None = None,
    local_copy: Path | None = None,
    data_folder: Path | None = None,
) -> DataSource:
    """Names the data set after its source unless `name` is given. Raises SourceError."""
    known = source in (CIFAR10, SIGN_LANGUAGE)
    if local_copy and not known:
        raise SourceError(
            f"--from is for {CIFAR10} and {SIGN_LANGUAGE}; name any other folder as the source"
        )
    default = source if known else Path(source).resolve().name.removesuffix(".zip")
    chosen = name or default
    if not MODEL_NAME.fullmatch(chosen):
        raise SourceError(
            f"'{chosen}' is not a valid name for a data set: use 1 to 63 of a-z, 0-9 and '-', not "
            "beginning with '-'. Choose one with --name"
        )
    return DataSource(chosen, source, local_copy, data_folder)


@contextmanager
def open_images(data_set: DataSource) -> Iterator[ImageFolder]:
    """Yields its images, which can be read until the context ends. Raises SourceError.

    If there is no local copy of CIFAR-10, Keras downloads it, which takes a while.
    """
    path = readers.find_local_copy(data_set.source, data_set.local_copy, data_set.data_folder)
    if path is None:
        yield readers.cifar10()
        return
    # The repository of the sign language digits has its images in a folder of that name.
    subfolder = "Dataset" if data_set.source == SIGN_LANGUAGE else ""
    with readers.open_path(path, subfolder=subfolder) as folder:
        yield folder


def examine(data_set: DataSource, folder: ImageFolder, done: Callable[[], object]) -> ImageFolder:
    """Leaves out files that cannot be read; calls `done` for each image.

    CIFAR-10 from Keras is intact.
    """
    path = readers.find_local_copy(data_set.source, data_set.local_copy, data_set.data_folder)
    return checking.examine(folder, done) if path else folder


def summarise(folder: ImageFolder) -> Summary:
    """Counts images by channel, and classes."""
    counts = Counter(image.channel for image in folder.images)
    channels = {name: counts[name] for name in dict.fromkeys(CHANNELS.values()) if name in counts}
    classes = {image.label for image in folder.images}
    return Summary(channels, len(classes), len(folder.skipped), folder.skipped, folder.warnings)
