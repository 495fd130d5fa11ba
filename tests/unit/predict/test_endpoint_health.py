"""When `/health` says that the endpoint does not answer."""

import pytest

from facet.errors import EndpointUnavailable
from predict.endpoint_health import EndpointHealth


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(health: EndpointHealth, clock: Clock, *models: str, apart: float = 5) -> None:
    for model in models:
        health.failed(model)
        clock.now += apart


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_failures_of_several_models_for_some_time_are_the_endpoints(clock: Clock) -> None:
    health = EndpointHealth(clock)
    health.check()
    fail(health, clock, *"abab")
    with pytest.raises(EndpointUnavailable, match="4 requests for 2 models in 15 seconds"):
        health.check()
    health.answered()
    health.check()
    fail(health, clock, "a", "b", "a")
    health.check()


def test_one_model_few_failures_or_a_short_time_show_nothing(clock: Clock) -> None:
    for models, apart in (("aaaaaaaa", 5.0), ("aba", 20.0), ("abababab", 1.0)):
        health = EndpointHealth(clock)
        fail(health, clock, *models, apart=apart)
        health.check()


def test_old_failures_do_not_count(clock: Clock) -> None:
    health = EndpointHealth(clock)
    fail(health, clock, *"abab")
    clock.now += 60
    health.check()
    fail(health, clock, "a")
    health.check()


@pytest.mark.parametrize("removed", [True, False])
def test_without_an_endpoint_the_functions_answers_count(clock: Clock, *, removed: bool) -> None:
    """The models that need the endpoint cannot answer then, which the operator chose."""
    health = EndpointHealth(clock)
    for model in "ababab":
        health.failed(model, removed=removed)
        clock.now += 5
    with pytest.raises(EndpointUnavailable):
        health.check()
    health.function_answered()
    if removed:
        health.check()
    else:
        with pytest.raises(EndpointUnavailable):
            health.check()
