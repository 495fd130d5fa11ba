"""Image folders → arrays: one folder per class, decoded and resized exactly as in serving."""

import unicodedata
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.preprocess import Pixels
from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from training.data.formats import is_junk
from training.data.splitting import DataError, File, find_copies, split

CHANNELS = ("train", "validation", "test")
DECODE_BATCH = 1024
"""Images that are decoded in parallel before they are written to the array."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """`pixels` is (n, height, width, channels), with the dtype of `preprocess.pixel_type`.

    `classes` is int64 (n,), indices of labels. `skipped` counts the files that could not be read;
    `files` has the others, and `names` their names as `<channel>/<label>/<name>`.
    """

    pixels: Pixels
    classes: NDArray[np.int64]
    skipped: int = 0
    names: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    def one_of_each_class(self) -> list[str]:
        """The name of the first image of each class, in the order of the labels."""
        first: dict[int, str] = {}
        for index, name in zip(self.classes.tolist(), self.names, strict=True):
            first.setdefault(index, name)
        return [first[index] for index in sorted(first)]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sets of images with the same labels; only `test` is optional."""

    labels: tuple[str, ...]
    train: ImageSet
    validation: ImageSet
    test: ImageSet | None

    @property
    def sets(self) -> dict[str, ImageSet]:
        """The existing sets, by channel."""
        sets = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in sets.items() if images}

    @property
    def skipped(self) -> int:
        """The number of files, over all channels, that could not be read."""
        return sum(images.skipped for images in self.sets.values())


def load(
    channels: Mapping[str, Path], spec: InputSpec, settings: Hyperparameters, folder: Path
) -> Dataset:
    """Reads the channel `train` and, if they exist, `validation` and `test`.

    Labels are the folder names of `train`, sorted. Sets without a channel of their own are split
    off `train`, class by class: the test images by their content, then the validation images by the
    seed. Pixels are memory-mapped from files in `folder`, so that a data set may be larger than
    memory. Raises DataError.
    """
    if "train" not in channels:
        raise DataError(
            "There is no channel 'train': give it a folder with one subfolder of images per class."
        )
    labels = _labels("train", channels["train"])
    if len(labels) < 2:
        raise DataError(
            f"Channel 'train' has only the class '{labels[0]}'; at least two are needed."
        )
    files = {name: _files(name, channels[name], labels) for name in CHANNELS if name in channels}
    origin = {name: name if name in channels else "train" for name in CHANNELS}
    copies = find_copies([each for each in CHANNELS if each in files], files, labels)
    shares = _split_shares(files, settings)
    files |= split(files["train"], labels, shares, settings.seed, copies)
    sets = {name: _read(name, members, spec, folder) for name, members in files.items()}
    for channel in channels:
        own = [images for name, images in sets.items() if origin[name] == channel]
        _check_readable(channel, own, settings.max_unreadable)
    unreadable = sorted(set(range(len(labels))) - set(sets["train"].classes.tolist()))
    if unreadable:
        raise DataError(f"Channel 'train' has no readable image of '{labels[unreadable[0]]}'.")
    return Dataset(labels, sets["train"], sets["validation"], sets.get("test"))


def resized(data: Dataset, spec: InputSpec, folder: Path) -> Dataset:
    """Reads the same images again for another input; `folder` is another one."""
    sets = {
        name: _read(
            name, list(zip(images.classes.tolist(), images.files, strict=True)), spec, folder
        )
        for name, images in data.sets.items()
    }
    return Dataset(data.labels, sets["train"], sets["validation"], sets.get("test"))


def _split_shares(files: Mapping[str, list[File]], settings: Hyperparameters) -> dict[str, float]:
    """The shares to split off `train` for the sets that have no channel."""
    shares = {"validation": settings.validation_share, "test": settings.test_share}
    return {name: share for name, share in shares.items() if name not in files}


def _labels(channel: str, folder: Path) -> tuple[str, ...]:
    names = {_label(path) for path in _visible(folder) if path.is_dir()}
    if not names:
        raise DataError(f"Channel '{channel}' is empty: it needs one folder of images per class.")
    return tuple(sorted(names))


def _label(folder: Path) -> str:
    """The folder's name, composed: macOS decomposes accents."""
    return unicodedata.normalize("NFC", folder.name)


def _visible(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not is_junk(path.name))


def _files(channel: str, folder: Path, labels: tuple[str, ...]) -> list[File]:
    unknown = sorted(set(_labels(channel, folder)) - set(labels))
    if unknown:
        raise DataError(
            f"Channel '{channel}' has the label '{unknown[0]}', which channel 'train' lacks."
        )
    classes = sorted(path for path in _visible(folder) if path.is_dir())
    files = [
        (index, path)
        for index, label in enumerate(labels)
        for members in classes
        if _label(members) == label
        for path in sorted(_visible(members))
        if path.is_file()
    ]
    if not files:
        raise DataError(f"Channel '{channel}' has no image.")
    return files


def _check_readable(channel: str, sets: list[ImageSet], max_unreadable: float) -> None:
    skipped, readable = sum(images.skipped for images in sets), sum(map(len, sets))
    if not readable or skipped > max_unreadable * (readable + skipped):
        raise DataError(
            f"Channel '{channel}': {skipped} of {readable + skipped} files cannot be read as "
            f"images, more than max-unreadable {max_unreadable:g} allows; each is named above."
        )


def _read(channel: str, files: list[File], spec: InputSpec, folder: Path) -> ImageSet:
    """Reads images in name order; prints the path of each one that cannot be read."""
    shape = (len(files), spec.height, spec.width, spec.channels)
    pixels = open_memmap(folder / f"{channel}.npy", "w+", preprocess.pixel_type(spec), shape)
    classes: list[int] = []
    names: list[str] = []
    read: list[Path] = []
    for (index, path), image in _decoded(files, spec):
        name = "/".join(path.parts[-3:])
        if isinstance(image, Exception):
            print(f"skipped={name} reason={image}", flush=True)
        else:
            pixels[len(classes)] = image
            classes.append(index)
            names.append(name)
            read.append(path)
    skipped = len(files) - len(classes)
    print(f"channel={channel} images={len(classes)} skipped={skipped}", flush=True)
    return ImageSet(
        pixels[: len(classes)],
        np.array(classes, dtype=np.int64),
        skipped,
        tuple(names),
        tuple(read),
    )


def _decoded(
    files: list[File], spec: InputSpec
) -> Iterator[tuple[File, Pixels | FacetError | OSError]]:
    def pixels(file: File) -> Pixels | FacetError | OSError:
        try:
            return preprocess.geometry(spec, preprocess.decode(spec, file[1].read_bytes()))
        except (FacetError, OSError) as error:
            return error

    with ThreadPoolExecutor() as pool:
        for begin in range(0, len(files), DECODE_BATCH):
            batch = files[begin : begin + DECODE_BATCH]
            yield from zip(batch, pool.map(pixels, batch), strict=True)
