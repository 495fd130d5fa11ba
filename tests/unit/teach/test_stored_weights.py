"""functions/teach/work/head.py: in which numbers a head is stored."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.fitting import fit_head
from teach.work.head import fit
from teach.work.lesson import Lesson

WIDTH, EACH = 300, 40
CLASSES = np.arange(2 * EACH) % 2


def lesson(first: float) -> Lesson:
    """Two features differ between the labels; the first varies `first` times as much as others."""
    random = np.random.default_rng(1)
    features = random.normal(size=(len(CLASSES), WIDTH))
    features[:, 0] = first * (CLASSES + random.normal(scale=0.5, size=len(CLASSES)))
    features[:, 1] += 2 * CLASSES
    return Lesson(("off", "on"), (), features.astype(np.float32), CLASSES)


def changes(of: Lesson) -> NDArray[np.float32]:
    """Differences of the head's scores from those of the fit in float32."""
    fitted = fit_head(of.features[None], of.targets, balanced=True)
    powers = np.exp(of.features @ fitted.kernel + fitted.bias)
    exact = powers / powers.sum(axis=1, keepdims=True)
    scores = np.stack([each.scores for each in fit(of).head.answer(of.features)])
    differences: NDArray[np.float32] = np.abs(scores - exact)
    return differences


@pytest.mark.parametrize("shift", [0, 1000])
def test_a_head_has_a_byte_for_each_weight_and_answers_as_it_was_fitted(shift: float) -> None:
    taught = lesson(first=1)
    np.add(taught.features, shift, out=taught.features)
    head = fit(taught).head
    assert head.kernel.dtype == head.reference.centres.dtype == np.int8
    assert changes(taught).mean() < 0.01


def test_weights_of_very_different_sizes_stay_exact() -> None:
    """The first feature says as much as the second, with a weight 700 times smaller."""
    taught = lesson(first=1e4)
    assert fit(taught).head.kernel.dtype == np.float32
    assert changes(taught).max() < 1e-4
