"""TensorFlow 2.20, the version of AWS's inference image, answers as ours for all that we export.

It runs in an environment of its own. TensorFlow Serving itself is only in AWS's image.
"""
# mypy: disable-error-code="untyped-decorator"

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from cli.app import app
from facet import preprocess
from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from tests.support.inputs import saved_model_answers
from tests.support.processes.environments import environment
from training.export.export import save
from training.export.graph import SCORES
from training.networks import BACKBONES, article_cnn, cnn, spec

ROOT = Path(__file__).parents[3]
VERSION = "2.20.0"
WITHIN = 1e-5
PACK = ("--labels", "a,b,c,d", "--preprocessing", "unit", "--resize", "bilinear")
SCRATCH = {"cnn": cnn, "article-cnn": article_cnn}


def trained(backbone: str, folder: Path) -> None:
    """A network of each kind that the recipes train, as training exports it."""
    changes = {"backbone": backbone, "image_size": 32, "width": 8, "alpha": 0.35, "dense": 8}
    settings = Hyperparameters.model_validate(changes)
    if backbone in SCRATCH:
        network = SCRATCH[backbone](settings, 4)
    else:
        options = {"alpha": 0.35} if BACKBONES[backbone].widths else {}
        base = BACKBONES[backbone].make(
            include_top=False, weights=None, input_shape=(32, 32, 3), **options
        )
        pooled = keras.layers.GlobalAveragePooling2D()(base.output)
        network = keras.Model(base.input, keras.layers.Dense(4)(pooled))
    given = spec(settings)
    _spread(network, given)
    save(network, given, folder / "1")
    manifest = {"input": given.model_dump(mode="json"), "output": {"tensor": SCORES}}
    (folder / "facet.json").write_text(json.dumps(manifest))


def _spread(network: keras.Model, given: InputSpec) -> None:
    """Set weights with which even a deep network gives images different scores (He et al. 2015)."""
    random = np.random.default_rng(15)
    for weight in network.weights:
        if len(weight.shape) > 1:
            depthwise = weight.shape[-1] == 1
            inputs = np.prod(weight.shape[:2] if depthwise else weight.shape[:-1])
            weight.assign(random.normal(0, np.sqrt(2 / inputs), weight.shape))
    pixels = random.integers(0, 256, (8, given.height, given.width, 3), dtype=np.uint8)
    logits = np.asarray(network(preprocess.normalise(given, pixels)))
    kernel = network.layers[-1].kernel
    kernel.assign(kernel / logits.std())


def packed(source: Path, folder: Path, *options: str) -> None:
    out = folder.with_suffix(".tar.gz")
    done = CliRunner().invoke(app, ["pack", str(source), "-o", str(out), *PACK, *options])
    assert done.exit_code == 0, done.output
    unpacked(out, folder)


def unpacked(artifact: Path, folder: Path) -> None:
    with tarfile.open(artifact) as archive:
        archive.extractall(folder, filter="data")


def saved_model(folder: Path) -> None:
    """It takes float64, which Facet does not send: packed, it has a signature for bytes."""
    weights = tf.Variable(np.random.default_rng(0).normal(size=(48, 4)))

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.float64, "image")])
    def scores(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": tf.nn.softmax(tf.reshape(image, [-1, 48]) @ weights)}

    module = tf.Module()
    module.weights = weights
    tf.saved_model.save(module, str(folder / "source" / "1"), signatures=scores)
    packed(folder / "source", folder)


def keras_3(folder: Path) -> None:
    layers = [keras.layers.SeparableConv2D(4, 3), keras.layers.Flatten()]
    last = keras.layers.Dense(4, activation="softmax")
    keras.Sequential([keras.Input((8, 8, 3)), *layers, last]).save(folder / "source.keras")
    packed(folder / "source.keras", folder)


def keras_2(folder: Path) -> None:
    import tf_keras

    layers = [tf_keras.layers.DepthwiseConv2D(3, input_shape=(8, 8, 3)), tf_keras.layers.Flatten()]
    network = tf_keras.Sequential([*layers, tf_keras.layers.Dense(4, activation="softmax")])
    network.save(folder / "source.h5")
    packed(folder / "source.h5", folder)


def frozen_graph(folder: Path) -> None:
    """A graph of TensorFlow 1, without a SavedModel."""
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, 4, 4, 3], "input")
        weights = np.random.default_rng(0).normal(size=(48, 4)).astype(np.float32)
        tf.nn.softmax(tf.reshape(images, [-1, 48]) @ weights, name="final_result")
    (folder / "source.pb").write_bytes(graph.as_graph_def().SerializeToString())
    named = ("--input", "input:0", "--output", "final_result:0")
    packed(folder / "source.pb", folder, *named)


REEXPORTS = {each.__name__: each for each in (saved_model, keras_3, keras_2, frozen_graph)}
SAMPLES = {each.name: each for each in sorted((ROOT / "samples").glob("*.tar.gz"))}


@pytest.fixture(scope="module")
def other() -> Path:
    """Python with AWS's TensorFlow."""
    return environment(f"tensorflow-{VERSION}", [f"tensorflow-cpu=={VERSION}"])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_it_answers_as_ours_for_every_saved_model_that_we_export(
    other: Path, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(20)
    makers: dict[str, Callable[[Path], None]] = {
        **{name: partial(unpacked, artifact) for name, artifact in SAMPLES.items()},
        **{name: partial(trained, name) for name in (*SCRATCH, *BACKBONES)},
        **REEXPORTS,
    }
    folders = {name: tmp_path / name for name in makers}
    for name, make in makers.items():
        folders[name].mkdir()
        make(folders[name])
    out = tmp_path / "answers.npz"
    command = [str(other), saved_model_answers.__file__, str(out), *map(str, folders.values())]
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(SAMPLES) == 3
    with np.load(out) as theirs:
        for name, answers in zip(folders, theirs.values(), strict=True):
            ours = saved_model_answers.scores(folders[name])
            assert ours.dtype == np.float32
            np.testing.assert_allclose(answers, ours, atol=WITHIN, rtol=0, err_msg=name)
            assert np.ptp(ours, axis=1).min() > 100 * WITHIN, name
