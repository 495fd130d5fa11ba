"""Image folders → arrays: one folder per class, brought to size exactly as serving does."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.manifest import InputSpec
from facet.preprocess import Pixels
from facet.recipes import Hyperparameters

CHANNELS = ("train", "validation", "test")
AT_ONCE = 1024
"""How many images are decoded before they are written down."""

File = tuple[int, Path]
"""An image's class and where it lies."""


class DataError(FacetError):
    """The images cannot be trained on; the message says what to mend."""


@dataclass(frozen=True, eq=False)
class ImageSet:
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
    """Three sets of images of the same labels; only `test` may be missing."""

    labels: tuple[str, ...]
    train: ImageSet
    validation: ImageSet
    test: ImageSet | None

    @property
    def sets(self) -> dict[str, ImageSet]:
        """The sets there are, by channel."""
        sets = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in sets.items() if images}

    @property
    def skipped(self) -> int:
        """How many files of all channels could not be read."""
        return sum(images.skipped for images in self.sets.values())


def load(
    channels: Mapping[str, Path], spec: InputSpec, settings: Hyperparameters, folder: Path
) -> Dataset:
    """Reads the channels `train` and, where given, `validation` and `test`.

    Labels are the folder names of `train`, sorted. What has no channel of its own is set aside
    from `train`: the settings' shares of each class, drawn by their seed. Pixels lie in files in
    `folder`, so that a data set may be larger than memory. Raises `DataError`.
    """
    if "train" not in channels:
        raise DataError("There is no channel 'train': name a folder with one folder per class.")
    labels = _labels("train", channels["train"])
    if len(labels) < 2:
        raise DataError(f"Channel 'train' has one class, '{labels[0]}'; two are needed to choose.")
    files = {name: _files(name, channels[name], labels) for name in CHANNELS if name in channels}
    origin = {name: name if name in channels else "train" for name in CHANNELS}
    files |= _split(files["train"], labels, _missing_shares(files, settings), settings.seed)
    sets = {name: _read(name, those, spec, folder) for name, those in files.items()}
    for channel in channels:
        own = [images for name, images in sets.items() if origin[name] == channel]
        _check_readable(channel, own, settings.max_unreadable)
    unread = sorted(set(range(len(labels))) - set(sets["train"].classes.tolist()))
    if unread:
        raise DataError(f"Channel 'train' has no readable image of '{labels[unread[0]]}'.")
    return Dataset(labels, sets["train"], sets["validation"], sets.get("test"))


def _missing_shares(files: Mapping[str, list[File]], settings: Hyperparameters) -> dict[str, float]:
    """What is to be set aside. Whoever made a validation set knows whether a test set is wanted."""
    if "validation" in files:
        return {}
    shares = {"validation": settings.validation_share, "test": settings.test_share}
    return {name: share for name, share in shares.items() if name not in files}


def _labels(channel: str, folder: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in _visible(folder) if path.is_dir())
    if not names:
        raise DataError(f"Channel '{channel}' is empty: it needs one folder of images per class.")
    return tuple(names)


def _visible(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))


def _files(channel: str, folder: Path, labels: tuple[str, ...]) -> list[File]:
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
    if not files:
        raise DataError(f"Channel '{channel}' has no image.")
    return files


def _split(
    files: list[File], labels: tuple[str, ...], shares: Mapping[str, float], seed: int
) -> dict[str, list[File]]:
    """The share of every class for each name, and what is left as `train`.

    At least one image of a class stays in `train` and, where that is drawn, in `validation`.
    """
    random = np.random.default_rng(seed)
    parts: dict[str, list[File]] = {name: [] for name in ("train", *shares)}
    for index, label in enumerate(labels):
        members = [file for file in files if file[0] == index]
        if shares and len(members) < 2:
            raise DataError(
                f"Class '{label}' has {'one image' if members else 'no image'}; "
                "two are needed to set one aside for validation."
            )
        order = random.permutation(len(members)).tolist()
        spare = len(members) - 1
        for name, share in shares.items():
            count = min(max(round(share * len(members)), name == "validation"), spare)
            spare -= count
            parts[name] += [members[order.pop()] for _ in range(count)]
        parts["train"] += [members[place] for place in sorted(order)]
    return {name: sorted(those) for name, those in parts.items() if those}


def _check_readable(channel: str, sets: list[ImageSet], max_unreadable: float) -> None:
    skipped, readable = sum(each.skipped for each in sets), sum(map(len, sets))
    if not readable or skipped > max_unreadable * (readable + skipped):
        raise DataError(
            f"Channel '{channel}': {skipped} of {readable + skipped} files cannot be read as "
            f"images, more than max-unreadable {max_unreadable:g} allows; each is named above."
        )


def _read(channel: str, files: list[File], spec: InputSpec, folder: Path) -> ImageSet:
    """Every readable image in name order; the others are named on standard output."""
    shape = (len(files), spec.height, spec.width, spec.channels)
    pixels = open_memmap(folder / f"{channel}.npy", "w+", np.uint8, shape)
    classes: list[int] = []
    for (index, path), image in _decoded(files, spec):
        if isinstance(image, Exception):
            where = "/".join(path.parts[-3:])
            print(f"skipped={where} reason={image}", flush=True)
        else:
            pixels[len(classes)] = image
            classes.append(index)
    skipped = len(files) - len(classes)
    print(f"channel={channel} images={len(classes)} skipped={skipped}", flush=True)
    return ImageSet(pixels[: len(classes)], np.array(classes, dtype=np.int64), skipped)


def _decoded(
    files: list[File], spec: InputSpec
) -> Iterator[tuple[File, Pixels | FacetError | OSError]]:
    def pixels(file: File) -> Pixels | FacetError | OSError:
        try:
            return preprocess.geometry(spec, preprocess.decode(spec, file[1].read_bytes()))
        except (FacetError, OSError) as error:
            return error

    with ThreadPoolExecutor() as pool:
        for begin in range(0, len(files), AT_ONCE):
            some = files[begin : begin + AT_ONCE]
            yield from zip(some, pool.map(pixels, some), strict=True)
