"""What one would write without Facet: a dense layer on a frozen backbone, in plain Keras.

    python -m benchmarks.few.baselines DATA WEIGHTS ALPHA SEED

`DATA` has the folders `train` and `test`; `WEIGHTS` is a file of MobileNet's without its top, or
`imagenet`. Prints the accuracy on `test`.
"""

import sys
from pathlib import Path

import keras
import tensorflow as tf

SIDE = 224
EPOCHS = 10


def transfer(data: Path, backbone: keras.Model) -> float:
    """A dense layer on the frozen backbone, ten epochs of Adam: keras.io/guides/transfer_learning.

    The features are computed anew in every epoch.
    """
    train, test = _images(data / "train", shuffle=True), _images(data / "test", shuffle=False)
    network = keras.Sequential(
        [
            backbone,
            keras.layers.Dropout(0.2),
            keras.layers.Dense(len(train.class_names), activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(train, epochs=EPOCHS, shuffle=False, verbose=0)  # the set is shuffled already
    return float(network.evaluate(test, return_dict=True, verbose=0)["accuracy"])


def _images(folder: Path, *, shuffle: bool) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), shuffle=shuffle, verbose=False
    )


def frozen(weights: str, alpha: float) -> keras.Model:
    """MobileNet: pixels in 0..255 → pooled features."""
    pixels = keras.Input((SIDE, SIDE, 3))
    base = keras.applications.MobileNet(
        input_shape=(SIDE, SIDE, 3),
        alpha=alpha,
        include_top=False,
        pooling="avg",
        weights="imagenet" if weights == "imagenet" else None,
    )
    if weights != "imagenet":
        base.load_weights(weights)
    network = keras.Model(pixels, base(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)))
    network.trainable = False
    return network


def main() -> None:
    """Trains, and prints the accuracy."""
    data, weights, alpha, seed = sys.argv[1:]
    keras.utils.set_random_seed(int(seed))
    print(transfer(Path(data), frozen(weights, float(alpha))))


if __name__ == "__main__":
    main()
