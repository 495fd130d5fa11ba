"""Thousands of models out of one: each has last biases of its own, and so answers of its own."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facet.preprocess import Pixels

Floats = NDArray[np.float32]

LABELS = 10
PATH = "1/assets.extra/model.tflite"


@dataclass(frozen=True, eq=False)
class SyntheticModels:
    """`model` is a LiteRT classifier, with its last biases at byte `at`; `scores` (images,
    labels) are its probabilities where those biases are nought."""

    model: bytes
    at: int
    scores: Floats

    def biases(self, number: int) -> Floats:
        """The last biases of one member: float32 (labels,), drawn by its number."""
        _, labels = self.scores.shape
        return np.random.default_rng(number).standard_normal((labels,), dtype=np.float32)

    def expected(self, numbers: Sequence[int]) -> Floats:
        """What each member answers to each image: (members, images, labels)."""
        weights = np.exp([self.biases(number) for number in numbers])[:, None, :]
        raised = self.scores[None] * weights
        return np.asarray(raised / raised.sum(axis=2, keepdims=True), np.float32)

    def artifacts(self) -> "Artifacts":
        """Their artifacts."""
        return Artifacts(self)


class Artifacts:
    """A `model.tar.gz` for every member, of three gzip members: what differs is the middle one.

    So what they share is compressed once.
    """

    def __init__(self, synthetic: SyntheticModels) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            header = tarfile.TarInfo(PATH)
            header.size = len(synthetic.model)
            archive.addfile(header, io.BytesIO(synthetic.model))
        plain = buffer.getvalue()
        begin = tarfile.BLOCKSIZE + synthetic.at
        end = begin + synthetic.scores.shape[1] * np.dtype(np.float32).itemsize
        self._family = synthetic
        self._head = gzip.compress(plain[:begin], mtime=0)
        self._tail = gzip.compress(plain[end:], mtime=0)

    def artifact(self, number: int) -> bytes:
        """The member's."""
        middle = gzip.compress(self._family.biases(number).tobytes(), mtime=0)
        return self._head + middle + self._tail


def find_biases(model: bytes, marks: Floats) -> int:
    """Where a model has these biases. Raises ValueError unless that is one place."""
    if (times := model.count(marks.tobytes())) != 1:
        raise ValueError(f"the last biases are in {times} places of the model")
    return model.index(marks.tobytes())


def build(images: Pixels) -> SyntheticModels:
    """A small network with chance weights, 0.19 MB, and what it answers to the images.

    Imports TensorFlow: not for a process that shall measure something afterwards.
    """
    from facet.recipes import RECIPES
    from training.export.export import convert, lite_scorer
    from training.networks import build as network_of

    sizes = {"width": 16, "dense": 24, "image_size": images.shape[1]}
    network = network_of(RECIPES["cifar10"].settings(sizes), LABELS, None)
    marks = np.random.default_rng(0).standard_normal((LABELS,), dtype=np.float32)
    network.whole.layers[-1].bias.assign(marks)
    model = convert(network.whole, network.spec)
    at = find_biases(model, marks)
    plain = model[:at] + bytes(marks.nbytes) + model[at + marks.nbytes :]
    return SyntheticModels(model, at, lite_scorer(plain, network.spec)(images))
