"""onboard/retry.py: trying again for as long as there is time."""

from collections.abc import Callable

import pytest

from facet.errors import (
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    FunctionUnavailable,
    ModelFailed,
    ModelLoading,
    RegistryConflict,
)
from facet.registry.models import Place
from onboard.retry import (
    LATER_PATIENCE,
    LONGEST_PAUSE,
    MAX_CONFLICTS,
    PATIENCE,
    RESERVE,
    RetryPolicy,
)
from tests.support.aws.fakes import refusal
from tests.support.onboarding import patient


def failing(times: int, error: Exception) -> Callable[[], int]:
    """Answers with the number of its calls after so many errors."""
    calls = 0

    def call() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return call


@pytest.mark.parametrize(
    "error", [EndpointThrottled("x"), EndpointUnavailable("x"), ModelLoading("x")]
)
def test_the_endpoint_is_asked_until_it_answers(error: FacetError) -> None:
    retry, pauses = patient()
    assert retry.until_endpoint_answers(failing(5, error)) == 6
    assert len(pauses) == 5
    assert all(0 <= pause <= 2**at for at, pause in enumerate(pauses))


def test_the_log_has_the_platforms_own_words(caplog: pytest.LogCaptureFixture) -> None:
    error = EndpointUnavailable("no memory")
    error.__cause__ = refusal("ModelError", OriginalStatusCode=507)
    retry, _ = patient()
    retry.until_endpoint_answers(failing(1, error))
    (line,) = (vars(each) for each in caplog.records)
    assert (line["message"], line["reason"]) == ("retrying", "no memory")
    assert line["cause"] == str(error.__cause__)


def test_a_function_that_throttles_is_not_asked_again() -> None:
    """A caller that waits for it holds one of the executions that it lacks."""
    retry, pauses = patient()
    with pytest.raises(EndpointThrottled):
        retry.until_endpoint_answers(failing(1, EndpointThrottled("x")), Place.FUNCTION)
    assert pauses == []
    call = failing(1, FunctionUnavailable("x"))
    assert retry.until_endpoint_answers(call, Place.FUNCTION) == 2


@pytest.mark.parametrize("error", [ModelFailed("x"), RegistryConflict("x"), KeyError("x")])
def test_errors_of_the_model_are_raised_at_once(error: Exception) -> None:
    retry, pauses = patient()
    with pytest.raises(type(error)):
        retry.until_endpoint_answers(failing(1, error))
    assert pauses == []


def test_the_endpoint_is_asked_until_the_time_is_over_and_no_longer() -> None:
    retry, pauses = patient(900)
    with pytest.raises(ModelLoading):
        retry.until_endpoint_answers(failing(10_000, ModelLoading("x")))
    assert 900 - sum(pauses) >= RESERVE + retry.attempt
    assert 900 - sum(pauses) - LONGEST_PAUSE < RESERVE + retry.attempt
    assert max(pauses) <= LONGEST_PAUSE


def test_the_first_attempt_at_an_upload_is_patient_and_later_ones_give_way() -> None:
    for number, most in ((1, PATIENCE), (2, LATER_PATIENCE), (7, LATER_PATIENCE)):
        retry, pauses = patient(900, PATIENCE)
        with pytest.raises(ModelLoading):
            retry.of_attempt(number).until_endpoint_answers(failing(10_000, ModelLoading("x")))
        assert most - LONGEST_PAUSE < sum(pauses) <= most


def test_without_time_nothing_is_tried_again() -> None:
    retry, pauses = patient(RESERVE)
    with pytest.raises(ModelLoading):
        retry.until_endpoint_answers(failing(1, ModelLoading("x")))
    assert pauses == []


@pytest.mark.parametrize("error", [RegistryConflict("x"), refusal("TransactionConflictException")])
def test_a_conflict_is_tried_again(error: Exception) -> None:
    retry, pauses = patient()
    assert retry.until_no_conflict(failing(3, error)) == 4
    assert len(pauses) == 3


@pytest.mark.parametrize("error", [refusal("ThrottlingException"), ModelLoading("x")])
def test_other_faults_of_the_registry_are_raised_at_once(error: Exception) -> None:
    retry, pauses = patient()
    with pytest.raises(type(error)):
        retry.until_no_conflict(failing(1, error))
    assert pauses == []


def test_conflicts_without_end_are_left_to_lambda() -> None:
    retry, pauses = patient(100_000)
    with pytest.raises(RegistryConflict):
        retry.until_no_conflict(failing(1000, RegistryConflict("x")))
    assert len(pauses) == MAX_CONFLICTS - 1


def test_pauses_vary() -> None:
    def pauses() -> list[float]:
        retry, made = patient()
        retry.until_endpoint_answers(failing(8, ModelLoading("x")))
        return made

    assert pauses() != pauses()


def test_it_sleeps_in_real_time_by_default() -> None:
    assert RetryPolicy(lambda: 1e9, 1).until_endpoint_answers(failing(1, ModelLoading("x"))) == 2
