"""Make small artifacts with TensorFlow: `python build_artifacts.py <folder>`.

classifier: images of 8 by 8 pixels, 4 scores, as the training exports them (strings of raw
bytes; a LiteRT twin takes uint8).  plain: the same without the twin.  large: a twin of 5 MB.
several: two signatures, several tensors, strings among them.
floats: logits of float32 images, for TensorFlow alone.  quantised-uint8, quantised-int8: the same
SavedModel with a LiteRT twin whose input and output are integers.

dropout, statistics, numbered, single: float32 images of 8 by 8 pixels, whose answers depend on
chance, on the other images, on their place, and that only single images get; statistics and single
have a LiteRT twin, too.

Third-party: tf1: TensorFlow 1, variables in two shards, signature `predict_images` alone.
words: a vocabulary in an asset.  shards: variables in three shards.  half_plus_two: as in
TensorFlow Serving's tests, with signatures to predict, classify and regress.
Troublesome: abort: loading ends the process.  waiting: answers when the file in its input exists.
hungry: allocates 4 kB for each of the `rows` in its input.  greedy: allocates 12 GB when it is
loaded.  The last two exist for LiteRT too: hungry-lite, greedy-lite.
huge: as large and as slow as a VGG16, for LiteRT alone.
Endless: endless, endless-lite: compute for ever if an input is over 200. endless-load,
endless-load-lite: load for ever.
"""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

MUCH = (30_000, 100_000)  # float32: 12 GB


class Classifier(tf.Module):
    def __init__(self, side: int, labels: int) -> None:
        super().__init__()
        shape = (side * side * 3, labels)
        weights = np.resize(np.random.default_rng(0).normal(size=1000).astype(np.float32), shape)
        self.side = side
        self.weights = tf.Variable(weights)

    def scores(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.cast(tf.reshape(images, [-1, self.side * self.side * 3]), tf.float32) / 255.0
        return {"scores": tf.nn.softmax(values @ self.weights)}

    @tf.function
    def from_bytes(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        decoded = tf.io.decode_raw(image, tf.uint8)
        return self.scores(tf.reshape(decoded, [-1, self.side, self.side, 3]))

    @tf.function
    def from_pixels(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.scores(image)


class Several(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "numbers"),
            tf.TensorSpec([None], tf.string, "word"),
        ]
    )
    def both(self, numbers: tf.Tensor, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(numbers, 1), "text": tf.strings.upper(word)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "x")])
    def twice(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2 * x}


def export(classifier: Classifier, folder: Path) -> None:
    version = folder / "1"
    images = tf.TensorSpec([None, classifier.side, classifier.side, 3], tf.uint8, "image")
    twin = classifier.from_pixels.get_concrete_function(images)
    tf.saved_model.save(classifier, str(folder / "twin"), signatures=twin)
    lite = tf.lite.TFLiteConverter.from_saved_model(str(folder / "twin")).convert()
    shutil.rmtree(folder / "twin")
    strings = tf.TensorSpec([None], tf.string, "image")
    tf.saved_model.save(
        classifier,
        str(version),
        signatures=classifier.from_bytes.get_concrete_function(strings),
    )
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "model.tflite").write_bytes(lite)


