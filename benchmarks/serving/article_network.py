"""Writes an artifact of the article's CIFAR network: a sixth of the sample's operations.

    python -m benchmarks.serving.article_network FOLDER

It is untrained, because its speed does not depend on its weights.
"""

import sys
from pathlib import Path

import numpy as np

from facet import preprocess
from facet.recipes import RECIPES
from training.export import golden
from training.export.export import ModelInfo, export
from training.networks import build

PROOFS = 8
"""Images on which the SavedModel and the LiteRT model must answer alike."""


def write(folder: Path) -> None:
    """Writes the files of an artifact, as training exports them."""
    settings = RECIPES["cifar10"].settings({"backbone": "article-cnn"})
    labels = tuple(str(number) for number in range(10))
    network = build(settings, len(labels), None)
    spec, drawings = network.spec, [golden.draw(number) for number in range(PROOFS)]
    drawn = [preprocess.geometry(spec, preprocess.decode(spec, each)) for each in drawings]
    info = ModelInfo("article", "The article's network, untrained", labels, {}, {})
    folder.mkdir(parents=True)
    export(network.whole, spec, info, proof=np.stack(drawn), folder=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
