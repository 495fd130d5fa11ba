"""Export: both runtimes give the same scores, and the manifest describes the model."""

from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facet import preprocess
from facet.image.decoding import decode
from facet.manifest import InputSpec, Manifest
from facet.preprocess import Pixels
from training.dataset import ImageSet
from training.export import golden
from training.export.export import (
    JUDGES,
    ExportError,
    ModelInfo,
    export,
    keeps_accuracy,
    lite_scorer,
    prove,
)
from training.export.graph import normalise

LABELS = ("cat", "dog", "frog")
SPEC = InputSpec(
    tensor="image",
    encoding="uint8",
    height=6,
    width=5,
    scale=1 / 255,
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.6, 0.7),
    order="BGR",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
INFO = ModelInfo("pets", "Three pets", LABELS, {"test_accuracy": 0.5}, {"recipe": "none"})


def network() -> keras.Model:
    """A small network with non-default batch norm statistics, and dropout that must be off."""
    keras.utils.set_random_seed(5)
    image = values = keras.Input((6, 5, 3))
    values = keras.layers.Conv2D(4, 3, padding="same")(values)
    values = keras.layers.BatchNormalization(
        moving_mean_initializer=keras.initializers.RandomNormal(),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2),
    )(values)
    values = keras.layers.Dropout(0.5)(keras.layers.Flatten()(values))
    return keras.Model(image, keras.layers.Dense(3)(values))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    assert export(network(), SPEC, INFO, proof=PIXELS, folder=folder) < 1e-5
    return folder


@pytest.fixture(scope="module")
def manifest(artifact: Path) -> Manifest:
    return Manifest.model_validate_json((artifact / "facet.json").read_bytes())


def expected(pixels: Pixels) -> NDArray[np.float32]:
    """Keras's scores for pixels that `facet.preprocess` normalised."""
    logits = np.asarray(network()(preprocess.normalise(SPEC, pixels), training=False))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def test_the_saved_model_has_the_manifests_signature_and_takes_raw_bytes(
    artifact: Path, manifest: Manifest
) -> None:
    signatures = tf.saved_model.load(str(artifact / "1")).signatures
    assert list(signatures) == [manifest.input.signature]
    rows = tf.constant([image.tobytes() for image in PIXELS])
    answer = signatures[manifest.input.signature](**{manifest.input.tensor: rows})
    assert list(answer) == [manifest.output.tensor]
    scores = answer[manifest.output.tensor]
    assert scores.dtype == tf.float32
    np.testing.assert_allclose(scores, expected(PIXELS), atol=1e-5)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_the_lite_model_takes_batches_of_any_size(artifact: Path, count: int) -> None:
    model = (artifact / "1/assets.extra/model.tflite").read_bytes()
    np.testing.assert_allclose(
        lite_scorer(model, SPEC)(PIXELS[:count]), expected(PIXELS[:count]), atol=1e-5
    )


def exported(network: keras.Model, folder: Path) -> tuple[bytes, Manifest]:
    """Exports with the network's own predictions as classes of held-out images."""
    scores = np.asarray(network(preprocess.normalise(SPEC, PIXELS), training=False))
    held_out = ImageSet(PIXELS, scores.argmax(axis=1))
    export(network, SPEC, INFO, proof=PIXELS, folder=folder, held_out=held_out)
    manifest = Manifest.model_validate_json((folder / "facet.json").read_bytes())
    return (folder / "1/assets.extra/model.tflite").read_bytes(), manifest


def test_float16_weights_that_keep_the_accuracy_are_exported(
    artifact: Path, tmp_path: Path
) -> None:
    model, manifest = exported(network(), tmp_path)
    full = (artifact / "1/assets.extra/model.tflite").read_bytes()
    assert (stored(full), stored(model)) == ({np.float32}, {np.float16})
    assert manifest.provenance == {"recipe": "none", "litert_weights": "float16"}
    scores = lite_scorer(model, SPEC)(PIXELS)
    assert 0 < np.abs(scores - expected(PIXELS)).max() < 0.01
    assert manifest.golden
    image = preprocess.decode(SPEC, (tmp_path / manifest.golden.image).read_bytes())
    (row,) = lite_scorer(model, SPEC)(preprocess.geometry(SPEC, image)[None])
    assert row.max() == pytest.approx(manifest.golden.score, abs=manifest.golden.tolerance / 2)


