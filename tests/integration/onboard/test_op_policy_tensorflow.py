"""Screening of what TensorFlow itself writes. Skipped where it is not installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facet.artifact.graphs import op_policy
from facet.artifact.graphs.graph import read
from facet.artifact.graphs.ops import ALLOWED, SAVE_RESTORE

PLACE = "1/saved_model.pb"

DANGEROUS = """
    Abort AnonymousIterator Barrier Batch BatchFunction CollectiveReduceV2
    CreateSummaryFileWriter DataServiceDatasetV4 DatasetFromGraph DebugIdentityV2
    DebugNumericSummary DecodeProtoV2 EagerPyFunc EncodeProto FIFOQueueV2
    FileSystemSetConfiguration FixedLengthRecordReaderV2 GenerateVocabRemapping
    GetSessionHandleV2 IdentityReaderV2 ImmutableConst InitializeTableFromDataset
    InitializeTableFromTextFile InitializeTableFromTextFileV2 IteratorFromStringHandleV2
    LMDBReader LoadAndRemapMatrix LoadDataset LookupTableInsertV2 MapDefun MatchingFiles
    MutexLock OneShotIterator OutfeedEnqueue PrintV2 PyFunc PyFuncStateless QueueDequeueV2
    ReadFile ReaderReadV2 RemoteCall SaveDatasetV2 SnapshotDatasetV2 SqlDataset Stage
    SymbolicGradient TFRecordDatasetV2 TFRecordReaderV2 TextLineDataset TextLineReaderV2
    WholeFileReader WholeFileReaderV2 WriteFile WriteSummary
"""
HIDDEN = """
    Recv RpcCall Send TPUExecute XlaCallModule XlaCustomCallV2 XlaHostCompute XlaLaunch
"""
"""Dangerous too, and in no list that TensorFlow publishes."""

KINDS = """
    Dataset Iterator Reader File PyFunc Rpc Summary Xla TPU Queue Collective Nccl Session Debug
    Print Stage Barrier Infeed Outfeed
"""
"""Parts of names of ops that leave the graph, or wait for others."""

Export = Callable[[Any, str], None]


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make tensorflow")


def test_every_op_of_the_list_is_tensorflows(tf: Any) -> None:
    real = {name for name in dir(tf.raw_ops) if name[0].isupper()}
    assert real >= ALLOWED | SAVE_RESTORE


def test_no_dangerous_op_is_in_the_list(tf: Any) -> None:
    real = {name for name in dir(tf.raw_ops) if name[0].isupper()}
    assert {*DANGEROUS.split()} <= real
    assert not ALLOWED & {*DANGEROUS.split(), *HIDDEN.split()}


@pytest.mark.parametrize("kind", KINDS.split())
def test_no_op_of_a_kind_that_leaves_the_graph_is_in_the_list(kind: str) -> None:
    assert not [name for name in ALLOWED if kind in name]


def test_an_augmenting_network_in_training_mode(tf: Any, tmp_path: Path) -> None:
    keras = tf.keras
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.RandomFlip(),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomContrast(0.2),
            keras.layers.RandomBrightness(0.2),
            keras.layers.Resizing(8, 8),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="gelu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )

    def predict(image: Any) -> Any:
        return {"scores": network(image, training=True)}

    module = tf.Module()
    module.variables_of_it = network.variables
    module.predict = tf.function(predict, input_signature=[tf.TensorSpec((None, 16, 16, 3))])
    tf.saved_model.save(module, str(tmp_path), signatures=module.predict)
    assert _found(tmp_path) == []


def test_a_network_that_decodes_images_and_names_labels(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.weights = tf.Variable(tf.ones((192, 2)))
    module.labels = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.range(2, dtype=tf.int64), ["cat", "dog"]), "?"
    )

    def one(data: Any) -> Any:
        return tf.image.resize(tf.io.decode_jpeg(data, 3), (8, 8), antialias=True)

    def predict(image: Any) -> Any:
        pixels = tf.map_fn(one, tf.io.decode_base64(image), fn_output_signature=tf.float32)
        scores = tf.nn.softmax(tf.reshape(pixels, (-1, 192)) @ module.weights)
        return {"scores": scores, "label": module.labels.lookup(tf.argmax(scores, 1))}

    module.predict = tf.function(predict, input_signature=[tf.TensorSpec((None,), tf.string)])
    tf.saved_model.save(module, str(tmp_path), signatures=module.predict)
    assert _found(tmp_path) == []


def test_a_model_of_tensorflow_1(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 4))
        scores = tf.nn.softmax(image @ v1.get_variable("w", (4, 3), use_resource=False))
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"image": image}, {"scores": scores})
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.add_meta_graph(["serve", "gpu"], {"serving_default": signature})
        builder.save()
    assert _found(tmp_path / "model") == []


def write_in_a_dataset(tf: Any, path: str) -> None:
    def write(each: Any) -> Any:
        tf.io.write_file(path, tf.as_string(each))
        return each

    for each in tf.data.Dataset.range(1).map(write):
        tf.debugging.assert_equal(each, each)


def read_whole_files(tf: Any, path: str) -> None:
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.string])
    tf.raw_ops.ReaderReadV2(reader_handle=tf.raw_ops.WholeFileReaderV2(), queue_handle=queue)
    assert path


def list_files(tf: Any, path: str) -> None:
    tf.io.matching_files(path)


def print_to_a_file(tf: Any, path: str) -> None:
    tf.print("text", output_stream=f"file://{path}")


def call_python(tf: Any, path: str) -> None:
    tf.py_function(open, [path, "w"], [])


def save_tensors(tf: Any, path: str) -> None:
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["t"], shape_and_slices=[""], tensors=[[1]])


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (write_in_a_dataset, {"WriteFile", "MapDataset", "ReduceDataset"}),
        (read_whole_files, {"WholeFileReaderV2", "FIFOQueueV2", "ReaderReadV2"}),
        (list_files, {"MatchingFiles"}),
        (print_to_a_file, {"PrintV2"}),
        (call_python, {"EagerPyFunc"}),
        (save_tensors, {"SaveV2"}),
    ],
)
def test_rejects_what_other_scanners_miss(
    tf: Any, tmp_path: Path, act: Export, expected: set[str]
) -> None:
    def predict(image: Any) -> Any:
        act(tf, "/nowhere/file")
        return {"scores": tf.nn.softmax(image)}

    module = tf.Module()
    module.predict = tf.function(predict, input_signature=[tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, str(tmp_path), signatures=module.predict)
    assert expected <= set(_found(tmp_path))


def _found(folder: Path) -> list[str]:
    """The ops that are refused."""
    data = (folder / "saved_model.pb").read_bytes()
    return [
        each.problem.split("'")[1]
        for each in op_policy.check_saved_model(PLACE, read(data), frozenset())
    ]
