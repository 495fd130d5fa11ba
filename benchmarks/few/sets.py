"""Draws a few training images of each class of a data set; its test images are always the same."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.formats import is_junk

EACH = (5, 10, 20, 50, 0)
"""Numbers of training images of each class; 0 for all of them."""

MAX_TESTS = 2000
"""Test images of a data set, evenly from all of its classes."""

ARCHIVES = {"cifar10": "cifar10_jpeg.zip"}
"""Data sets that FACET_DATA has as a zip, with a folder of the set's name."""


@dataclass(frozen=True)
class Row:
    """A data set, and the number of training images of each class; 0 for all of them."""

    dataset: str
    each: int

    def __str__(self) -> str:
        return f"{self.dataset}, " + (f"{self.each} per class" if self.each else "all images")


ROWS = (
    Row("ants-and-bees", 0),
    *(Row(dataset, each) for dataset in ("cifar10", "clothes", "sign-language") for each in EACH),
)


class Image(NamedTuple):
    """One image of a draw, with its label; `test` if it is for testing."""

    path: Path
    label: str
    test: bool


def find(dataset: str, data: Path, sets: Path, unpacked: Path) -> Path | None:
    """The data set's folder in `data` (FACET_DATA) or `sets`; None if it is absent.

    A zip is unpacked into the folder `unpacked`, once.
    """
    archive = data / ARCHIVES.get(dataset, "")
    if archive.is_file() and not (unpacked / dataset).is_dir():
        with zipfile.ZipFile(archive) as content:
            content.extractall(unpacked)
    folders = (data / dataset.replace("-", "_"), sets / dataset, unpacked / dataset)
    return next((each for each in folders if (each / "train").is_dir()), None)


def choose(source: Path, each: int, seed: int) -> list[Image]:
    """Training images, `each` of every class, and test images.

    `source` has `train/<class>/<image>`; every other folder beside it is for testing.
    """
    random = np.random.default_rng(seed)
    train, test = [], []
    for folder in sorted(source.glob("*/*/")):
        images = sorted(path for path in folder.iterdir() if not is_junk(path.name))
        if folder.parent.name != "train":
            test += [Image(path, folder.name, test=True) for path in images]
            continue
        if each:
            images = [images[place] for place in random.permutation(len(images))[:each]]
        train += [Image(path, folder.name, test=False) for path in images]
    return train + test[:: -(-len(test) // MAX_TESTS)]


def link(images: list[Image], folder: Path) -> None:
    """Links them to `folder/train/<class>` and `folder/test/<class>`."""
    for image, target in _targets(images, folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(image.path.resolve())


def _targets(images: list[Image], folder: Path) -> Iterator[tuple[Image, Path]]:
    for image in images:
        channel = image.path.parent.parent.name  # two of them may have the same name
        name = f"{channel}-{image.path.name}"
        yield image, folder / ("test" if image.test else "train") / image.label / name
