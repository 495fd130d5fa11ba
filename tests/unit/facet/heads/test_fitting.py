"""facet/heads/fitting.py: the last layer in closed form."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.fitting import USUAL, FittedHead, _Ridge, fit_head
from facet.specs import MAX_FEATURES

WIDTH = 12


def examples(
    count: int, seed: int, *, views: int = 1, classes: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise, with one feature that is larger for each class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    targets = np.eye(classes, dtype=np.float32)[labels]
    features = random.normal(size=(views, count, WIDTH)).astype(np.float32)
    features[:, :, :classes] += 3 * targets
    return features, targets


def right(head: FittedHead, features: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    logits = features[0] @ head.kernel + head.bias
    return float((logits.argmax(axis=1) == targets.argmax(axis=1)).mean())


@pytest.mark.parametrize(("count", "views"), [(30, 1), (30, 3), (9, 1), (4, 2)])
def test_left_out_scores_are_those_of_a_fit_without_the_image(count: int, views: int) -> None:
    """Also with fewer images than features, which are decomposed in another way."""
    features, targets = examples(count, 1, views=views)
    rows, strength = features.astype(np.float64), 0.3
    weights = np.random.default_rng(2).uniform(0.5, 2, count)
    ridge = _Ridge(rows, targets, weights)
    scores = ridge.left_out(strength)
    penalty = strength * ridge._usual * np.eye(WIDTH + 1)
    penalty[-1, -1] = 0  # the intercept is free
    for left_out in (0, count // 3, count - 1):
        kept = np.arange(count) != left_out
        flat = rows[:, kept].reshape(-1, WIDTH)
        design = np.hstack([flat, np.ones((len(flat), 1))])
        weight = np.tile(weights[kept] / views, views)[:, None]
        wanted = np.tile(targets[kept], (views, 1))
        layer = np.linalg.solve(
            design.T @ (weight * design) + penalty, design.T @ (weight * wanted)
        )
        expected = np.append(rows[0, left_out], 1) @ layer
        np.testing.assert_allclose(scores[left_out], expected, atol=1e-10)


def test_few_images_on_the_widest_features_take_little() -> None:
    """A matrix of 8,192 x 8,192 has 537 MB, and its eigenvectors take minutes."""
    features = np.random.default_rng(1).normal(size=(1, 6, MAX_FEATURES))
    targets = np.eye(2, dtype=np.float32)[np.arange(6) % 2]
    ridge = _Ridge(features, targets, np.ones(6))
    assert ridge._vectors.shape == (MAX_FEATURES, 5)  # one is lost to the mean
    assert fit_head(features, targets, balanced=True).kernel.shape == (MAX_FEATURES, 2)


@pytest.mark.parametrize("width", [3, 300])
def test_images_that_are_all_alike_are_answered_wrong(width: int) -> None:
    targets = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    head = fit_head(np.ones((1, 8, width)), targets, balanced=True)
    assert head.accuracy == 0
    assert not head.kernel.any()
    assert np.isfinite(head.left_out).all()


def test_it_classifies_new_images_and_says_so() -> None:
    head = fit_head(*examples(60, 1), balanced=True)
    accuracy = right(head, *examples(300, 2))
    assert accuracy > 0.9
    assert abs(head.accuracy - accuracy) < 0.1


def test_its_probabilities_are_calibrated() -> None:
    """The loss on new images is that of the images left out, far below that of plain 0 to 1."""
    head = fit_head(*examples(120, 1), balanced=True)
    features, targets = examples(600, 2)
    logits = features[0] @ head.kernel + head.bias
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert -(logs * targets).sum(axis=1).mean() == pytest.approx(head.loss, abs=0.1)
    assert head.loss < 0.3


def test_a_view_that_misleads_is_left_out() -> None:
    features, targets = examples(60, 1)
    swapped = features[:, np.roll(np.arange(60), 1)]
    assert fit_head(np.concatenate([features, swapped]), targets, balanced=True).views == 1
    again, _ = examples(60, 3)
    assert fit_head(np.concatenate([features, again]), targets, balanced=True).views == 2


def test_rare_classes_count_as_much_as_frequent_ones() -> None:
    """With 30 images of one class and 6 of the other, which overlap."""
    features, targets = examples(60, 1, classes=2)
    others, wanted = examples(400, 2, classes=2)
    features[:, :, :2] -= 2 * targets
    others[:, :, :2] -= 2 * wanted
    kept = np.r_[0:60:2, 1:12:2]
    rare = wanted[:, 1] == 1
    recall = {
        balanced: right(
            fit_head(features[:, kept], targets[kept], balanced=balanced),
            others[:, rare],
            wanted[rare],
        )
        for balanced in (True, False)
    }
    assert recall[True] > recall[False] + 0.1


def test_features_that_vary_little_count_little() -> None:
    """Noise in 400 more features, of a hundredth of the others' size, costs little accuracy."""
    features, targets = examples(30, 1)
    others, wanted = examples(300, 2)
    random = np.random.default_rng(3)
    noisy, more = (
        np.concatenate([each, 0.01 * random.normal(size=(*each.shape[:2], 400))], axis=2)
        for each in (features, others)
    )
    plain = right(fit_head(features, targets, balanced=True), others, wanted)
    assert right(fit_head(noisy, targets, balanced=True), more, wanted) > plain - 0.05


def test_features_that_never_change_are_ignored() -> None:
    features, targets = examples(30, 1)
    features[:, :, -1] = 7
    head = fit_head(features, targets, balanced=True)
    assert np.isfinite(head.kernel).all()
    assert (head.kernel[-1] == 0).all()


def test_few_images_get_the_usual_strength_and_many_choose_their_own() -> None:
    """Of noise-free features of two images each, every small strength fits the images left out."""
    few, wanted = examples(6, 1)
    head = fit_head(few, wanted, balanced=True)
    assert 3 <= head.strength * 2 / USUAL * 3 <= 30
    features, targets = examples(3000, 1)
    features[..., :3] += 5 * targets  # far apart: nothing is to be shrunk
    assert fit_head(features, targets, balanced=True).strength * 1000 < 10 * USUAL
