"""functions/predict/timing.py: an invocation ends before the request does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.errors import OutOfTime
from predict.timing import RESERVE, SHORTER_TIMEOUTS, Deadline


def deadline(left: float) -> Deadline:
    return Deadline.after(left, clock=lambda: 1000)


def test_the_usual_time_where_there_is_time() -> None:
    assert deadline(29).invocation_timeout(25) == 25
    assert deadline(600).invocation_timeout(25) == 25


@pytest.mark.parametrize(("left", "timeout"), [(27, 20), (20, 15), (8, 5), (4, 1), (3.5, 1)])
def test_a_shorter_step_where_there_is_less(left: float, timeout: float) -> None:
    assert deadline(left).invocation_timeout(25) == timeout


@pytest.mark.parametrize("left", [3.4, 0, -5])
def test_out_of_time_whatever_took_it(left: float) -> None:
    """A candidate that failed slowly may have, and not the images."""
    with pytest.raises(OutOfTime, match=r"^The request ran out of time .*Try again with fewer"):
        deadline(left).invocation_timeout(25)


@given(st.floats(-100, 1000), st.floats(0.1, 60))
def test_what_is_granted_ends_before_the_deadline(left: float, most: float) -> None:
    try:
        granted = deadline(left).invocation_timeout(most)
    except OutOfTime:
        assert left - RESERVE < max(most, min(SHORTER_TIMEOUTS))
        return
    assert granted <= most
    assert granted + RESERVE <= left


def test_time_goes_by() -> None:
    now = [0.0]
    running = Deadline.after(29, clock=lambda: now[0])
    assert running.invocation_timeout(25) == 25
    now[0] = 20
    assert running.invocation_timeout(25) == 5
