"""Labelled images on which a quantised model is compared: a folder or zip, a folder per label."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cli.pack.errors import CannotPack
from facet import preprocess
from facet.errors import FacetError
from facet.manifest import Manifest
from facet.preprocess import Pixels
from training.data.layout import ImageFolder, LabelledImage
from training.data.readers import open_path
from training.export.loss import BATCH, EXAMPLES, draw

SHOWN = 5
"""Names in a message."""

SEED = 0


@dataclass
class LabelledImages:
    """Images that judge, and examples whose values set the scales of int8; none is in both.

    `skipped` gets a line for each file that cannot be read.
    """

    manifest: Manifest
    judges: Sequence[LabelledImage]
    examples: Sequence[LabelledImage]
    channel: str
    skipped: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Yield the pixels and classes of those that judge. Raises CannotPack."""
        numbers = {label: number for number, label in enumerate(self.manifest.labels)}
        for images, pixels in self._read(self.judges):
            classes = [numbers[each.label] for each in images]
            yield np.stack(pixels), np.array(classes, dtype=np.int64)

    def inputs(self) -> list[preprocess.Tensor | Pixels]:
        """The examples as the model's inputs."""
        return [
            preprocess.tensor(self.manifest.input, each)
            for _, pixels in self._read(self.examples)
            for each in pixels
        ]

    def _read(
        self, images: Sequence[LabelledImage]
    ) -> Iterator[tuple[list[LabelledImage], list[Pixels]]]:
        """Raises CannotPack if not one of them can be read."""
        count = 0
        with ThreadPoolExecutor() as pool:
            for begin in range(0, len(images), BATCH):
                batch = images[begin : begin + BATCH]
                read: list[LabelledImage] = []
                decoded: list[Pixels] = []
                for each, found in zip(batch, pool.map(self._pixels, batch), strict=True):
                    if isinstance(found, str):
                        self.skipped.append(f"{each.source}: {found}")
                    else:
                        read.append(each)
                        decoded.append(found)
                count += len(read)
                if read:
                    yield read, decoded
        if images and not count:
            raise CannotPack(f"none of {len(images):,} images can be read; {self.skipped[-1]}")

    def _pixels(self, image: LabelledImage) -> Pixels | str:
        """The image at the input's size, or why it cannot be read."""
        spec = self.manifest.input
        try:
            return preprocess.geometry(spec, preprocess.decode(spec, image.read()))
        except FacetError as error:
            return str(error)


@contextmanager
def opened(path: Path, manifest: Manifest, *, examples: bool) -> Iterator[LabelledImages]:
    """Open a folder or zip. Raises SourceError, CannotPack if a folder is none of the labels.

    With the channels of a data set, `test` or else `validation` judges, and `train` has the
    examples. Otherwise, where `examples` are needed, at most half of the images are.
    """
    with open_path(path) as folder:
        _check_labels(path, folder, manifest)
        by_channel: dict[str, list[LabelledImage]] = {}
        for each in folder.images:
            by_channel.setdefault(each.channel, []).append(each)
        channel = next(each for each in ("test", "validation", "train") if each in by_channel)
        judges, train = by_channel[channel], by_channel["train"]
        most = min(EXAMPLES, len(train) // 2) if channel == "train" else EXAMPLES
        drawn = draw(len(train), SEED, most) if examples else []
        if examples and not drawn:
            raise CannotPack(f"{path} has one image; int8 needs some for its scales, and others")
        if channel == "train":
            judges = [each for number, each in enumerate(train) if number not in drawn]
        yield LabelledImages(
            manifest,
            judges,
            [train[number] for number in drawn],
            "" if channel == "train" else channel,
        )


def _check_labels(path: Path, folder: ImageFolder, manifest: Manifest) -> None:
    unknown = sorted({each.label for each in folder.images} - {*manifest.labels})
    if unknown:
        raise CannotPack(
            f"{path} has folders that are none of the model's labels: {_some(unknown)}. "
            f"Name each folder for a label: {_some(manifest.labels)}"
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
