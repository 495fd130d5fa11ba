"""What the SavedModels of artifacts answer: `python saved_model_answers.py OUT FOLDER...`.

Writes the scores of each unpacked artifact's SavedModel for the same three images into OUT (npz),
by the folder's place. Needs TensorFlow and NumPy alone, so that any version of them can run it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

IMAGES = 3


def scores(folder: Path) -> Any:
    """float32 (3, labels) answers of the signature that the manifest names."""
    manifest = json.loads((folder / "facet.json").read_text())
    given = manifest["input"]
    function = tf.saved_model.load(str(folder / "1")).signatures[given["signature"]]
    size = (IMAGES, given["height"], given["width"], given.get("channels", 3))
    pixels = np.random.default_rng(20).integers(0, 256, size, dtype=np.uint8)
    (_, arguments) = function.structured_input_signature
    spec = arguments[given["tensor"]]
    if spec.dtype == tf.string:
        values = tf.constant([image.tobytes() for image in pixels])
    else:
        values = tf.constant(pixels.reshape([IMAGES, *spec.shape[1:]]) / 255, spec.dtype)
    return np.asarray(function(**{given["tensor"]: values})[manifest["output"]["tensor"]])


def main(out: str, folders: Sequence[str]) -> None:
    np.savez(out, *[scores(Path(folder)) for folder in folders])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
