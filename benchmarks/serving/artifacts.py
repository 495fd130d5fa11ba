"""Models on disk: copies of the CIFAR sample, the article's network, and a VGG16."""

import base64
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.serving.environments import REPOSITORY
from facet import preprocess
from facet.manifest import Manifest
from serving.artifact import TFLITE

SAMPLE = REPOSITORY / "samples" / "cifar.tar.gz"
ARTICLE = "article"
"""Name of the model with the article's network."""

LARGE = "large"
"""Name of the VGG16, which only LiteRT can serve."""

LARGE_SIDE = 128
"""Pixels of LARGE's images."""

NETWORKS = ("sample", ARTICLE)


@dataclass(frozen=True)
class Golden:
    """image: base64 of its uint8 pixels.  label: the index of the right label."""

    image: str
    label: int


@dataclass(frozen=True)
class Artifacts:
    """folder: has `<name>/1/…` of each model.  names: of the copies.  golden: of all models."""

    folder: Path
    names: tuple[str, ...]
    golden: dict[str, Golden]

    def first(self, count: int) -> "Artifacts":
        """The first `count` copies, and ARTICLE."""
        names = self.names[:count]
        return replace(self, names=names, golden={n: self.golden[n] for n in (*names, ARTICLE)})

    def with_large(self) -> "Artifacts":
        """The same, and LARGE, of which no label is known."""
        return replace(self, golden=self.golden | {LARGE: Golden(_black(LARGE_SIDE), 0)})


@contextmanager
def artifacts(copies: int, network: str) -> Iterator[Artifacts]:
    """Yields ARTICLE, LARGE and `copies` copies of one of NETWORKS, each with its own files."""
    with TemporaryDirectory(prefix="facet-") as scratch:
        sample, article = Path(scratch) / "sample", Path(scratch) / "article"
        with tarfile.open(SAMPLE) as tar:
            tar.extractall(sample, filter="data")
        folder = Path(scratch) / "models"
        _write_networks(article, folder / LARGE / "1" / TFLITE)
        original = article if network == ARTICLE else sample
        names = tuple(f"model-{number:03d}" for number in range(copies))
        for name in names:
            shutil.copytree(original / "1", folder / name / "1")
        shutil.copytree(article / "1", folder / ARTICLE / "1")
        golden = dict.fromkeys(names, _golden(original)) | {ARTICLE: _golden(article)}
        yield Artifacts(folder, names, golden)


def _write_networks(article: Path, large: Path) -> None:
    """Runs in a separate process: importing TensorFlow takes half a gigabyte of memory."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.networks", str(article), str(large)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=REPOSITORY,
        check=True,
    )


def _golden(artifact: Path) -> Golden:
    manifest = Manifest.model_validate_json((artifact / "facet.json").read_text())
    assert manifest.golden is not None
    image = preprocess.decode(manifest.input, (artifact / manifest.golden.image).read_bytes())
    pixels = preprocess.geometry(manifest.input, image)
    label = manifest.labels.index(manifest.golden.label)
    return Golden(base64.b64encode(pixels.tobytes()).decode(), label)


def _black(side: int) -> str:
    return base64.b64encode(bytes(side * side * 3)).decode()
