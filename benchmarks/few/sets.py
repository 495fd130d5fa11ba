"""Draws a few training images of each class of a data set; its test images are always the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.formats import is_junk


@dataclass(frozen=True)
class Row:
    """A data set, and the number of training images of each class; 0 for all of them."""

    dataset: str
    each: int

    def __str__(self) -> str:
        return f"{self.dataset}, " + (f"{self.each} per class" if self.each else "all images")


ROWS = (
    Row("ants-and-bees", 0),
    Row("clothes", 10),
    Row("clothes", 20),
    Row("clothes", 50),
    Row("sign-language", 20),
    Row("sign-language", 0),
)


def draw(source: Path, each: int, seed: int, folder: Path) -> int:
    """Links the images of `source` to `folder/train` and `folder/test`; returns the test images.

    `source` has `train/<class>/<image>`; every other folder beside it is for testing.
    """
    random = np.random.default_rng(seed)
    count = 0
    for channel in sorted(path for path in source.iterdir() if path.is_dir()):
        training = channel.name == "train"
        for label in sorted(path for path in channel.iterdir() if path.is_dir()):
            images: Sequence[Path] = sorted(
                path for path in label.iterdir() if not is_junk(path.name)
            )
            if training and each:
                images = [images[place] for place in random.permutation(len(images))[:each]]
            target = folder / ("train" if training else "test") / label.name
            target.mkdir(parents=True, exist_ok=True)
            for image in images:
                (target / f"{channel.name}-{image.name}").symlink_to(image.resolve())
            count += 0 if training else len(images)
    return count