class Floats(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(np.random.default_rng(0).normal(0, 0.1, (192, 4)).astype("f"))

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def logits(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": tf.reshape(image / 255.0, [-1, 192]) @ self.weights}


class Training(Floats):
    """Networks exported as in training, by their signature's name."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def dropout(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.nn.dropout(tf.reshape(image / 255.0, [-1, 192]), 0.5)
        return {"scores": values @ self.weights}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def statistics(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.reshape(image / 255.0, [-1, 192]) @ self.weights
        mean, variance = tf.nn.moments(values, 0)
        return {"scores": (values - mean) * tf.math.rsqrt(variance + 1e-3)}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def numbered(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.reshape(image / 255.0, [-1, 192]) @ self.weights
        places = tf.one_hot(tf.range(tf.shape(values)[0]), 4) * 3.0
        return {"scores": values + tf.reverse(places, [0])}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def single(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": tf.reshape(image / 255.0, [1, 192]) @ self.weights}


def training(folder: Path) -> None:
    module = Training()
    for name in ("dropout", "statistics", "numbered", "single"):
        saved = folder / name / "1"
        tf.saved_model.save(module, str(saved), signatures=getattr(module, name))
        if name in ("statistics", "single"):
            converted = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
            shutil.copytree(folder / name, folder / f"{name}-lite")
            extra = folder / f"{name}-lite" / "1" / "assets.extra"
            extra.mkdir()
            (extra / "model.tflite").write_bytes(converted)


def quantised(folder: Path) -> None:
    module = Floats()
    saved = folder / "floats" / "1"
    tf.saved_model.save(module, str(saved), signatures=module.logits)

    def calibration() -> Iterator[list[Any]]:
        for column in (*module.weights.numpy().T, *-module.weights.numpy().T):
            yield [np.where(column > 0, 255, 0).reshape(1, 8, 8, 3).astype("f")]  # the extremes

    for dtype in (tf.uint8, tf.int8):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype
        version = folder / f"quantised-{dtype.name}" / "1"
        shutil.copytree(saved, version)
        (version / "assets.extra").mkdir()
        (version / "assets.extra" / "model.tflite").write_bytes(converter.convert())


class Words(tf.Module):
    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        vocabulary.write_text("cat\ndog\nship\n")
        rows = tf.lookup.TextFileInitializer(
            str(vocabulary),
            *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
        )
        self.table = tf.lookup.StaticHashTable(rows, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def look_up(self, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"row": self.table.lookup(word)}


class Shards(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [tf.Variable(tf.fill([1000], float(each))) for each in range(3)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x + sum(part[0] for part in self.parts)}


class Waiting(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1], tf.string, "file")])
    def wait(self, file: tf.Tensor) -> dict[str, tf.Tensor]:
        turns = tf.constant(0)
        while (
            tf.size(
                tf.io.matching_files(file[0] + tf.strings.substr(tf.strings.as_string(turns), 0, 0))
            )
            == 0
        ):
            turns += 1
        return {"turns": tf.reshape(turns, [1])}


class Hungry(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1], tf.int32, "rows")])
    def eat(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        eaten = tf.fill(tf.concat([rows, [1000]], 0), 1.0)
        return {"sum": tf.reshape(tf.reduce_sum(tf.cumsum(eaten, 1)), [1])}


class Greedy(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1, 1], tf.float32, "x")])
    def eat(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reshape(tf.reduce_sum(tf.cumsum(tf.broadcast_to(x, MUCH), 1)), [1])}


class Endless(tf.Module):
    """Computes for ever if an input is `over`; LiteRT computes zeros while it loads."""

    def __init__(self, over: float) -> None:
        super().__init__()
        self.over = over

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def eat(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        turns = tf.constant(0.0)
        while tf.reduce_max(x) + turns > self.over:
            turns = turns * 0.5
        return {"y": x + turns}


def endless_init() -> Any:
    """A loop that runs when the SavedModel is loaded."""
    return tf.compat.v1.while_loop(
        lambda turns: turns < 1.0, lambda turns: turns * 0.5, [tf.constant(0.0)]
    ).op


def tf1(folder: Path, main_op: Callable[[], Any] | None = None) -> None:
    """A model of TensorFlow 1 as its builder wrote it; `main_op` runs when it is loaded."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, 4], "images")
        with v1.device("/cpu:0"):
            weights = v1.get_variable("weights", initializer=np.eye(4, 3, dtype=np.float32))
        with v1.device("/cpu:1"):
            bias = v1.get_variable("bias", initializer=np.array([1, 2, 3], np.float32))
        scores = tf.nn.softmax(images @ weights + bias)
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def(
            {"images": info(images)}, {"scores": info(scores)}, "tensorflow/serving/predict"
        )
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"predict_images": signature},
            clear_devices=True,
            saver=v1.train.Saver(sharded=True),
            main_op=None if main_op is None else main_op(),
        )
        builder.save()


