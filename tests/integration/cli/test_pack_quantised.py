"""`facet pack --quantize`: the smaller model, its measured loss, and what is refused."""
# mypy: disallow-subclassing-any=False

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from cli.app import app
from facet import preprocess
from facet.artifact import archive, validation
from facet.manifest import Manifest
from facet.preprocess import Pixels

LABELS = ("a", "b", "c")
OPTIONS = ("--labels", "a,b,c", "--preprocessing", "unit", "--resize", "bilinear")
LITE = "1/assets.extra/model.tflite"


def network(last: Callable[[object], object] | None = None) -> keras.Model:
    """A convolution and two dense layers, of which the first has most of the weights."""
    keras.utils.set_random_seed(3)
    image = values = keras.Input((8, 8, 3))
    values = keras.layers.Conv2D(8, 3, activation="relu")(values)
    values = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(values))
    values = keras.layers.Dense(3, kernel_initializer="he_normal")(values)
    return keras.Model(image, (last or keras.layers.Softmax())(values))


class Coarse(keras.layers.Layer):
    """A last layer whose inputs are far above their differences, which int8 does not show."""

    def call(self, values: Any) -> Any:
        return tf.nn.softmax(tf.matmul(values * 0.02 + 50.0, tf.eye(3)))


def draw(folder: Path, trained: keras.Model, each: int, seed: int) -> Path:
    """Noise of many colours: so many images of each label, which the float model has right.

    They are those of which it is the most certain.
    """
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (600, 1, 1, 3)) + random.integers(-60, 60, (600, 8, 8, 3))
    pixels = noise.clip(0, 255).astype(np.uint8)
    scores = np.asarray(trained(pixels.astype(np.float32) / 255, training=False))
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        right = [at for at in np.argsort(-scores[:, number]) if scores[at].argmax() == number]
        for at in right[:each]:
            Image.fromarray(pixels[at]).save(folder / label / f"{at}.png")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("source") / "pets.keras"
    network().save(file)
    return file


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "coarse"
    network(Coarse()).export(folder, verbose=False)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with `train` and `test`."""
    folder = tmp_path_factory.mktemp("data") / "images"
    draw(folder / "train", network(), 10, seed=1)
    return draw(folder / "test", network(), 10, seed=2).parent


def pack(folder: Path, source: Path, *options: str) -> Result:
    out = str(folder / "model.tar.gz")
    return CliRunner().invoke(app, ["pack", str(source), "-o", out, *OPTIONS, *options])


Files = dict[str, bytes]


def packed(folder: Path, source: Path, *options: str) -> tuple[Manifest, Files, Result]:
    """What is in the artifact, which nothing may be wrong with."""
    done = pack(folder, source, *options)
    assert done.exit_code == 0, done.output
    data = (folder / "model.tar.gz").read_bytes()
    manifest, violations = validation.run(archive.read(io.BytesIO(data)))
    assert isinstance(manifest, Manifest)
    assert violations == []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return manifest, {name: file.read() for name, file in members.items() if file}, done


@pytest.fixture(scope="module")
def plain(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The LiteRT model with float32 weights."""
    manifest, files, _ = packed(tmp_path_factory.mktemp("plain"), source, "--lite-only")
    assert [*files] == ["facet.json", LITE]
    assert manifest.metrics == {}
    return files[LITE]


def read(folder: Path) -> tuple[Pixels, list[int]]:
    files = sorted(folder.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(each)) for each in files])
    return pixels, [LABELS.index(each.parent.name) for each in files]


def answers(model: bytes, manifest: Manifest, pixels: Pixels) -> NDArray[np.float32]:
    """The scores of a LiteRT model, which takes what Facet sends and gives float32."""
    runner = Interpreter(model_content=model).get_signature_runner(manifest.input.signature)
    (taken,) = runner.get_input_details().values()
    (given,) = runner.get_output_details().values()
    rows = np.stack([preprocess.tensor(manifest.input, each) for each in pixels])
    assert (taken["dtype"], given["dtype"]) == (rows.dtype, np.float32)
    return np.asarray(runner(**{manifest.input.tensor: rows})[manifest.output.tensor])


@pytest.mark.parametrize(("kind", "most"), [("float16", 0.6), ("dynamic", 0.5), ("int8", 0.5)])
def test_the_manifest_says_what_the_model_in_the_artifact_loses(
    source: Path, images: Path, plain: bytes, tmp_path: Path, kind: str, most: float
) -> None:
    manifest, files, done = packed(
        tmp_path, source, "--quantize", kind, "--images", str(images), "--json"
    )
    assert json.loads(done.stdout)["lite"].startswith(f"{kind}, 0.0")
    assert "1/saved_model.pb" in files
    assert len(files[LITE]) < most * len(plain)
    pixels, truth = read(images / "test")
    full, small = (answers(each, manifest, pixels) for each in (plain, files[LITE]))
    assert full.argmax(axis=1).tolist() == truth
    right = int((small.argmax(axis=1) == truth).sum())
    apart = np.abs(full - small).max(axis=1)
    assert 0 < apart.max() < 0.1
    assert manifest.metrics == {
        "litert_accuracy": round(right / 30, 4),
        "litert_float32_accuracy": 1.0,
        "litert_images": 30,
        "litert_correct": right,
        "litert_float32_correct": 30,
        "litert_changed_images": 30 - right,
        "litert_score_difference": pytest.approx(apart.max(), abs=1e-4),
        "litert_mean_score_difference": pytest.approx(apart.mean(), abs=1e-4),
    }
    expected = {"litert_weights": kind, "litert_compared_on": "images/test"}
    assert expected.items() <= manifest.provenance.items()
    assert np.abs(small.sum(axis=1) - 1).max() < 1e-5, "the softmax computes with float32"


