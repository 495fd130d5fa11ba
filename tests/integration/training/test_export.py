"""Export: both runtimes give the same scores, and the manifest describes the model."""

from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facet import preprocess
from facet.image.decoding import decode
from facet.manifest import Manifest
from facet.preprocess import Pixels
from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from training.dataset import Dataset, ImageSet
from training.export import golden
from training.export.export import (
    ExportError,
    ModelInfo,
    export,
    prove,
)
from training.export.graph import normalise, pixels_model
from training.export.litert import Quantisation, convert_module, lite_scorer
from training.export.loss import EXAMPLES, MAX_LOSS, Kind
from training.export.quantised import JUDGES, Quantising

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


def network(hidden: int = 0) -> keras.Model:
    """A small network with non-default batch norm statistics, and dropout that must be off."""
    keras.utils.set_random_seed(5)
    image = values = keras.Input((6, 5, 3))
    values = keras.layers.Conv2D(40 if hidden else 4, 3, padding="same")(values)
    values = keras.layers.BatchNormalization(
        moving_mean_initializer=keras.initializers.RandomNormal(),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2),
    )(values)
    values = keras.layers.Dropout(0.5)(keras.layers.Flatten()(values))
    values = keras.layers.Dense(hidden, "relu")(values) if hidden else values
    return keras.Model(image, keras.layers.Dense(3)(values))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    assert export(network(), SPEC, INFO, proof=PIXELS, folder=folder).difference < 1e-5
    return folder


@pytest.fixture(scope="module")
def manifest(artifact: Path) -> Manifest:
    return Manifest.model_validate_json((artifact / "facet.json").read_bytes())


def expected(pixels: Pixels, model: keras.Model | None = None) -> NDArray[np.float32]:
    """Keras's scores for pixels that `facet.preprocess` normalised."""
    logits = np.asarray((model or network())(preprocess.normalise(SPEC, pixels), training=False))
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


def exported(
    network: keras.Model, folder: Path, kind: Kind, *, lite_only: bool = False
) -> tuple[bytes, Manifest]:
    """Exports quantised; the network's own predictions are the classes of the judging images."""
    scores = np.asarray(network(preprocess.normalise(SPEC, PIXELS), training=False))
    judges = ImageSet(PIXELS, scores.argmax(axis=1))
    asked = Quantising(kind, MAX_LOSS[kind], judges, "test", PIXELS)
    export(network, SPEC, INFO, proof=PIXELS, folder=folder, quantising=asked, lite_only=lite_only)
    manifest = Manifest.model_validate_json((folder / "facet.json").read_bytes())
    return (folder / "1/assets.extra/model.tflite").read_bytes(), manifest


@pytest.mark.parametrize(
    ("kind", "types", "alone"),
    [
        ("float16", {np.float16}, False),
        ("dynamic", {np.int8}, False),
        ("int8", {np.int8}, True),
    ],
)
def test_a_quantised_model_that_keeps_the_accuracy_is_exported(
    artifact: Path, tmp_path: Path, kind: Kind, types: set[type], alone: bool
) -> None:
    wide = network(hidden=8)
    model, manifest = exported(wide, tmp_path, kind, lite_only=alone)
    assert (tmp_path / "1/saved_model.pb").exists() is not alone
    assert (tmp_path / "1/variables").exists() is not alone
    full = (artifact / "1/assets.extra/model.tflite").read_bytes()
    assert (stored(full), stored(model)) == ({np.float32}, types)
    scores = lite_scorer(model, SPEC)(PIXELS)
    apart = np.abs(scores - expected(PIXELS, wide)).max(axis=1)
    assert 0 < apart.max() < 0.1
    limit = f"{MAX_LOSS[kind]:g}"
    assert manifest.provenance == INFO.provenance | {
        "litert_weights": kind,
        "litert_compared_on": "test",
        "litert_max_accuracy_loss": limit,
    }
    measured = {name: manifest.metrics[f"litert_{name}"] for name in ("images", "correct")}
    assert measured == {"images": 9, "correct": 9}
    assert manifest.metrics["litert_score_difference"] == pytest.approx(apart.max(), abs=2e-4)
    assert manifest.metrics["test_accuracy"] == 0.5
    assert manifest.golden
    image = preprocess.decode(SPEC, (tmp_path / manifest.golden.image).read_bytes())
    (row,) = lite_scorer(model, SPEC)(preprocess.geometry(SPEC, image)[None])
    apart = 1e-6 if alone else manifest.golden.tolerance / 2
    assert row.max() == pytest.approx(manifest.golden.score, abs=apart)


def test_weights_too_large_for_float16_stay_float32(tmp_path: Path) -> None:
    image = keras.Input((6, 5, 3))
    flat = keras.layers.Flatten()(image)
    hidden = keras.layers.Dense(8, "relu", kernel_initializer=large(1e5))(flat)
    wide = keras.Model(image, keras.layers.Dense(3, kernel_initializer=large(1e-6))(hidden))
    model, manifest = exported(wide, tmp_path, "float16")
    assert manifest.provenance["litert_weights"] == "float32"
    assert np.isfinite(lite_scorer(model, SPEC)(PIXELS)).all()


def test_a_loss_above_the_limit_leaves_the_model_as_it_is(tmp_path: Path) -> None:
    """The last layer's inputs are far above their differences, which int8 does not show."""
    plain = network(hidden=8)
    far = keras.layers.Rescaling(-0.02, 50)(plain.output)
    last = keras.layers.Dense(3, use_bias=False, kernel_initializer="identity")(far)
    model, manifest = exported(keras.Model(plain.input, last), tmp_path, "int8")
    assert stored(model) == {np.float32}
    assert manifest.metrics == INFO.metrics
    assert manifest.provenance["litert_weights"] == "float32"
    reason = manifest.provenance["not_quantised"]
    assert reason.startswith("int8: it may lose 0.01, but has ")
    assert "of 9 images right" in reason


def test_what_a_job_quantises_follows_from_its_hyperparameters() -> None:
    def asked(**settings: object) -> Quantising | None:
        return Quantising.of(Hyperparameters.model_validate(settings), data, "validation")

    images = ImageSet(np.zeros((JUDGES * 2 + 1, 1, 1, 3), np.uint8), np.arange(JUDGES * 2 + 1))
    data = Dataset(LABELS, images, images, None)
    assert asked(quantize="none") is None
    usual, stated = asked(), asked(quantize="int8", max_accuracy_loss=0.02)
    assert usual
    assert stated
    assert (usual.kind, usual.max_loss, usual.channel) == ("float16", 0, "validation")
    assert (stated.kind, stated.max_loss, len(stated.examples)) == ("int8", 0.02, EXAMPLES)
    judged = np.concatenate([classes for _, classes in usual.batches()])
    assert len(judged) <= JUDGES
    assert {*np.diff(judged)} == {3}, "evenly from all classes"


def test_the_last_layer_is_left_in_float32() -> None:
    """With what follows it: a temperature, and the softmax."""
    plain = network(hidden=8)
    tempered = keras.Model(plain.input, keras.layers.Rescaling(0.7)(plain.output))
    module = pixels_model(tempered, SPEC)
    model = convert_module(module, SPEC, Quantisation("int8", [*PIXELS]))
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    kinds = [
        read.operatorCodes[each.opcodeIndex].builtinCode for each in read.subgraphs[0].operators
    ]
    op = schema.BuiltinOperator
    assert kinds[-4:] == [op.FULLY_CONNECTED, op.DEQUANTIZE, op.FULLY_CONNECTED, op.SOFTMAX]


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
