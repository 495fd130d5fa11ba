"""functions/predict/canary.py: which requests a candidate answers, and the verdict."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.registry.models import Canary
from predict.canary import MIN_BAD_ANSWERS, Verdict, goes_to_candidate, is_worse, verdict

REQUESTS = [str(uuid.UUID(int=number)) for number in range(4000)]
counts = st.integers(0, 10_000)


def canary(
    candidate: tuple[int, int], live: tuple[int, int] = (0, 0), good_answers: int = 100
) -> Canary:
    """Builds a canary from (good, bad) answers of each variant."""
    return Canary("c" * 12, 10, good_answers, *candidate, *live)


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_the_candidate_gets_about_its_percentage_of_requests(percent: int) -> None:
    share = 100 * sum(goes_to_candidate(percent, each) for each in REQUESTS) / len(REQUESTS)
    assert share == pytest.approx(percent, abs=3)


def test_0_percent_is_no_request_and_100_percent_is_every_request() -> None:
    assert not any(goes_to_candidate(0, each) for each in REQUESTS)
    assert all(goes_to_candidate(100, each) for each in REQUESTS)


def test_the_same_request_id_always_gets_the_same_version() -> None:
    """The SHA-256 of "a" begins with ca978112, which is 3398926610 in decimal."""
    assert not goes_to_candidate(10, "a")
    assert goes_to_candidate(11, "a")


@given(st.text(), st.integers(0, 99))
def test_a_larger_percentage_keeps_the_requests_of_a_smaller_one(
    request_id: str, percent: int
) -> None:
    assert goes_to_candidate(percent, request_id) <= goes_to_candidate(percent + 1, request_id)


@pytest.mark.parametrize(
    ("counts_so_far", "expected"),
    [
        (canary((0, 0)), Verdict.CONTINUE),
        (canary((99, 0), (1000, 0)), Verdict.CONTINUE),
        (canary((100, 0), (1000, 0)), Verdict.PROMOTE),
        (canary((1, 0), (0, 0), good_answers=1), Verdict.PROMOTE),
        (canary((0, 2), (1000, 0)), Verdict.CONTINUE),
        (canary((0, 3), (1000, 0)), Verdict.ROLL_BACK),
        (canary((0, 3)), Verdict.ROLL_BACK),
        (canary((90, 10)), Verdict.ROLL_BACK),
        (canary((0, 3), (0, 3)), Verdict.CONTINUE),
        (canary((0, 300), (0, 3000)), Verdict.CONTINUE),
        (canary((97, 3), (970, 30)), Verdict.CONTINUE),
        (canary((100, 3), (970, 30)), Verdict.PROMOTE),
        (canary((100, 20), (0, 50)), Verdict.PROMOTE),
        (canary((100, 12), (960, 40)), Verdict.ROLL_BACK),
        (canary((5, 2), (1000, 0), good_answers=5), Verdict.CONTINUE),
    ],
    ids=lambda each: (
        str(each) if isinstance(each, Verdict) else "-".join(map(str, vars(each).values()))
    ),
)
def test_the_verdict_on_a_canarys_counts(counts_so_far: Canary, expected: Verdict) -> None:
    assert verdict(counts_so_far) is expected


@pytest.mark.parametrize(
    ("candidate", "live", "z"),
    [
        ((90, 10), (950, 50), 2.10),
        ((91, 9), (950, 50), 1.69),
        ((938, 62), (9500, 500), 1.64),
        ((92, 8), (950, 50), 1.28),
    ],
)
def test_is_worse_is_the_pooled_two_proportion_z_test(
    candidate: tuple[int, int], live: tuple[int, int], z: float
) -> None:
    """`z` was computed by hand. For the first, p = 60/1100 and
    z = (0.10 - 0.05) / sqrt(p (1 - p) (1/100 + 1/1000))."""
    assert is_worse(canary(candidate, live)) == (z > 1.645)


def test_a_live_version_without_answers_counts_as_all_good() -> None:
    for good, bad in [(0, 3), (97, 3), (98, 2), (1, 1)]:
        assert is_worse(canary((good, bad))) == is_worse(canary((good, bad), (good + bad, 0)))
    assert not is_worse(canary((98, 2)))


@given(counts, counts, counts, counts)
def test_only_a_worse_candidate_is_rolled_back(
    good: int, bad: int, live_good: int, live_bad: int
) -> None:
    found = canary((good, bad), (live_good, live_bad))
    ours, theirs = good + bad, live_good + live_bad
    if verdict(found) is Verdict.ROLL_BACK:
        assert bad >= MIN_BAD_ANSWERS
        assert bad * max(theirs, 1) > live_bad * ours
    if verdict(found) is Verdict.PROMOTE:
        assert good >= found.good_answers


@given(counts, st.integers(1, 10_000), counts, st.integers(1, 10_000))
def test_a_bad_answer_in_place_of_a_good_one_never_helps_the_candidate(
    bad: int, good: int, live_bad: int, live_good: int
) -> None:
    found = canary((good, bad), (live_good, live_bad))
    assert is_worse(found) <= is_worse(
        replace(found, candidate_good=good - 1, candidate_bad=bad + 1)
    )
