"""Thousands of models made from one: each has its own last biases, and so its own answers."""

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
    """`model` is a LiteRT classifier with its last biases at byte `at`.

    `scores` (images, labels) are its probabilities with these biases set to 0.
    """

    model: bytes
    at: int
    scores: Floats

    def biases(self, number: int) -> Floats:
        """The last biases of model `number`, its seed: float32 (labels,)."""
        _, labels = self.scores.shape
        return np.random.default_rng(number).standard_normal((labels,), dtype=np.float32)

    def file(self, number: int) -> bytes:
        """The LiteRT file of model `number`."""
        biases = self.biases(number).tobytes()
        return self.model[: self.at] + biases + self.model[self.at + len(biases) :]

    def expected(self, numbers: Sequence[int]) -> Floats:
        """The right answer of each model for each image: (models, images, labels)."""
        weights = np.exp([self.biases(number) for number in numbers])[:, None, :]
        raised = self.scores[None] * weights
        return np.asarray(raised / raised.sum(axis=2, keepdims=True), np.float32)

    def artifacts(self) -> "Artifacts":
        return Artifacts(self)


class Artifacts:
    """Builds each model's `model.tar.gz` from three gzip members, of which only the middle differs.

    That way, the shared content is compressed once.
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
        """The artifact of model `number`."""
        middle = gzip.compress(self._family.biases(number).tobytes(), mtime=0)
        return self._head + middle + self._tail


def find_biases(model: bytes, marks: Floats) -> int:
    """The position of these biases in a model. Raises ValueError unless there is exactly one."""
    if (times := model.count(marks.tobytes())) != 1:
        raise ValueError(f"the last biases occur {times} times in the model, not once")
    return model.index(marks.tobytes())


def build(images: Pixels) -> SyntheticModels:
    """Builds a small network with random weights, 0.19 MB, and its answers to the images.

    Imports TensorFlow, so do not call it in a process that measures.
    """
    from facet.recipes import RECIPES
    from training.export.graph import pixels_model
    from training.export.litert import convert_module, lite_scorer
    from training.networks import build as network_of

    sizes = {"width": 16, "dense": 24, "image_size": images.shape[1]}
    network = network_of(RECIPES["cifar10"].settings(sizes), LABELS, None)
    marks = np.random.default_rng(0).standard_normal((LABELS,), dtype=np.float32)
    network.whole.layers[-1].bias.assign(marks)
    model = convert_module(pixels_model(network.whole, network.spec), network.spec)
    at = find_biases(model, marks)
    plain = model[:at] + bytes(marks.nbytes) + model[at + marks.nbytes :]
    return SyntheticModels(model, at, lite_scorer(plain, network.spec)(images))
