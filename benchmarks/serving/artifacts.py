"""Models on disk: copies of the CIFAR sample under other names, and the article's network."""

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

SAMPLE = REPOSITORY / "samples" / "cifar.tar.gz"
ARTICLE = "article"
"""Name of the model with the article's network."""

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


@contextmanager
def artifacts(copies: int, network: str) -> Iterator[Artifacts]:
    """Yields ARTICLE and `copies` copies of one of NETWORKS, each with files of its own."""
    with TemporaryDirectory(prefix="facet-") as scratch:
        sample, article = Path(scratch) / "sample", Path(scratch) / "article"
        with tarfile.open(SAMPLE) as tar:
            tar.extractall(sample, filter="data")
        _write_article(article)
        original = article if network == ARTICLE else sample
        folder = Path(scratch) / "models"
        names = tuple(f"model-{number:03d}" for number in range(copies))
        for name in names:
            shutil.copytree(original / "1", folder / name / "1")
        shutil.copytree(article / "1", folder / ARTICLE / "1")
        golden = dict.fromkeys(names, _golden(original)) | {ARTICLE: _golden(article)}
        yield Artifacts(folder, names, golden)


def _write_article(folder: Path) -> None:
    """Runs in a separate process: importing TensorFlow takes half a gigabyte of memory."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.article_network", str(folder)],
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
