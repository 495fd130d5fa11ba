"""Calibration of a network: its logits, and the images that its temperature is fitted to."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.calibration import LogProbabilities, tempered
from training.dataset import Dataset, ImageSet
from training.evaluate import Evaluation, calibrate, calibrated


def sampled(count: int) -> tuple[LogProbabilities, NDArray[np.int64]]:
    """Logarithms of scores of three labels, and classes drawn with those probabilities."""
    random = np.random.default_rng(0)
    rows = tempered(random.normal(scale=2, size=(count, 3)), 1)
    classes = (np.exp(rows).cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return rows, np.minimum(classes, 2)


def test_a_calibrated_network_has_the_same_weights_and_divided_logits() -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((2, 2, 3))
    network = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))
    pixels = np.random.default_rng(1).normal(size=(5, 2, 2, 3)).astype(np.float32)
    divided = calibrated(network, 0.8)
    np.testing.assert_allclose(divided(pixels), np.asarray(network(pixels)) / 0.8, rtol=1e-6)
    assert [each.path for each in divided.weights] == [each.path for each in network.weights]


FACTORS = {"validation": 2.0, "test": 0.5}


@pytest.mark.parametrize(
    ("images", "fitted_on"),
    [
        ({"validation": 900}, "validation"),
        ({"validation": 900, "test": 900}, "test"),
        ({"validation": 900, "test": 100}, "test"),
        ({"validation": 900, "test": 99}, "validation"),
        ({"validation": 99, "test": 98}, "test"),
    ],
)
def test_images_that_did_not_choose_the_epoch_are_preferred(
    images: dict[str, int], fitted_on: str
) -> None:
    sets, evaluations = {}, {}
    for name, count in images.items():
        rows, classes = sampled(count)
        sets[name] = ImageSet(np.zeros((count, 1, 1, 3), np.uint8), classes)
        evaluations[name] = Evaluation.of(tempered(rows, FACTORS[name]), classes)
    data = Dataset(("a", "b", "c"), sets["validation"], sets["validation"], sets.get("test"))
    found = calibrate(evaluations, data)
    assert found.fitted_on == fitted_on
    assert found.temperature == pytest.approx(1 / FACTORS[fitted_on], rel=0.4)
    assert list(found.after) == list(images)
    for name in images:
        assert (found.after[name].confusion == found.before[name].confusion).all()
    assert found.after[fitted_on].loss < found.before[fitted_on].loss
