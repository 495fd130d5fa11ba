"""Image folders → arrays: one folder per class, brought to size exactly as serving does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.image import decode
from facet.manifest import InputSpec
from facet.preprocess import Pixels


class DataError(FacetError):
    """The pictures cannot be trained on; the message says what to mend."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """`pixels` is uint8 (n, height, width, channels), `classes` int64 (n,), indices of labels.

    `skipped` counts the files that could not be read.
    """

    pixels: Pixels
    classes: NDArray[np.int64]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three sets of pictures of the same labels; only `test` may be missing."""

    labels: tuple[str, ...]
    train: Pictures
    validation: Pictures
    test: Pictures | None

    @property
    def skipped(self) -> int:
        """How many files of all channels could not be read."""
        sets = (self.train, self.validation, self.test)
        return sum(pictures.skipped for pictures in sets if pictures)


def load(channels: dict[str, Path], spec: InputSpec, *, share: float, seed: int) -> Dataset:
    """Reads the channels `train` and, where given, `validation` and `test`.

    Labels are the folder names of `train`, sorted. Without a `validation` channel, `share` of
    each class is set aside for it, drawn by `seed`. Raises `DataError`.
    """
    if "train" not in channels:
        raise DataError("There is no channel 'train': name a folder with one folder per class.")
    labels = _labels("train", channels["train"])
    if len(labels) < 2:
        raise DataError(f"Channel 'train' has one class, '{labels[0]}'; two are needed to choose.")
    train = _read("train", channels["train"], labels, spec)
    missing = sorted(set(range(len(labels))) - set(train.classes.tolist()))
    if missing:
        raise DataError(f"Channel 'train' has no readable picture of '{labels[missing[0]]}'.")
    test = _read("test", channels["test"], labels, spec) if "test" in channels else None
    if "validation" in channels:
        validation = _read("validation", channels["validation"], labels, spec)
    else:
        train, validation = _split(train, labels, share, seed)
    return Dataset(labels, train, validation, test)


def _labels(channel: str, folder: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in _visible(folder) if path.is_dir())
    if not names:
        raise DataError(f"Channel '{channel}' is empty: it needs one folder of pictures per class.")
    return tuple(names)


def _visible(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))


def _read(channel: str, folder: Path, labels: tuple[str, ...], spec: InputSpec) -> Pictures:
    """Every readable picture in name order; the others are named on standard output."""
    unknown = sorted(set(_labels(channel, folder)) - set(labels))
    if unknown:
        raise DataError(
            f"Channel '{channel}' has the label '{unknown[0]}', which channel 'train' lacks."
        )
    files = [
        (index, path)
        for index, label in enumerate(labels)
        for path in sorted(_visible(folder / label))
        if path.is_file()
    ]
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda file: _pixels(file[1], spec), files))
    pairs = [
        (index, pixels)
        for (index, _), pixels in zip(files, read, strict=True)
        if pixels is not None
    ]
    if not pairs:
        raise DataError(f"Channel '{channel}' has no picture that can be read.")
    classes = np.array([index for index, _ in pairs], dtype=np.int64)
    skipped = len(files) - len(pairs)
    print(f"channel={channel} pictures={len(pairs)} skipped={skipped}", flush=True)
    return Pictures(np.stack([pixels for _, pixels in pairs]), classes, skipped)


def _pixels(path: Path, spec: InputSpec) -> Pixels | None:
    try:
        return preprocess.geometry(spec, decode(path.read_bytes()))
    except (FacetError, OSError) as error:
        print(f"skipped={path.parent.name}/{path.name} reason={error}", flush=True)
        return None


def _split(
    pictures: Pictures, labels: tuple[str, ...], share: float, seed: int
) -> tuple[Pictures, Pictures]:
    """(the rest, `share` of each class); each has at least one picture of every class."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(pictures), dtype=bool)
    for index, label in enumerate(labels):
        members = np.flatnonzero(pictures.classes == index)
        if len(members) < 2:
            raise DataError(
                f"Class '{label}' has one picture; two are needed to set one aside for validation."
            )
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[random.permutation(members)[:count]] = True
    rest = Pictures(pictures.pixels[~chosen], pictures.classes[~chosen], pictures.skipped)
    return rest, Pictures(pictures.pixels[chosen], pictures.classes[chosen])
