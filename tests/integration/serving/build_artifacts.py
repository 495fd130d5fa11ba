"""Make small artifacts with TensorFlow: `python build_artifacts.py <folder>`.

classifier: pictures of 8 by 8 pixels, 4 scores, as the training exports them (strings of raw
bytes; a LiteRT twin takes uint8).  plain: the same without the twin.  large: a twin of 5 MB.
several: two signatures, several tensors, strings among them.
"""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


class Classifier(tf.Module):
    def __init__(self, side: int, labels: int) -> None:
        super().__init__()
        shape = (side * side * 3, labels)
        weights = np.resize(np.random.default_rng(0).normal(size=1000).astype(np.float32), shape)
        self.side = side
        self.weights = tf.Variable(weights)

    def scores(self, pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.cast(tf.reshape(pictures, [-1, self.side * self.side * 3]), tf.float32) / 255.0
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
    pictures = tf.TensorSpec([None, classifier.side, classifier.side, 3], tf.uint8, "image")
    twin = classifier.from_pixels.get_concrete_function(pictures)
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


def main(folder: Path) -> None:
    export(Classifier(8, 4), folder / "classifier")
    export(Classifier(64, 102), folder / "large")
    shutil.copytree(folder / "classifier", folder / "plain")
    shutil.rmtree(folder / "plain" / "1" / "assets.extra")
    several = Several()
    signatures = {"serving_default": several.both, "twice": several.twice}
    tf.saved_model.save(several, str(folder / "several" / "1"), signatures=signatures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
