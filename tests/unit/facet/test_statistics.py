"""facet/statistics.py against SciPy."""

import pytest
from scipy import stats  # type: ignore[import-untyped]

from facet.statistics import at_least, wilson

COUNTS = [(0, 1), (1, 1), (0, 30), (26, 30), (68, 80), (585, 713), (8251, 10_000), (10_000, 10_000)]


@pytest.mark.parametrize(("right", "images"), COUNTS)
def test_wilson_is_scipys(right: int, images: int) -> None:
    expected = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert wilson(right, images) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("right", "images"), COUNTS)
@pytest.mark.parametrize("probability", [0.0, 1e-9, 0.1, 0.5, 0.9, 1.0])
def test_the_binomial_tail_is_scipys(right: int, images: int, probability: float) -> None:
    expected = float(stats.binom.sf(right - 1, images, probability))
    assert at_least(right, images, probability) == pytest.approx(expected, rel=1e-7, abs=1e-300)


def test_nothing_is_known_without_an_image() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert at_least(0, 0, 0.5) == 1.0
