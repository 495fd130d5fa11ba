"""Fitting: repeatable, one line per epoch, and every recipe learns from one step to the next."""

import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from facet import preprocess
from facet.manifest import InputSpec
from training.augment import Augmentation
from training.dataset import Dataset, Pictures
from training.fit import evaluate, fit, training_batches
from training.graph import normalised
from training.recipes import RECIPES, Hyperparameters, Recipe

LINE = re.compile(
    r"epoch=(\d+) loss=\d+\.\d{4} accuracy=\d\.\d{4} "
    r"val_loss=\d+\.\d{4} val_accuracy=\d\.\d{4} seconds=\d+\.\d"
)


def pictures(spec: InputSpec, count: int, seed: int) -> Pictures:
    """Noise that is bright in the upper half (class 0) or in the lower half (class 1)."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 100, (count, spec.height, spec.width, 3), dtype=np.uint8)
    classes = np.arange(count) % 2
    pixels[classes == 0, : spec.height // 2] += 120
    pixels[classes == 1, spec.height // 2 :] += 120
    return Pictures(pixels, classes)


def dataset(spec: InputSpec, count: int = 24) -> Dataset:
    return Dataset(("up", "down"), pictures(spec, count, 1), pictures(spec, 6, 2), None)


def settings(recipe: Recipe, **changes: int) -> Hyperparameters:
    return recipe.defaults.model_copy(update={"batch_size": 8} | changes)


def small(recipe: Recipe) -> Recipe:
    """The recipe on pictures of 16 x 16."""
    return replace(recipe, spec=recipe.spec.model_copy(update={"height": 16, "width": 16}))


def tiny(spec: InputSpec, labels: int) -> keras.Model:
    """A network that is quick to compile and has a random part."""
    picture = values = keras.Input((spec.height, spec.width, spec.channels))
    values = keras.layers.Dropout(0.5)(keras.layers.AveragePooling2D(4)(values))
    return keras.Model(picture, keras.layers.Dense(labels)(keras.layers.Flatten()(values)))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_learns_and_reports_each_epoch(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = small(RECIPES[name])
    data = dataset(recipe.spec)
    fitted = fit(recipe, data, settings(recipe, epochs=4))
    lines = capsys.readouterr().out.splitlines()
    assert [match[1] for match in map(LINE.fullmatch, lines) if match] == ["1", "2", "3", "4"]
    assert fitted.network.output_shape == (None, 2)
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    measured = evaluate(fitted.network, data.validation, recipe.spec)
    assert measured["loss"] == pytest.approx(fitted.history["val_loss"][-1], rel=1e-4)
    assert measured["accuracy"] == pytest.approx(fitted.history["val_accuracy"][-1])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    recipe = replace(small(RECIPES["cifar10"]), network=tiny)
    data = dataset(recipe.spec, 16)
    one, same, other = (
        fit(recipe, data, settings(recipe, epochs=2, seed=seed)).network.get_weights()
        for seed in (4, 4, 5)
    )
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_every_epoch_has_each_picture_once_in_another_order() -> None:
    recipe = replace(
        small(RECIPES["cifar10"]),
        augmentation=Augmentation(),
        spec=InputSpec(tensor="image", encoding="uint8", height=1, width=1),
    )
    pixels = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    train = Pictures(pixels, np.arange(20) % 2)
    batches = training_batches(Dataset(("a", "b"), train, train, None), recipe, settings(recipe))
    epochs = [[(x.numpy(), y.numpy()) for x, y in batches] for _ in range(2)]
    order = [np.concatenate([x[:, 0, 0, 0] for x, _ in epoch]) for epoch in epochs]
    targets = np.concatenate([y for _, y in epochs[0]])
    assert [len(x) for x, _ in epochs[0]] == [8, 8, 4]
    assert sorted(order[0]) == sorted(order[1]) == list(range(20))
    assert order[0].tolist() != order[1].tolist()
    assert (targets.argmax(axis=1) == order[0] % 2).all()


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
    pixels = pictures(spec, 3, 9).pixels
    np.testing.assert_allclose(
        normalised(spec, tf.constant(pixels)), preprocess.normalise(spec, pixels), atol=1e-6
    )
