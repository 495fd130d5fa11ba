"""functions/predict/timing.py: an invocation times out before the request's deadline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.errors import OutOfTime
from predict.timing import RESERVE, SHORTER_TIMEOUTS, Deadline


def deadline(left: float) -> Deadline:
    return Deadline.after(left, clock=lambda: 1000)


def test_the_longest_timeout_is_used_when_it_fits() -> None:
    assert deadline(29).invocation_timeout(25) == 25
    assert deadline(600).invocation_timeout(25) == 25


@pytest.mark.parametrize(("left", "timeout"), [(27, 20), (20, 15), (8, 5), (4, 1), (3.5, 1)])
def test_a_shorter_timeout_is_used_when_less_time_is_left(left: float, timeout: float) -> None:
    assert deadline(left).invocation_timeout(25) == timeout


@pytest.mark.parametrize("left", [3.4, 0, -5])
def test_raises_out_of_time_when_no_timeout_fits(left: float) -> None:
    """The message does not blame the images: a slow candidate may have used up the time."""
    with pytest.raises(OutOfTime, match=r"^The request ran out of time .*Try again with fewer"):
        deadline(left).invocation_timeout(25)


@given(st.floats(-100, 1000), st.floats(0.1, 60))
def test_the_timeout_ends_before_the_deadline(left: float, longest: float) -> None:
    try:
        timeout = deadline(left).invocation_timeout(longest)
    except OutOfTime:
        assert left - RESERVE < max(longest, min(SHORTER_TIMEOUTS))
        return
    assert timeout <= longest
    assert timeout + RESERVE <= left


def test_the_timeout_gets_shorter_as_time_passes() -> None:
    now = [0.0]
    running = Deadline.after(29, clock=lambda: now[0])
    assert running.invocation_timeout(25) == 25
    now[0] = 20
    assert running.invocation_timeout(25) == 5
