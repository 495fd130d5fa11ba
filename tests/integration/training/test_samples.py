"""The committed artifacts: their accuracy, size, and predictions for the sample images."""

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from facet import preprocess
from facet.features import distance
from facet.heads import maps
from facet.heads.fitting import fit_head
from facet.manifest import BackboneManifest, Manifest
from facet.recipes import RECIPES
from samples import build

SAMPLES = Path(__file__).parents[3] / "samples"
MODELS = ("cifar", "sign-language")
IMAGES = sorted(SAMPLES.glob("images/*/*"))
PER_CLASS = 200
"""Images per class that are tested, of CIFAR-10's 1,000."""


@dataclass(frozen=True)
class Sample:
    """An artifact, run with LiteRT."""

    manifest: Manifest
    golden: bytes
    runner: Any

    def scores(self, images: list[bytes]) -> np.ndarray:
        """(images, labels)."""
        spec = self.manifest.input
        pixels = np.stack(
            [preprocess.apply(spec, preprocess.decode(spec, each)) for each in images]
        )
        return np.asarray(self.runner(**{spec.tensor: pixels})[self.manifest.output.tensor])

    def accuracy(self, labelled: Iterator[tuple[str, bytes]]) -> float:
        """The share of images with the right prediction."""
        labels, images = zip(*labelled, strict=True)
        best = self.scores(list(images)).argmax(axis=1)
        return float(np.mean([self.manifest.labels[index] for index in best] == np.array(labels)))


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    return {model: opened(SAMPLES / f"{model}.tar.gz") for model in MODELS}


def opened(artifact: Path) -> Sample:
    with tarfile.open(artifact) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
        content = {name: file.read() for name, file in members.items() if file}
    manifest = Manifest.model_validate_json(content["facet.json"])
    assert manifest.golden
    interpreter = Interpreter(model_content=content["1/assets.extra/model.tflite"])
    runner = interpreter.get_signature_runner(manifest.input.signature)
    return Sample(manifest, content[manifest.golden.image], runner)


def test_the_artifacts_are_small() -> None:
    assert sum((SAMPLES / f"{model}.tar.gz").stat().st_size for model in MODELS) < 12e6


@pytest.mark.parametrize("model", MODELS)
def test_the_golden_sample_gets_its_recorded_score(samples: dict[str, Sample], model: str) -> None:
    sample = samples[model]
    golden = sample.manifest.golden
    assert golden
    assert sample.manifest.model == model
    scores = sample.scores([sample.golden])[0]
    assert sample.manifest.labels[scores.argmax()] == golden.label
    assert scores.max() == pytest.approx(golden.score, abs=golden.tolerance)
    assert scores.max() - np.sort(scores)[-2] > 0.3


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_sample_images_get_their_labels(samples: dict[str, Sample], path: Path) -> None:
    """`images/<model>/<label>-<what it shows>.jpg`, predicted with a margin."""
    sample = samples[path.parent.name]
    scores = sample.scores([path.read_bytes()])[0]
    assert sample.manifest.labels[scores.argmax()] == path.name.split("-")[0]
    assert scores.max() - np.sort(scores)[-2] > 0.2


@dataclass(frozen=True)
class Backbone:
    """The sample backbone, run with LiteRT."""

    manifest: BackboneManifest
    golden: bytes
    interpreter: Interpreter

    @classmethod
    def opened(cls) -> "Backbone":
        with tarfile.open(SAMPLES / "backbone.tar.gz") as tar:
            content = {each.name: tar.extractfile(each) for each in tar}
            read = {name: file.read() for name, file in content.items() if file}
        manifest = BackboneManifest.model_validate_json(read["facet.json"])
        interpreter = Interpreter(model_content=read["1/assets.extra/model.tflite"])
        return cls(manifest, read[manifest.golden.image], interpreter)

    def features(self, images: list[bytes]) -> np.ndarray:
        """(images, features)."""
        return self._answers(self.manifest, images)

    def maps(self, images: list[bytes]) -> np.ndarray:
        """(images, height * width * channels)."""
        return self._answers(maps.manifest_of(self.manifest), images)

    def _answers(self, asked: BackboneManifest, images: list[bytes]) -> np.ndarray:
        spec = asked.input
        pixels = [preprocess.apply(spec, preprocess.decode(spec, each)) for each in images]
        runner = self.interpreter.get_signature_runner(spec.signature)
        return np.asarray(runner(**{spec.tensor: np.stack(pixels)})[asked.output.tensor])


