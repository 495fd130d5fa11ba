"""`facet pack` on SavedModels of TensorFlow 1 and 2 and on Keras' files."""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from cli.app import app
from facet import preprocess
from facet.artifact import archive, validation
from facet.manifest import Manifest
from serving.runtimes.litert import LiteRT
from tests.support.inputs.artifacts import encoded, image

WEIGHTS = np.random.default_rng(3).normal(size=(64, 4)).astype(np.float32)


class Network(tf.Module):
    """Images of 4 by 4 pixels as rows of any type → four scores."""

    def __init__(self, last: Callable[[Any], Any] = tf.nn.softmax, values: int = 48) -> None:
        super().__init__()
        self.weights = tf.Variable(WEIGHTS[:values])
        self.last = last

    def scores(self, image: Any) -> Mapping[str, Any]:
        rows = tf.reshape(tf.cast(image, tf.float32), [-1, self.weights.shape[0]])
        return {"scores": self.last(rows @ self.weights)}


def save(folder: Path, network: Network, shape: list[int | None], dtype: Any = tf.float32) -> Path:
    spec = tf.TensorSpec(shape, dtype, "image")
    signature = tf.function(network.scores).get_concrete_function(spec)
    tf.saved_model.save(network, str(folder / "1"), signatures={"mine": signature})
    return folder


@pytest.fixture
def hwc(tmp_path: Path) -> Path:
    return save(tmp_path / "hwc", Network(), [None, 4, 4, 3])


@pytest.fixture
def tf1(tmp_path: Path) -> Path:
    """Somebody else's, as TensorFlow 1 wrote them: fed in the middle of its graph, flat."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "examples")
        read = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([16], tf.float32)})
        images = tf.identity(read["x"], "images")
        weights = v1.get_variable("weights", initializer=WEIGHTS[:16])
        scores = tf.nn.softmax(images @ weights)
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info
        signatures = {
            name: v1.saved_model.build_signature_def(
                {key: info(source)}, {"scores": info(scores)}, "tensorflow/serving/predict"
            )
            for name, key, source in (
                ("predict_images", "images", images),
                ("serving_default", "inputs", examples),
            )
        }
        builder = v1.saved_model.Builder(str(tmp_path / "tf1" / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return tmp_path / "tf1"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.PNG"
    file.write_bytes(encoded(image((40, 30))))
    return file


def pack(source: Path, *options: str) -> Result:
    out = source.parent / "model.tar.gz"
    return CliRunner().invoke(app, ["pack", str(source), "-o", str(out), *options])


LABELS = ("--labels", "a,b,c,d")
RAW = ("--preprocessing", "none", "--resize", "bilinear")
UNIT = ("--preprocessing", "unit", "--resize", "bilinear")


def packed(source: Path, *options: str) -> tuple[Manifest, dict[str, bytes]]:
    """What is in the artifact, which nothing may be wrong with."""
    done = pack(source, *LABELS, *options)
    assert done.exit_code == 0, done.output
    data = (source.parent / "model.tar.gz").read_bytes()
    manifest, violations = validation.run(archive.read(io.BytesIO(data)))
    assert isinstance(manifest, Manifest)
    assert violations == []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return manifest, {name: file.read() for name, file in members.items() if file}


def expected(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """What Network answers to one image's values, in its own order."""
    logits = pixels.reshape(1, -1).astype(np.float32) @ WEIGHTS[: pixels.size]
    (scores,) = np.asarray(tf.nn.softmax(logits), dtype=np.float32)
    return np.asarray(scores)


def test_a_flat_model_of_tensorflow_1_with_signatures_of_its_own(tf1: Path, photo: Path) -> None:
    options = ("--signature", "predict_images", *UNIT, "--golden", str(photo))
    manifest, files = packed(tf1, *options)
    given = manifest.input
    assert (given.signature, given.tensor, given.layout) == ("predict_images", "images", "flat")
    assert (given.height, given.width, given.channels) == (4, 4, 1)
    assert (manifest.output.tensor, manifest.output.activation) == ("scores", "softmax")
    scores = expected(preprocess.apply(given, image((40, 30))))
    assert manifest.golden
    assert manifest.golden.image == "golden.png"
    assert manifest.golden.label == "abcd"[scores.argmax()]
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-5)
    assert next(iter(files)) == "facet.json"
    assert files["1/assets.extra/model.tflite"][4:8] == b"TFL3"
    assert files["golden.png"] == photo.read_bytes()


