"""facet/heads/familiarity.py: how much an image is like those of the teaching."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.familiarity import UNSURE, Reference, fit_reference

WIDTH, LABELS = 40, 4


def taught(each: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features around one corner for each label."""
    random = np.random.default_rng(seed)
    classes = np.arange(each * LABELS) % LABELS
    features = 5 * np.eye(LABELS, WIDTH)[classes] + random.normal(size=(len(classes), WIDTH))
    return features.astype(np.float32), classes


@pytest.mark.parametrize(("each", "within"), [(5, 0.03), (20, 0.02)])
def test_the_stated_part_of_images_like_those_of_the_teaching_is_unsure(
    each: int, within: float
) -> None:
    """As the mean of 10 teachings: each image is compared with the means without it."""
    features, _ = taught(500, 99)
    found = [fit_reference(*taught(each, seed)).familiarity(features) for seed in range(10)]
    assert np.mean(np.stack(found) < UNSURE) == pytest.approx(UNSURE, abs=within)
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_images_in_another_direction_are_unsure() -> None:
    reference = fit_reference(*taught(20, 1))
    features, _ = taught(20, 2)
    found = reference.familiarity(np.roll(features, LABELS, axis=1))
    assert ((found >= 0) & (found < UNSURE)).all()


def test_the_length_of_the_features_says_nothing() -> None:
    """The same image with less contrast has about the same features, multiplied by a number."""
    reference = fit_reference(*taught(20, 1))
    features, _ = taught(5, 2)
    for factor in (0.01, 1e30):
        found = reference.familiarity((factor * features).astype(np.float32))
        np.testing.assert_allclose(found, reference.familiarity(features), atol=1e-4)


def test_further_away_is_less_familiar_even_beyond_the_last_image() -> None:
    reference = fit_reference(*taught(20, 1))
    rows = np.zeros((4, WIDTH), np.float32)
    rows[:, :LABELS] = np.array([[1], [0.1], [0], [-1]])
    rows[:, -1] = 1  # no label's direction
    found = reference.familiarity(rows).tolist()
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[-2] < UNSURE
    assert found[-1] > 0


def test_features_of_zeros_are_unsure() -> None:
    reference = fit_reference(*taught(20, 1))
    assert reference.familiarity(np.zeros((1, WIDTH), np.float32))[0] < UNSURE


def test_a_reference_has_a_byte_for_each_feature_of_a_label_and_says_the_same() -> None:
    features, classes = taught(20, 1)
    reference = fit_reference(features, classes)
    assert reference.arrays()["centres"].nbytes == WIDTH * LABELS
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    means = np.eye(LABELS, dtype=np.float32)[classes].T @ directions
    exact = Reference(means, reference.distances)
    others, _ = taught(20, 2)
    difference = np.abs(reference.familiarity(others) - exact.familiarity(others))
    assert difference.mean() < 0.01
    assert difference.max() < 0.1


def test_two_images_of_a_label_are_enough() -> None:
    features, classes = taught(2, 1)
    found = fit_reference(features, classes).familiarity(features)
    assert ((found > 0) & (found <= 1)).all()