def test_the_backbone_has_the_maps_of_its_features() -> None:
    backbone = Backbone.opened()
    output = backbone.manifest.output
    images = [backbone.golden, *(path.read_bytes() for path in IMAGES)]
    features, found = backbone.features(images), backbone.maps(images)
    assert distance(features[0], np.array(backbone.manifest.golden.features, np.float32)) < 0.01
    assert output.maps
    assert (output.maps.height, output.maps.width, output.channels) == (4, 4, 128)
    np.testing.assert_allclose(maps.averages(output, found), features, atol=1e-5)
    assert (SAMPLES / "backbone.tar.gz").stat().st_size < 6e5


def test_heads_on_the_backbone_tell_hand_signs_apart(data: Path) -> None:
    """Its features serve labels that it was not trained on: taught with 20 images of each."""
    backbone = Backbone.opened()
    manifest, features = backbone.manifest, backbone.features
    folders = [sorted((data / "sign_language/train" / str(digit)).glob("*")) for digit in range(10)]
    taught = features([path.read_bytes() for each in folders for path in each[::8][:20]])
    held_out = features([path.read_bytes() for each in folders for path in each[4::8][:20]])
    truth = np.repeat(np.arange(10), 20)
    head = fit_head(taught[None], np.eye(10, dtype=np.float32)[truth], balanced=True)
    right = (held_out @ head.kernel + head.bias).argmax(axis=1) == truth
    assert manifest.width == 512
    assert right.mean() > 0.8


def test_each_model_has_sample_images() -> None:
    counts = {model: sum(path.parent.name == model for path in IMAGES) for model in MODELS}
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("model", MODELS)
def test_samples_are_as_their_recipes_write_them_now(
    samples: dict[str, Sample], model: str
) -> None:
    """A temperature, a LiteRT model with float16 weights, and today's hyperparameters."""
    manifest = samples[model].manifest
    assert manifest.metrics["temperature"] != 1
    assert manifest.metrics["test_calibration_error"] < 0.03
    assert manifest.provenance["litert_weights"] == "float16"
    recipe, given = next(
        (each.recipe, each.settings) for each in build.SAMPLES if each.model == model
    )
    used = dict(each.split("=") for each in manifest.provenance["hyperparameters"].split())
    settings = RECIPES[recipe].settings(given).model_dump()
    changed = {name: value for name, value in used.items() if name not in ("method",)}
    assert {name: str(settings[name.replace("-", "_")]) for name in changed} == changed
    assert (SAMPLES / f"{model}.tar.gz").stat().st_size < 4e6


def test_cifar_reaches_its_accuracy(samples: dict[str, Sample], data: Path) -> None:
    assert samples["cifar"].accuracy(cifar_test(data)) >= 0.84


def cifar_test(data: Path) -> Iterator[tuple[str, bytes]]:
    """The first images of each class."""
    with zipfile.ZipFile(data / "cifar10_jpeg.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("cifar10/test/"))
        by_label: dict[str, list[str]] = {}
        for name in names:
            if name.endswith(".jpg"):
                by_label.setdefault(name.split("/")[2], []).append(name)
        assert len(by_label) == 10
        for label, files in by_label.items():
            yield from ((label, archive.read(name)) for name in files[:PER_CLASS])


def test_sign_language_reaches_its_accuracy(samples: dict[str, Sample], data: Path) -> None:
    files = sorted((data / "sign_language" / "validation").glob("*/*.JPG"))
    assert len(files) == 300
    labelled = ((path.parent.name, path.read_bytes()) for path in files)
    assert samples["sign-language"].accuracy(labelled) >= 0.90
