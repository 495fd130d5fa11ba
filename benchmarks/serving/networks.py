"""Writes two networks that no sample has: the article's for CIFAR, and a VGG16.

    python -m benchmarks.serving.networks ARTICLE LARGE

ARTICLE is the folder for an artifact with a sixth of the sample's operations, LARGE the file for a
LiteRT model of 59 MB. They are untrained, because their speed does not depend on their weights.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from facet import preprocess
from facet.recipes import RECIPES
from training.export import golden
from training.export.export import ModelInfo, export
from training.export.graph import pixels_model
from training.export.litert import convert_module
from training.networks import build, spec

PROOFS = 8
"""Images on which the SavedModel and the LiteRT model must answer alike."""


def write(folder: Path) -> None:
    """Writes the files of an artifact, as training exports them."""
    settings = RECIPES["cifar10"].settings({"backbone": "article-cnn"})
    labels = tuple(str(number) for number in range(10))
    network = build(settings, len(labels), None)
    drawings = [golden.draw(number) for number in range(PROOFS)]
    drawn = [
        preprocess.geometry(network.spec, preprocess.decode(network.spec, each))
        for each in drawings
    ]
    info = ModelInfo("article", "The article's network, untrained", labels, {}, {})
    folder.mkdir(parents=True)
    export(network.whole, network.spec, info, proof=np.stack(drawn), folder=folder)


def write_large(file: Path) -> None:
    """Writes VGG16 without its dense layers, as the recipe for few images fine-tunes it."""
    large = spec(RECIPES["sign-language"].settings({}))
    shape = (large.height, large.width, large.channels)
    network = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=shape, pooling="avg"
    )
    file.parent.mkdir(parents=True)
    file.write_bytes(convert_module(pixels_model(network, large), large))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    write_large(Path(sys.argv[2]))
