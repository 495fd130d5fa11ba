"""facet/heads/calibration.py: the temperature, its error, and predictions that it keeps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.calibration import (
    BINS,
    LogProbabilities,
    Reliability,
    cross_tempered,
    fit_temperature,
    tempered,
)

Sampled = tuple[LogProbabilities, NDArray[np.int64]]


def sampled(labels: int, count: int = 4000, seed: int = 0) -> Sampled:
    """Logarithms of scores, and classes that are drawn with those probabilities."""
    random = np.random.default_rng(seed)
    rows = tempered(random.normal(scale=2, size=(count, labels)), 1)
    classes = (np.exp(rows).cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return rows, np.minimum(classes, labels - 1)


@pytest.mark.parametrize("labels", [2, 10])
@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_temperature_undoes_a_factor_of_the_logits(labels: int, factor: float) -> None:
    """Scores that were too low or too high by it are right again."""
    rows, classes = sampled(labels)
    wrong = tempered(rows, 1 / factor)
    found = fit_temperature(wrong, classes)
    assert found == pytest.approx(factor, rel=0.06)
    before, after = Reliability.of(wrong, classes), Reliability.of(tempered(wrong, found), classes)
    assert after.error < 0.03
    if factor != 1:
        assert before.error > 2 * after.error


def test_the_error_is_the_distance_of_score_and_accuracy_in_bins_of_equal_width() -> None:
    scores = np.array([[0.95, 0.05], [0.94, 0.06], [0.06, 0.94], [0.55, 0.45]])
    measured = Reliability.of(np.log(scores), np.array([0, 1, 1, 1]))
    assert (BINS, measured.images.sum()) == (15, 4)
    assert (measured.images[14], measured.correct[14]) == (3, 2)
    assert (measured.images[8], measured.correct[8]) == (1, 0)
    assert measured.error == pytest.approx((abs(2 - 2.83) + 0.55) / 4)
    assert measured.document["bins"] == [
        {"from": 0.5333, "to": 0.6, "images": 1, "correct": 0, "mean_score": 0.55},
        {"from": 0.9333, "to": 1.0, "images": 3, "correct": 2, "mean_score": 0.9433},
    ]


def test_a_score_of_one_is_in_the_last_bin() -> None:
    measured = Reliability.of(np.log(np.array([[1.0, 1e-30]])), np.array([0]))
    assert (measured.images[-1], measured.error) == (1, 0)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 20])
def test_no_prediction_changes(temperature: float) -> None:
    rows, _ = sampled(10)
    assert (tempered(rows, temperature).argmax(axis=1) == rows.argmax(axis=1)).all()
    np.testing.assert_allclose(np.exp(tempered(rows, temperature)).sum(axis=1), 1)


def test_two_labels_are_a_sigmoid_of_their_difference() -> None:
    rows, _ = sampled(2)
    difference = rows[:, 1] - rows[:, 0]
    np.testing.assert_allclose(
        np.exp(tempered(rows, 0.6))[:, 1], 1 / (1 + np.exp(-difference / 0.6))
    )


@pytest.mark.parametrize("count", [3, 30, 300])
def test_a_network_that_was_always_right_is_not_certain(count: int) -> None:
    rows = tempered(np.tile([3.0, 1.0, 0.0], (count, 1)), 1)
    found = fit_temperature(rows, np.zeros(count, np.int64))
    doubt = 1 - np.exp(tempered(rows, found))[0, 0]
    assert 0.2 / (count + 2) < doubt < 1.5 / (count + 2)


def test_an_image_has_no_part_in_the_temperature_that_measures_it() -> None:
    rows, classes = sampled(3, count=7)
    first = cross_tempered(rows, classes)
    classes[::2] = (classes[::2] + 1) % 3
    np.testing.assert_array_equal(cross_tempered(rows, classes)[::2], first[::2])
    assert not np.array_equal(cross_tempered(rows, classes)[1::2], first[1::2])
    np.testing.assert_array_equal(cross_tempered(rows[:1], classes[:1]), rows[:1])