def test_the_same_source_packs_into_the_same_bytes(tf1: Path) -> None:
    options = (*LABELS, *UNIT, "--signature", "predict_images", "--json")
    expected = json.loads(pack(tf1, *options).stdout)
    artifact = (tf1.parent / "model.tar.gz").read_bytes()
    assert expected["version"] == archive.read(io.BytesIO(artifact)).sha256[:12]
    for each in tf1.rglob("*"):
        os.utime(each, (1, 1))
    assert pack(tf1, *options).exit_code == 0
    assert (tf1.parent / "model.tar.gz").read_bytes() == artifact


def test_a_saved_model_of_tensorflow_2_goes_in_as_it_is(hwc: Path) -> None:
    manifest, files = packed(hwc, "--preprocessing", "imagenet-torch", "--resize", "box")
    assert (manifest.input.layout, manifest.input.encoding) == ("hwc", "float")
    assert manifest.input.std == (0.229, 0.224, 0.225)
    for file in ("saved_model.pb", "variables/variables.index"):
        assert files[f"1/{file}"] == (hwc / "1" / file).read_bytes()
    assert manifest.output.activation == "softmax"
    assert manifest.golden is None
    assert "1/assets.extra/model.tflite" in files


@pytest.mark.parametrize(
    ("shape", "dtype", "turn"),
    [
        ([None, 4, 4, 3], tf.uint8, (0, 1, 2)),
        ([None, 3, 4, 4], tf.float64, (2, 0, 1)),
    ],
)
def test_what_facet_cannot_send_to_is_exported_anew(
    tmp_path: Path, photo: Path, shape: list[int | None], dtype: Any, turn: tuple[int, int, int]
) -> None:
    source = save(tmp_path / "model", Network(), shape, dtype)
    manifest, files = packed(source, *RAW, "--golden", str(photo))
    given = manifest.input
    assert (given.encoding, given.signature, given.tensor) == ("uint8", "serving_default", "image")
    pixels = preprocess.geometry(given, image((40, 30))).transpose(turn)
    scores = expected(pixels)
    assert manifest.golden
    assert manifest.golden.label == "abcd"[scores.argmax()]
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)
    assert "1/assets.extra/model.tflite" in files


