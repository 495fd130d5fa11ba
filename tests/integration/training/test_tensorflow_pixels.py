"""Facet's input for a model that TensorFlow or Keras prepared the images for."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from facet import preprocess
from facet.resizing.tensorflow import METHODS
from facet.specs import InputSpec
from training.export.graph import normalise

CLOSE = 5e-4
"""Of 255: float32 has 24 bits, and the sums are in another order."""


def spec(height: int, width: int, **changes: object) -> InputSpec:
    return InputSpec.model_validate({"tensor": "x", "height": height, "width": width} | changes)


def drawn(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    random = np.random.default_rng(height * width)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


def pixels(wanted: InputSpec, image: NDArray[np.uint8]) -> preprocess.Pixels:
    grey = image.shape[2] == 1
    found = preprocess.geometry(wanted, Image.fromarray(image[..., 0] if grey else image))
    assert found.dtype == np.float32
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", [(37, 53, 3), (240, 320, 1), (17, 9, 3), (1, 50, 3), (1, 1, 1)])
def test_tf_image_resize(method: str, source: tuple[int, int, int]) -> None:
    image = drawn(*source)
    antialias = method.endswith("-antialias")
    name = method.removeprefix("tf-").removesuffix("-antialias")
    for height, width in ((32, 32), (20, 31), (111, 8), (224, 150), (1, 1)):
        expected = tf.image.resize(image, (height, width), method=name, antialias=antialias)
        wanted = spec(height, width, resize=method, channels=source[2])
        assert np.abs(pixels(wanted, image) - expected.numpy()).max() < CLOSE


@pytest.mark.parametrize("crop", [False, True], ids=["stretch", "crop_to_aspect_ratio"])
@pytest.mark.parametrize("size", [(32, 32), (20, 48)])
def test_image_dataset_from_directory(crop: bool, size: tuple[int, int], tmp_path: Path) -> None:
    files = [tmp_path / "a" / f"{number}.png" for number in range(3)]
    files[0].parent.mkdir()
    for file, shape in zip(files, ((41, 90), (77, 30), (100, 100)), strict=True):
        Image.fromarray(drawn(*shape)).save(file)
    trained = keras.utils.image_dataset_from_directory(
        tmp_path,
        labels=None,
        image_size=size,
        shuffle=False,
        crop_to_aspect_ratio=crop,
        batch_size=3,
        verbose=False,
    )
    wanted = spec(*size, resize="tf-bilinear", fit="crop" if crop else "stretch")
    for file, expected in zip(files, next(iter(trained)).numpy(), strict=True):
        found = preprocess.apply(wanted, preprocess.decode(wanted, file.read_bytes()))
        assert np.abs(found - expected).max() < CLOSE


@pytest.mark.parametrize("shape", [(41, 90), (77, 30), (100, 101), (5, 200)])
def test_resize_with_pad(shape: tuple[int, int]) -> None:
    image = drawn(*shape)
    expected = tf.image.resize_with_pad(image, 33, 47).numpy()
    wanted = spec(33, 47, resize="tf-bilinear", fit="pad")
    assert np.abs(pixels(wanted, image) - expected).max() < CLOSE


@pytest.mark.parametrize("shape", [(70, 90), (97, 64)])
def test_resizing_then_center_crop(shape: tuple[int, int]) -> None:
    image = drawn(*shape)
    resized = tf.image.resize(image, (64, 64))
    expected = keras.layers.CenterCrop(51, 56)(resized[None])[0]
    wanted = spec(51, 56, resize="tf-bilinear", resize_to=64)
    assert np.abs(pixels(wanted, image) - np.asarray(expected)).max() < CLOSE


@pytest.mark.parametrize("encoding", ["float", "uint8"])
def test_per_image_standardization(encoding: str) -> None:
    wanted = spec(8, 9, per_image_standardization=True, scale=1 / 255, encoding=encoding)
    batch = np.stack([drawn(8, 9), np.full((8, 9, 3), 7, np.uint8)])
    expected = tf.image.per_image_standardization(batch.astype(np.float32) / 255).numpy()
    assert np.abs(normalise(wanted, batch).numpy() - expected).max() < 1e-4
    assert np.abs(preprocess.normalise(wanted, batch) - expected).max() < 1e-4
