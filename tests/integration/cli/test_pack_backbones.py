"""`facet pack --backbone NAME` and `--features`: what is in the artifacts, and what is refused."""

import io
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner, Result

from cli.app import app
from cli.pack import inference
from facet import preprocess
from facet.artifact import archive, validation
from facet.features import distance
from facet.heads import maps
from facet.manifest import BackboneManifest
from tests.support.inputs.artifacts import encoded, image
from training.applications import DEVIATIONS, _as_downloaded
from training.networks import Body


def pack(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["pack", "-o", str(folder / "model.tar.gz"), *options])


def packed(folder: Path, *options: str) -> tuple[BackboneManifest, dict[str, bytes]]:
    """What is in the artifact, which nothing may be wrong with."""
    done = pack(folder, *options)
    assert done.exit_code == 0, done.output
    data = (folder / "model.tar.gz").read_bytes()
    manifest, violations = validation.run(archive.read(io.BytesIO(data)))
    assert isinstance(manifest, BackboneManifest)
    assert violations == []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return manifest, {name: file.read() for name, file in members.items() if file}


def test_a_network_of_keras_applications_becomes_a_backbone(tmp_path: Path) -> None:
    shape = (64, 64, 3)
    network = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=shape, alpha=0.25, pooling="avg"
    )
    weights, photo = tmp_path / "mine.weights.h5", tmp_path / "photo.PNG"
    network.save_weights(weights)
    photo.write_bytes(encoded(image()))
    options = ("--backbone", "mobilenet", "--weights", str(weights), "--size", "64x64")
    manifest, files = packed(tmp_path, *options, "--golden", str(photo), "--model", "tiny")
    assert (manifest.model, manifest.output.tensor, manifest.width) == ("tiny", "features", 256)
    assert manifest.provenance["kind"] == "mobilenet of keras.applications, alpha 0.25"
    assert manifest.provenance["weights"].startswith("sha256:")
    pixels = preprocess.geometry(
        manifest.input, preprocess.decode(manifest.input, files[manifest.golden.image])
    )
    expected = np.asarray(network(pixels[None] / np.float32(127.5) - 1, training=False))[0]
    assert distance(np.array(manifest.golden.features, np.float32), expected) < 1e-4
    both_models_give_maps(tmp_path, manifest, files)
    weights_size = 4 * sum(np.prod(each.shape) for each in network.weights)
    assert len(files["1/variables/variables.data-00000-of-00001"]) < 1.05 * weights_size
    assert len(files["1/assets.extra/model.tflite"]) < 1.1 * weights_size

    done = pack(tmp_path, *options, "--alpha", "0.5")
    assert "has the weights of mobilenet --alpha 0.25" in done.output
    done = pack(tmp_path, *options[2:], "--backbone", "mobilenet-v2")
    assert "use --backbone mobilenet --alpha 0.25" in done.output


def both_models_give_maps(
    folder: Path, manifest: BackboneManifest, files: dict[str, bytes]
) -> None:
    """Their averages are each model's features."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    golden, asked = files[manifest.golden.image], maps.manifest_of(manifest)
    assert asked.width == 2 * 2 * 256
    lite = folder / "1/assets.extra/model.tflite"
    for opened in (inference.saved_model(folder / "1"), inference.lite(lite)):
        with opened as runtime:
            features = inference.score(runtime, manifest, golden)
            row = inference.score(runtime, asked, golden)
            assert distance(maps.averages(manifest.output, row[None])[0], features) < 1e-5


def test_a_keras_file_becomes_a_backbone(tmp_path: Path) -> None:
    source = tmp_path / "body.keras"
    pixels = keras.Input((8, 8, 3))
    values = layers.Conv2D(5, 3, activation="relu", bias_initializer="ones")(pixels)
    keras.Model(pixels, layers.GlobalAveragePooling2D()(values)).save(source)
    known = ("--features", "--preprocessing", "unit", "--resize", "bilinear", "--yes")
    manifest, files = packed(tmp_path, str(source), *known, "--lite-only")
    assert manifest.width == 5
    assert [*files] == ["facet.json", "1/assets.extra/model.tflite", "golden.png"]

    keras.Model(pixels, values).save(source)
    done = pack(tmp_path, str(source), *known)
    assert done.exit_code == 1
    assert "one flat row of features" in done.output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "name either SOURCE"),
        (("1", "--backbone", "vgg16"), "name either SOURCE"),
        (("1", "--alpha", "0.5"), "--alpha: only for --backbone NAME"),
        (("1", "--features", "--labels", "a,b"), "--labels: only for classifiers"),
        (("--backbone", "vgg16", "--scale", "1", "--invert"), "--scale, --invert: only for SOURCE"),
        (("--backbone", "vgg16", "--weights", "nowhere.h5"), "there is no such file"),
        (("--backbone", "vgg16", "--size", "16x16"), "at least 32x32 pixels"),
    ],
)
def test_options_that_do_not_belong_together(
    tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    done = pack(tmp_path, *options)
    assert done.exit_code == 1
    assert text in " ".join(done.output.split())
    assert not (tmp_path / "model.tar.gz").exists()


def test_efficientnets_weights_of_a_file_are_normalised_as_downloaded_ones() -> None:
    pixels = keras.Input((4, 4, 3))
    layer = layers.Normalization(axis=-1)
    layer.adapt(np.random.default_rng(0).uniform(0, 1, (8, 4, 4, 3)).astype(np.float32))
    of_file = keras.Model(pixels, layer(layers.Rescaling(1 / 255)(pixels)))
    images = np.random.default_rng(1).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    downloaded = np.asarray(of_file(images)) / np.sqrt(np.array(DEVIATIONS))
    _as_downloaded(of_file)
    assert np.allclose(np.asarray(keras.Model(pixels, of_file(pixels))(images)), downloaded)


def test_maps_that_are_too_large_for_an_answer_are_left_out() -> None:
    pixels = keras.Input((64, 65, 1))
    taken = layers.Conv2D(8, 1)(pixels)
    assert Body.of(pixels, layers.GlobalAveragePooling2D()(taken), taken).grid is None
    pixels = keras.Input((64, 64, 1))
    taken = layers.Conv2D(97, 1)(pixels)
    assert Body.of(pixels, layers.GlobalAveragePooling2D()(taken), taken).grid == (1, 1)
    taken = layers.Conv2D(98, 1)(pixels)
    assert Body.of(pixels, layers.GlobalAveragePooling2D()(taken), taken).grid is None