def test_weights_too_large_for_float16_stay_float32(tmp_path: Path) -> None:
    image = keras.Input((6, 5, 3))
    flat = keras.layers.Flatten()(image)
    hidden = keras.layers.Dense(8, "relu", kernel_initializer=large(1e5))(flat)
    wide = keras.Model(image, keras.layers.Dense(3, kernel_initializer=large(1e-6))(hidden))
    model, manifest = exported(wide, tmp_path)
    assert manifest.provenance["litert_weights"] == "float32"
    assert np.isfinite(lite_scorer(model, SPEC)(PIXELS)).all()


def stored(model: bytes) -> set[type]:
    """The number types of a LiteRT model's larger constants, as they are in the file."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    types = set()
    for tensor in interpreter.get_tensor_details():
        with suppress(ValueError):  # only constants have values before tensors are allocated
            if interpreter.get_tensor(tensor["index"]).size > 50:
                types.add(tensor["dtype"])
    return types


def large(size: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=size, seed=3)


@pytest.mark.parametrize(("count", "lost", "keeps"), [(999, 1, False), (1000, 1, True)])
def test_accuracy_may_fall_by_one_image_in_a_thousand(count: int, lost: int, keeps: bool) -> None:
    assert count <= JUDGES
    pixels = np.zeros((count, 1, 1, 3), np.uint8)
    pixels[:lost] = 1

    def full(batch: Pixels) -> NDArray[np.float32]:
        return np.tile(np.array([1, 0], np.float32), (len(batch), 1))

    def half(batch: Pixels) -> NDArray[np.float32]:
        return np.where(batch[:, 0, 0, :1] > 0, full(batch)[:, ::-1], full(batch))

    held_out = ImageSet(pixels, np.zeros(count, np.int64))
    assert keeps_accuracy(full, half, held_out) is keeps


def test_each_weight_is_stored_once(artifact: Path) -> None:
    stored = sum(path.stat().st_size for path in artifact.glob("1/variables/*.data*"))
    assert 4 * network().count_params() <= stored < 4 * network().count_params() + 2000


def test_the_manifest_describes_the_model(manifest: Manifest) -> None:
    assert (manifest.model, manifest.labels, manifest.input) == ("pets", LABELS, SPEC)
    assert manifest.metrics == {"test_accuracy": 0.5}
    assert manifest.output.activation == "softmax"


def test_the_golden_sample_is_what_the_model_answers(artifact: Path, manifest: Manifest) -> None:
    assert manifest.golden
    image = preprocess.decode(manifest.input, (artifact / manifest.golden.image).read_bytes())
    scores = expected(preprocess.geometry(manifest.input, image)[None])[0]
    assert LABELS[scores.argmax()] == manifest.golden.label
    assert scores.max() == pytest.approx(manifest.golden.score, abs=1e-4)


def test_accepts_models_with_equal_scores() -> None:
    assert prove(expected, lambda pixels: expected(pixels) + 5e-5, PIXELS) == pytest.approx(
        5e-5, abs=1e-6
    )


@pytest.mark.parametrize("apart", [2e-4, float("nan")])
def test_rejects_models_with_different_scores_for_one_image(apart: float) -> None:
    def other(pixels: Pixels) -> NDArray[np.float32]:
        scores = expected(pixels)
        scores[-1, 0] += apart
        return scores

    with pytest.raises(ExportError, match="answer differently"):
        prove(expected, other, PIXELS)


def test_golden_images_depend_only_on_their_seed() -> None:
    assert golden.draw(1) == golden.draw(1)
    assert golden.draw(1) != golden.draw(2)
    assert decode(golden.draw(1)).size == (golden.WIDTH, golden.HEIGHT)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_the_graph_normalises_as_serving_does(order: str) -> None:
    spec = InputSpec.model_validate(
        {
            "tensor": "image",
            "height": 4,
            "width": 4,
            "scale": 1 / 127.5,
            "mean": (0.4, 0.5, 0.6),
            "std": (0.2, 0.3, 0.4),
            "order": order,
        }
    )
    pixels = np.random.default_rng(9).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        normalise(spec, tf.constant(pixels)), preprocess.normalise(spec, pixels), atol=1e-6
    )
