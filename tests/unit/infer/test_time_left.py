"""How an invocation's time is shared: a slow bucket or a hasty caller blames no model."""

import math

import pytest

from infer.time_left import TimeLeft


@pytest.mark.parametrize(
    ("function", "caller", "read", "expected"),
    [
        (25, math.inf, 0, 23),
        (25, 25, 3, 20),
        (60, 25, 0, 23),
        (60, 25, 20, 10),
        (60, 5, 0, 10),
        (25, 1, 0, 10),
        (25, 25, 13, 10),
        (5, 25, 0, 3),
        (5, 1, 1.5, 1.5),
    ],
)
def test_a_model_gets_the_callers_time_but_never_too_little(
    function: float, caller: float, read: float, expected: float
) -> None:
    now = [100.0]
    left = TimeLeft(function, caller, lambda: now[0])
    assert left.for_reading() >= read
    now[0] += read
    assert left.for_model() == pytest.approx(expected)
    assert read + left.for_model() <= function - 2, "it is answered before Lambda ends the function"


@pytest.mark.parametrize(("function", "expected"), [(60, 48), (25, 13), (5, 1.5), (1, 0)])
def test_what_is_left_for_reading_leaves_the_model_enough(function: float, expected: float) -> None:
    now = [100.0]
    left = TimeLeft(function, math.inf, lambda: now[0])
    assert left.for_reading() == pytest.approx(expected)
    now[0] += 100
    assert left.for_reading() == 0