def half_plus_two(folder: Path) -> None:
    """0.5 x + 2 for x [?, 1], or from the feature `x` of tf.Example strings."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        strings = v1.placeholder(tf.string, name="tf_example")
        features = {"x": tf.io.FixedLenFeature([1], tf.float32, [0.0])}
        x = tf.identity(tf.io.parse_example(strings, features)["x"], "x")
        half = v1.get_variable("half", initializer=0.5)
        y = x * half + 2.0
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info

        def signature(inputs: Any, outputs: Any, method: str) -> Any:
            return v1.saved_model.build_signature_def(
                {name: info(tensor) for name, tensor in inputs.items()},
                {name: info(tensor) for name, tensor in outputs.items()},
                f"tensorflow/serving/{method}",
            )

        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature({"x": x}, {"y": y}, "predict"),
                "from_examples": signature({"inputs": strings}, {"y": y}, "predict"),
                "classify_x_to_y": signature({"inputs": strings}, {"scores": y}, "classify"),
                "regress_x_to_y": signature({"inputs": strings}, {"outputs": y}, "regress"),
            },
        )
        builder.save()


def lite(module: tf.Module, folder: Path) -> None:
    """The LiteRT version alone, of a module with one signature `eat`."""
    scratch = folder / "saved"
    tf.saved_model.save(module, str(scratch), signatures=module.eat)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(scratch)).convert()
    shutil.rmtree(scratch)
    extra = folder / "1" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "model.tflite").write_bytes(converted)


def third_party(folder: Path) -> None:
    tf1(folder / "tf1" / "1")
    half_plus_two(folder / "half_plus_two" / "00000123")
    vocabulary = folder / "vocabulary.txt"
    words = Words(vocabulary)
    tf.saved_model.save(words, str(folder / "words" / "1"), signatures=words.look_up)
    vocabulary.unlink()
    shards = Shards()
    by_size = tf.train.experimental.MaxShardSizePolicy(4096)
    tf.saved_model.save(
        shards,
        str(folder / "shards" / "1"),
        signatures=shards.total,
        options=tf.saved_model.SaveOptions(experimental_sharding_callback=by_size),
    )


def troublesome(folder: Path) -> None:
    tf1(folder / "abort" / "1", lambda: tf.raw_ops.Abort(error_msg="on purpose"))
    tf1(folder / "greedy" / "1", lambda: tf.reduce_sum(tf.random.uniform(MUCH)).op)
    lite(Greedy(), folder / "greedy-lite")
    waiting = Waiting()
    tf.saved_model.save(waiting, str(folder / "waiting" / "1"), signatures=waiting.wait)
    hungry = Hungry()
    tf.saved_model.save(hungry, str(folder / "hungry" / "1"), signatures=hungry.eat)
    lite(hungry, folder / "hungry-lite")


class Huge(tf.Module):
    """As many weights as VGG16's convolutions: 57 MB, and 3.6 billion products for an image."""

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        shapes = [(3, 3, 3, 512), *[(3, 3, 512, 512)] * 6]
        self.kernels = [random.normal(0, 0.01, shape).astype("f") for shape in shapes]

    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.uint8, "image")])
    def eat(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.cast(image, tf.float32)
        for kernel in self.kernels:
            values = tf.nn.relu(tf.nn.conv2d(values, kernel, 1, "SAME"))
        return {"scores": tf.reduce_mean(values, [1, 2])}


def endless(folder: Path) -> None:
    marked = Endless(over=200.0)
    tf.saved_model.save(marked, str(folder / "endless" / "1"), signatures=marked.eat)
    lite(marked, folder / "endless-lite")
    tf1(folder / "endless-load" / "1", endless_init)
    lite(Endless(over=-1.0), folder / "endless-load-lite")


def main(folder: Path) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    quantised(folder)
    training(folder)
    third_party(folder)
    troublesome(folder)
    endless(folder)
    lite(Huge(), folder / "huge")
    export(Classifier(8, 4), folder / "classifier")
    export(Classifier(64, 102), folder / "large")
    shutil.copytree(folder / "classifier", folder / "plain")
    shutil.rmtree(folder / "plain" / "1" / "assets.extra")
    several = Several()
    signatures = {"serving_default": several.both, "twice": several.twice}
    tf.saved_model.save(several, str(folder / "several" / "1"), signatures=signatures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