def test_a_model_that_takes_bytes_needs_the_size_alone(tmp_path: Path) -> None:
    class Bytes(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            return super().scores(tf.io.decode_raw(image, tf.uint8))

    source = save(tmp_path / "bytes", Bytes(), [None], tf.string)
    needed = pack(source, *LABELS, *RAW[2:]).stderr.splitlines()[-1]
    assert needed.startswith("error: --size HEIGHTxWIDTHxCHANNELS is missing")
    manifest, files = packed(source, "--size", "4x4x3", *RAW[2:])
    assert manifest.input.encoding == "uint8"
    assert "1/assets.extra/model.tflite" not in files


def test_what_litert_cannot_compute_is_packed_without(tmp_path: Path) -> None:
    source = save(
        tmp_path / "igamma",
        Network(lambda x: tf.nn.softmax(tf.math.igamma(tf.abs(x), 1.0))),
        [None, 48],
    )
    done = pack(source, *LABELS, *UNIT)
    assert done.exit_code == 0, done.output
    assert "left out, it cannot be converted" in done.stdout, done.stdout


def test_a_litert_model_of_the_source_s_own_must_answer_alike(hwc: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", Network(lambda x: tf.nn.softmax(-x)), [None, 4, 4, 3])
    converter = tf.lite.TFLiteConverter.from_saved_model(str(other / "1"), signature_keys=["mine"])
    (hwc / "1" / "assets.extra").mkdir()
    (hwc / "1" / "assets.extra" / "model.tflite").write_bytes(converter.convert())
    done = pack(hwc, *LABELS, *UNIT, "--json")
    assert "answer differently" in json.loads(done.stdout)["lite"]
    assert "1/assets.extra/model.tflite" not in packed(hwc, *UNIT)[1]


@pytest.mark.parametrize("name", ["pets.keras", "pets.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_keras_file_is_exported_with_its_scaling(tmp_path: Path, photo: Path, name: str) -> None:
    layers = [keras.Input((4, 4)), keras.layers.Flatten(), keras.layers.Dense(4)]
    network = keras.Sequential(layers)
    network.set_weights([WEIGHTS[:16], np.zeros(4, np.float32)])
    network.save(tmp_path / name)
    needed = pack(tmp_path / name, *LABELS, *UNIT)
    assert needed.stderr.splitlines()[-1].startswith("error: --activation softmax|logits|sigmoid")
    options = (*UNIT, "--activation", "logits", "--golden", str(photo), "--model", "pets")
    manifest, files = packed(tmp_path / name, *options)
    assert (manifest.input.encoding, manifest.input.channels) == ("uint8", 1)
    pixels = preprocess.geometry(manifest.input, image((40, 30)))
    scores = expected(pixels / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)
    assert manifest.model == "pets"
    assert "1/assets.extra/model.tflite" in files


def test_keras_own_export_keeps_its_litert_model(tmp_path: Path) -> None:
    network = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")]
    )
    network.export(tmp_path / "exported", verbose=False)
    manifest, files = packed(tmp_path / "exported", *UNIT)
    assert manifest.input.encoding == "float"
    assert "1/assets.extra/model.tflite" in files


def test_random_layers_are_the_reason_for_a_missing_litert_model(tmp_path: Path) -> None:
    class Noisy(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            noise = tf.random.uniform([1, 4, 4, 3], name="augment") / 100  # within the tolerance
            return super().scores(image + noise)

    source = save(tmp_path / "noisy", Noisy(), [None, 4, 4, 3])
    summary = json.loads(pack(source, *LABELS, *UNIT, "--json").stdout)["lite"]
    assert "random layers" in summary
    assert "RandomUniform in augment" in summary


class Shuffling(Network):
    """Answers by the batch's own statistics."""

    def scores(self, image: Any) -> Mapping[str, Any]:
        rows = tf.reshape(image, [-1, 48]) @ self.weights
        return {"scores": tf.nn.softmax(rows - tf.reduce_mean(rows, 0))}


class Dropout(Network):
    def scores(self, image: Any) -> Mapping[str, Any]:
        return super().scores(tf.nn.dropout(image, 0.5, name="drop"))


@pytest.mark.parametrize(
    ("network", "code", "words"),
    [
        (Dropout(), "not-repeatable", "the model has random layers: RandomUniform in drop"),
        (Shuffling(), "batch-dependent", "depends on the others in its request"),
    ],
)
def test_a_network_exported_as_in_training_is_not_packed(
    tmp_path: Path, network: Network, code: str, words: str
) -> None:
    source = save(tmp_path / "training", network, [None, 4, 4, 3])
    done = pack(source, *LABELS, *UNIT, "--json")
    assert done.exit_code == 1
    (violation,) = json.loads(done.stdout)["violations"]
    assert violation["code"] == code
    assert words in violation["problem"]


class Single(Network):
    def scores(self, image: Any) -> Mapping[str, Any]:
        return {"scores": tf.nn.softmax(tf.reshape(image, [1, 48]) @ self.weights)}


@pytest.mark.parametrize(("network", "rows"), [(Single(), None), (Network(), 1)])
def test_a_model_that_answers_single_images_only_is_packed_and_named(
    tmp_path: Path, network: Network, rows: int | None
) -> None:
    source = save(tmp_path / "single", network, [rows, 4, 4, 3])
    done = pack(source, *LABELS, *UNIT, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["max_batch_size"] == 1
    assert "answers as the SavedModel does" in json.loads(done.stdout)["lite"]
    assert "sent one by one" in pack(source, *LABELS, *UNIT).stdout


def test_objects_of_keras_3_which_serving_cannot_run_are_exported_again(
    tmp_path: Path, photo: Path
) -> None:
    network = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")]
    )
    network.set_weights([WEIGHTS[:48], np.zeros(4, np.float32)])
    tf.saved_model.save(network, str(tmp_path / "objects"))
    manifest, files = packed(tmp_path / "objects", *UNIT, "--golden", str(photo))
    assert manifest.input.encoding == "uint8"
    assert "1/assets.extra/model.tflite" in files
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)


def test_a_float_image_too_large_for_a_request_is_exported_again_on_demand(tmp_path: Path) -> None:
    class Large(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            return super().scores(image[:, :4, :4])

    source = save(tmp_path / "large", Large(), [None, 450, 450, 3])
    refused = pack(source, *LABELS, *UNIT)
    assert refused.exit_code == 2
    assert "error: --reexport yes|no is missing" in refused.stderr
    assert "the limit of one request is 6,291,456" in refused.stderr
    manifest, _ = packed(source, *UNIT, "--reexport", "--no-lite")
    assert (manifest.input.encoding, manifest.input.height) == ("uint8", 450)


def test_a_model_that_fails_for_an_image_is_not_packed(tmp_path: Path) -> None:
    class Fails(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            with tf.control_dependencies([tf.debugging.assert_less(image, -1.0, "too bright")]):
                return super().scores(tf.identity(image))

    done = pack(save(tmp_path / "fails", Fails(), [None, 4, 4, 3]), *LABELS, *UNIT)
    assert done.exit_code == 1
    assert "too bright" in done.stderr
    assert not (tmp_path / "model.tar.gz").exists()


def test_scores_that_are_no_probabilities_are_found_before_the_upload(tmp_path: Path) -> None:
    source = save(tmp_path / "sums", Network(lambda x: 9 * tf.sigmoid(x)), [None, 4, 4, 3])
    done = pack(source, *LABELS, *UNIT, "--activation", "softmax")
    assert done.exit_code == 1
    assert "not-probabilities" in done.stdout


def test_a_graph_that_decodes_files_gets_the_file(tmp_path: Path, photo: Path) -> None:
    class Files(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            def one(data: Any) -> Any:
                pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
                return tf.image.resize(pixels, [4, 4]) / 255

            return super().scores(tf.map_fn(one, image, fn_output_signature=tf.float32))

    source = save(tmp_path / "files", Files(), [None], tf.string)
    golden = ("--golden", str(photo))
    manifest, _ = packed(source, "--size", "4x4x3", "--activation", "softmax", *golden)
    assert manifest.input.encoding == "jpeg"
    pixels = tf.io.decode_png(photo.read_bytes(), channels=3)
    scores = expected(np.asarray(tf.image.resize(pixels, [4, 4]) / 255))
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)


def test_automl_s_key_is_filled_in(tmp_path: Path) -> None:
    class Keyed(Network):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "image_bytes"),
                tf.TensorSpec([None], tf.string, "key"),
            ]
        )
        def serve(self, image_bytes: Any, key: Any) -> Mapping[str, Any]:
            pixels = tf.io.decode_raw(image_bytes, tf.uint8)
            return {**self.scores(pixels), "key": key}

    network = Keyed()
    tf.saved_model.save(network, str(tmp_path / "keyed"), signatures={"mine": network.serve})
    manifest, _ = packed(tmp_path / "keyed", "--size", "4x4x3", *RAW[2:])
    assert (manifest.input.tensor, manifest.input.encoding) == ("image", "uint8")


def test_examples_are_refused_with_the_signatures_that_there_are(tf1: Path) -> None:
    done = pack(tf1, *LABELS, *UNIT, "--signature", "serving_default", "--size", "4x4x1")
    assert done.exit_code == 1
    assert "takes serialized tf.Example messages" in done.stderr
    assert "predict_images" in done.stderr


@pytest.mark.parametrize(
    "last",
    [
        lambda x: tf.cast(tf.nn.softmax(x), tf.float16),
        lambda x: tf.reshape(tf.nn.softmax(x), [-1, 1, 1, 4]),
    ],
    ids=["float16", "as TF Hub's"],
)
def test_scores_in_other_forms_are_exported_as_rows(
    tmp_path: Path, photo: Path, last: Callable[[Any], Any]
) -> None:
    source = save(tmp_path / "form", Network(last), [None, 4, 4, 3])
    manifest, files = packed(source, *UNIT, "--golden", str(photo))
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-3)
    assert "1/assets.extra/model.tflite" in files


def test_one_score_for_two_labels(tmp_path: Path, photo: Path) -> None:
    network = Network(lambda x: tf.sigmoid(x[:, 0]))
    source = save(tmp_path / "binary", network, [None, 4, 4, 3])
    done = pack(source, "--labels", "cat,dog", *UNIT, "--golden", str(photo), "--json")
    manifest = Manifest.model_validate(json.loads(done.stdout)["manifest"])
    assert (manifest.output.binary, manifest.output.activation) == (True, "sigmoid")
    pixels = preprocess.geometry(manifest.input, image((40, 30))) / 255
    dog = float(tf.sigmoid(pixels.reshape(-1) @ WEIGHTS[:48, 0]))
    assert manifest.golden
    assert manifest.golden.label == ("dog" if dog > 0.5 else "cat")
    assert manifest.golden.score == pytest.approx(max(dog, 1 - dog), abs=1e-4)


def test_weights_frozen_into_a_large_graph_become_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tf.constant(np.tile(WEIGHTS[:48], [1, 400]))

    class Frozen(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            rows = tf.reshape(image, [-1, 48])
            return {"scores": tf.nn.softmax((rows @ large)[:, :4])}

    source = save(tmp_path / "frozen", Frozen(), [None, 4, 4, 3])
    assert (source / "1/saved_model.pb").stat().st_size > 300_000
    for module in ("cli.pack.plan", "cli.pack.model.reexport"):
        monkeypatch.setattr(f"{module}.MAX_GRAPH", 100_000)
    _, files = packed(source, *UNIT)
    assert len(files["1/saved_model.pb"]) < 100_000
    assert len(files["1/variables/variables.data-00000-of-00001"]) > 300_000


def test_a_frozen_graph_without_a_saved_model(tmp_path: Path, photo: Path) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, 4, 4, 3], "input")
        v1.placeholder_with_default(1.0, [], "keep_prob")
        tf.nn.softmax(tf.reshape(images, [-1, 48]) @ WEIGHTS[:48], name="final_result")
    file = tmp_path / "retrained_graph.pb"
    file.write_bytes(graph.as_graph_def().SerializeToString())
    named = ("--input", "input:0", "--output", "final_result:0")
    manifest, _ = packed(file, *UNIT, *named, "--golden", str(photo))
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)