def test_without_the_saved_model_the_golden_sample_is_the_smaller_model_s(
    source: Path, images: Path, tmp_path: Path
) -> None:
    golden = next((images / "test").glob("b/*.png"))
    options = ("--quantize", "int8", "--images", str(images), "--golden", str(golden))
    manifest, files, _ = packed(tmp_path, source, *options, "--lite-only")
    assert [*files] == ["facet.json", LITE, "golden.png"]
    (row,) = answers(files[LITE], manifest, np.asarray(Image.open(golden))[None])
    assert manifest.golden
    assert manifest.golden.label == LABELS[row.argmax()]
    assert manifest.golden.score == pytest.approx(row.max(), abs=1e-5)
    _, again, _ = packed(tmp_path, source, *options, "--lite-only")
    assert again == files, "the same images give the same bytes"


def test_a_loss_above_the_stated_one_is_refused(coarse: Path, tmp_path: Path) -> None:
    """The source is a SavedModel that takes float32."""
    folder = draw(tmp_path / "images", network(), 10, seed=3)
    options = ("--quantize", "int8", "--images", str(folder))
    refused = pack(tmp_path, coarse, *options)
    assert refused.exit_code == 1
    assert not (tmp_path / "model.tar.gz").exists()
    (line,) = [each for each in refused.stderr.splitlines() if each.startswith("error: ")]
    assert line.startswith("error: int8 costs more accuracy than the 0.01 of --max-accuracy-loss: ")
    assert " of 15 images right (0." in line
    assert "as float32 15 (1.0000)" in line
    assert "--quantize float16" in line
    allowed = line.rpartition(" ")[2]
    manifest, files, _ = packed(tmp_path, coarse, *options, "--max-accuracy-loss", allowed)
    assert manifest.input.encoding == "float"
    assert "1/saved_model.pb" in files
    lost = 15 - manifest.metrics["litert_correct"]
    assert 0.01 < lost / 15 <= float(allowed)
    assert manifest.provenance["litert_max_accuracy_loss"] == allowed
    assert manifest.provenance["litert_compared_on"] == "images"


def test_a_golden_sample_must_suit_both_models(coarse: Path, tmp_path: Path) -> None:
    folder = draw(tmp_path / "images", network(), 3, seed=3)
    options = ("--quantize", "int8", "--images", str(folder), "--max-accuracy-loss", "1")
    golden = next(folder.glob("c/*.png"))
    refused = pack(tmp_path, coarse, *options, "--golden", str(golden))
    assert refused.exit_code == 1
    assert "the int8 model answers 'a'" in refused.stderr
    assert "the SavedModel 'c'" in refused.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--quantize", "int8"), "--quantize int8 needs --images DIR"),
        (("--quantize", "float16", "--no-lite", "--images", "."), "leave --no-lite out"),
        (("--images", "."), "are for --quantize"),
        (("--max-accuracy-loss", "0.1"), "are for --quantize"),
        (("--quantize", "int8", "--images", "nowhere"), "nowhere: there is no such folder or zip"),
        (("--lite-only", "--no-lite"), "leave nothing"),
    ],
)
def test_options_that_cannot_be(
    source: Path, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    done = pack(tmp_path, source, *options)
    assert done.exit_code == 1
    assert problem in done.stderr


def test_a_litert_file_is_not_quantised_again(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "pets.tflite"
    file.write_bytes(b"\x1c\0\0\0TFL3")
    done = pack(tmp_path, file, "--quantize", "int8", "--images", str(images))
    assert done.exit_code == 1
    assert f"{file} is a LiteRT model already. Quantise the SavedModel" in done.stderr


def test_remarks_about_the_images(source: Path, images: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(images / "test", tmp_path / "some")
    shutil.rmtree(copied / "a")
    (copied / "b/broken.png").write_bytes(b"no image")
    *_, done = packed(tmp_path, source, "--quantize", "float16", "--images", str(copied))
    assert "skipped b/broken.png: " in done.stderr
    assert f"{copied} has no image of 1 labels: a" in done.stderr


@pytest.mark.parametrize("option", ["--quantize int8", "--lite-only"])
def test_what_litert_cannot_compute(tmp_path: Path, images: Path, option: str) -> None:
    class Special(keras.layers.Layer):
        def call(self, values: Any) -> Any:
            return tf.nn.softmax(tf.math.igamma(tf.abs(values), 1.0))

    network(Special()).export(tmp_path / "special", verbose=False)
    given = ("--images", str(images)) if "quantize" in option else ()
    done = pack(tmp_path, tmp_path / "special", *option.split(), *given)
    assert done.exit_code == 1
    assert f"{option} needs a LiteRT model: left out, it cannot be converted" in done.stderr