@pytest.mark.parametrize("name", ["k2.h5", "k2.keras", "hdf5.keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_files_of_keras_2(tmp_path: Path, photo: Path, name: str) -> None:
    import tf_keras

    depthwise = tf_keras.layers.DepthwiseConv2D(1, input_shape=(4, 4, 3))
    dense = tf_keras.layers.Dense(4, activation="softmax")
    network = tf_keras.Sequential([depthwise, tf_keras.layers.Flatten(), dense])
    network.set_weights(
        [np.ones((1, 1, 3, 1)), np.zeros(3), WEIGHTS[:48], np.zeros(4)],
    )
    saved = tmp_path / name.replace("hdf5.keras", "whole.h5")
    network.save(saved)
    saved.rename(tmp_path / name)
    manifest, files = packed(tmp_path / name, *UNIT, "--golden", str(photo))
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)
    assert "1/assets.extra/model.tflite" in files


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_keras_2_is_recommended_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tf_keras

    layers = [tf_keras.layers.Input((4, 4, 3)), tf_keras.layers.Lambda(lambda x: x[:, 0, 0])]
    tf_keras.Sequential(layers).save(tmp_path / "k2.h5")
    monkeypatch.setattr("cli.pack.model.keras_file.installed", lambda: False)
    done = pack(tmp_path / "k2.h5", *LABELS, *UNIT)
    assert done.exit_code == 1
    assert "Keras 2." in done.stderr
    assert "Install Keras 2 (`make tensorflow`)" in done.stderr


def test_an_output_of_several_is_chosen_in_a_keras_file(tmp_path: Path) -> None:
    taken = keras.Input((4, 4, 3))
    flat = keras.layers.Flatten()(taken)
    heads = [keras.layers.Dense(n, "softmax", name=name)(flat) for n, name in ((4, "a"), (2, "b"))]
    keras.Model(taken, heads).save(tmp_path / "two.keras")
    done = pack(tmp_path / "two.keras", *LABELS, *UNIT)
    assert "error: --output a|b is missing" in done.stderr
    manifest, _ = packed(tmp_path / "two.keras", *UNIT, "--output", "a")
    assert len(manifest.labels) == 4


def lite_file(source: Path, *, quantised: bool = False, signature: bool = True) -> Path:
    """A LiteRT model of a SavedModel, as people have them: without it, one image at a time."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(source / "1"), signature_keys=["mine"])
    if quantised:
        drawn = np.random.default_rng(0).uniform(-1, 1, (20, 1, 4, 4, 3)).astype(np.float32)
        drawn[0].flat[:2] = -1, 1
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([each] for each in drawn)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    content = converter.convert()
    file = source.with_suffix(".tflite")
    file.write_bytes(content if signature else without_signature(content))
    return file


def without_signature(content: bytes) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
    model.signatureDefs = None
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("signature", [True, False])
def test_a_litert_model_alone(tmp_path: Path, photo: Path, signature: bool) -> None:
    source = save(tmp_path / "alone", Network(), [None, 4, 4, 3])
    file = lite_file(source, signature=signature)
    manifest, files = packed(file, *UNIT, "--golden", str(photo))
    assert manifest.input.signature == ("mine" if signature else "serving_default")
    assert manifest.output.activation == "softmax"
    assert [*files] == ["facet.json", "1/assets.extra/model.tflite", "golden.png"]
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)


def test_a_litert_model_that_was_made_for_one_image_answers_batches(tmp_path: Path) -> None:
    class One(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            return {"scores": tf.nn.softmax(tf.reshape(image, [1, 48]) @ self.weights)}

    file = lite_file(save(tmp_path / "one", One(), [1, 4, 4, 3]), signature=False)
    _, files = packed(file, *UNIT)
    (tmp_path / "model.tflite").write_bytes(files["1/assets.extra/model.tflite"])
    runtime = LiteRT(tmp_path / "model.tflite", threads=1)
    images = np.random.default_rng(1).random((9, 4, 4, 3), np.float32)
    answered = runtime.predict("serving_default", {"image": images})["scores"]
    runtime.close()
    wanted = tf.nn.softmax(images.reshape(9, 48) @ WEIGHTS[:48])
    assert np.allclose(answered, wanted, atol=1e-5)


def test_a_quantised_litert_model_gets_the_pixels_that_it_was_converted_for(
    tmp_path: Path, photo: Path
) -> None:
    source = save(tmp_path / "quantised", Network(), [1, 4, 4, 3])
    file = lite_file(source, quantised=True)
    manifest, _ = packed(file, *UNIT[2:], "--preprocessing", "tf", "--golden", str(photo))
    assert manifest.input.encoding == "uint8"
    pixels = preprocess.geometry(manifest.input, image((40, 30)))
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(expected(pixels / 127.5 - 1).max(), abs=0.05)
    other, _ = packed(file, *UNIT)
    assert other.input.encoding == "float"


def test_a_signature_that_names_other_tensors_than_the_graph_is_corrected(
    tmp_path: Path, photo: Path
) -> None:
    file = lite_file(save(tmp_path / "stale", Network(), [None, 4, 4, 3]))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(file.read_bytes()), 0))
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    signature.inputs[0].tensorIndex = int(graph.operators[0].outputs[0])
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(bytes(builder.Output()))
    manifest, _ = packed(file, *UNIT, "--golden", str(photo))
    scores = expected(preprocess.geometry(manifest.input, image((40, 30))) / 255)
    assert manifest.golden
    assert manifest.golden.score == pytest.approx(scores.max(), abs=1e-4)


class Loop(Network):
    def scores(self, image: Any) -> Mapping[str, Any]:
        turns = tf.reduce_sum(image[0]) * 0
        (turns,) = tf.while_loop(lambda each: each < 2, lambda each: [each + 1], [turns])
        return super().scores(image + turns * 0)


def test_control_flow_of_litert_is_packed_if_it_is_allowed(tmp_path: Path) -> None:
    file = lite_file(save(tmp_path / "loop", Loop(), [None, 4, 4, 3]))
    refused = pack(file, *LABELS, *UNIT)
    assert refused.exit_code == 1
    assert "'WHILE' runs other parts of the model" in refused.stderr
    assert "--more-ops" in refused.stderr
    done = pack(file, *LABELS, *UNIT, "--more-ops", "WHILE")
    assert done.exit_code == 0, done.output
    found = archive.read(io.BytesIO((tmp_path / "model.tar.gz").read_bytes()))
    assert validation.run(found, validation.Rules(ops=frozenset({"WHILE"})))[1] == []


def test_a_damaged_litert_model(tmp_path: Path) -> None:
    file = tmp_path / "cut.tflite"
    file.write_bytes(b"\xff\xff\xff\x0fTFL3" + bytes(40))
    done = pack(file, *LABELS, *UNIT)
    assert done.exit_code == 1
    assert "damaged LiteRT model" in done.stderr


def test_without_a_terminal_all_missing_options_are_named(tmp_path: Path) -> None:
    network = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(4))
    network.save(tmp_path / "model.keras")
    done = pack(tmp_path / "model.keras")
    assert done.exit_code == 2
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: missing options: --preprocessing unit|")
    assert re.findall(r"--[a-z]+", error) == [
        "--preprocessing", "--resize", "--labels", "--activation", "--help"
    ]  # fmt: skip
    assert not (tmp_path / "model.tar.gz").exists()


def test_the_filter_alone_is_missing(hwc: Path) -> None:
    done = pack(hwc, *LABELS, "--preprocessing", "unit")
    assert done.exit_code == 2
    assert "error: --resize nearest|box|" in done.stderr
    assert "cv2-area is missing" in done.stderr


def test_missing_shards_are_named_before_tensorflow_is_asked(hwc: Path) -> None:
    shard = next((hwc / "1/variables").glob("variables.data-*"))
    shard.rename(shard.with_name("variables.data-00000-of-00002"))
    done = pack(hwc, *LABELS, *UNIT)
    assert done.exit_code == 1
    assert "variables/variables.data-00001-of-00002" in done.stderr
    assert "..." not in done.stderr, "nothing was read or run"


def test_a_golden_sample_that_the_model_gets_wrong(hwc: Path, tmp_path: Path) -> None:
    file = tmp_path / "grey.png"
    Image.new("RGB", (8, 8), "grey").save(file)
    best = "abcd"[expected(np.full(48, 128 / 255)).argmax()]
    wrong = "a" if best != "a" else "b"
    done = pack(hwc, *LABELS, *UNIT, "--golden", str(file), "--golden-label", wrong)
    assert done.exit_code == 1
    assert f"the model answers '{best}'" in done.stderr
    assert "--labels, --preprocessing" in done.stderr


def test_what_onboarding_would_refuse_is_not_written(tmp_path: Path) -> None:
    class Reads(Network):
        def scores(self, image: Any) -> Mapping[str, Any]:
            name = tf.strings.join(["/etc/", "hostname"])
            size = tf.cast(tf.strings.length(tf.io.read_file(name)), tf.float32)
            return super().scores(image + 0 * size)

    source = save(tmp_path / "reads", Reads(), [None, 48])
    done = pack(source, *LABELS, *UNIT)
    assert done.exit_code == 1
    assert "not written, onboarding would reject it:" in done.stdout
    assert "ReadFile" in done.stdout
    assert not (tmp_path / "model.tar.gz").exists()
    assert json.loads(pack(source, *LABELS, *UNIT, "--json").stdout)["violations"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--model", "Not A Name"), "--model Not A Name: use a-z"),
        (("--golden-label", "a"), "needs --golden"),
        (("--golden", "nowhere.png"), "nowhere.png"),
        (("--out", "nowhere/model.tar.gz"), "there is no folder nowhere"),
    ],
)
def test_options_that_cannot_be(hwc: Path, options: tuple[str, ...], problem: str) -> None:
    done = pack(hwc, *LABELS, *UNIT, *options)
    assert done.exit_code == 1
    assert problem in done.stderr


def test_somebody_else_s_mnist_packs(data: Path, tmp_path: Path) -> None:
    source = data / "saved_models" / "tf-bridge-mnist"
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    out = tmp_path / "model.tar.gz"
    options = ["--signature", "predict_images", "--labels", "0,1,2,3,4,5,6,7,8,9", *UNIT]
    done = CliRunner().invoke(app, ["pack", str(source), "-o", str(out), *options, "--json"])
    assert done.exit_code == 0, done.output
    expected = json.loads(done.stdout)
    given = expected["manifest"]["input"]
    assert (given["tensor"], given["layout"]) == ("images", "flat")
    assert (given["height"], given["width"], given["channels"]) == (28, 28, 1)
    output = {"tensor": "scores", "activation": "softmax", "binary": False}
    assert expected["manifest"]["output"] == output
    assert expected["lite"].startswith("answers as the SavedModel does")
