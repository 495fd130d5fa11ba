"""facet.places.choice: where a version may answer, and in which order."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from facet.errors import EndpointRemoved, Violation
from facet.places.choice import AWAY, FAST, SMALL, Choice, without_endpoint
from facet.registry.models import Place, RunIn, Version
from facet.registry.reasons import WITHOUT_ENDPOINT
from tests.support import versions

E, F = Place.ENDPOINT, Place.FUNCTION
AT = versions.NOW


def version(*places: Place, size: int | None = 1, seconds: float | None = 0.01) -> Version:
    return replace(
        versions.ready(1),
        proven_in=dict.fromkeys(places, AT),
        litert_size=size,
        function_seconds=seconds,
    )


@pytest.mark.parametrize(
    ("stack", "model", "where", "expected"),
    [
        (RunIn.ENDPOINT, None, version(E, F), [E, F]),
        (RunIn.FUNCTION, None, version(E, F), [F, E]),
        (RunIn.AUTO, None, version(E, F), [F, E]),
        (RunIn.AUTO, None, version(E, F, size=SMALL + 1), [E, F]),
        (RunIn.AUTO, None, version(E, F, seconds=FAST * 1.1), [E, F]),
        (RunIn.ENDPOINT, RunIn.FUNCTION, version(E, F), [F, E]),
        (RunIn.FUNCTION, RunIn.ENDPOINT, version(E, F), [E, F]),
        (RunIn.ENDPOINT, RunIn.AUTO, version(E, F), [F, E]),
        (RunIn.FUNCTION, RunIn.FUNCTION, version(E, size=0, seconds=None), [E]),
        (RunIn.AUTO, None, version(E, size=None, seconds=None), [E]),
        (RunIn.ENDPOINT, RunIn.ENDPOINT, version(F), [F]),
        (RunIn.AUTO, None, version(), []),
    ],
)
def test_only_places_with_a_proof_answer_the_preferred_one_first(
    stack: RunIn, model: RunIn | None, where: Version, expected: Sequence[Place]
) -> None:
    assert Choice(stack).places(where, model) == expected


def test_a_removed_endpoint_is_asked_last_for_some_seconds() -> None:
    now = [100.0]
    choice = Choice(RunIn.ENDPOINT, lambda: now[0])
    choice.endpoint_is_removed()
    assert choice.places(version(E, F)) == [F, E]
    assert choice.places(version(E)) == [E]
    now[0] += AWAY
    assert choice.places(version(E, F)) == [E, F]


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (version(E, size=0), "has no LiteRT model"),
        (version(E, size=10), "not proven in the function yet"),
        (
            replace(
                version(E), not_proven={F: (Violation("model-failed", "function", "a", "do b"),)}
            ),
            "a. To use it without an endpoint, do b.",
        ),
        *(
            (
                replace(version(E), not_proven={F: (Violation(code, "function", "a", "b"),)}),
                f"a. To use it without an endpoint, {remedy}.",
            )
            for code, remedy in WITHOUT_ENDPOINT.items()
        ),
    ],
)
def test_a_version_that_needs_the_endpoint_says_why_and_what_to_do(
    which: Version, said: str
) -> None:
    error = without_endpoint(which, EndpointRemoved("There is no endpoint."))
    assert str(error).startswith("There is no endpoint. ")
    assert which.id in str(error)
    assert said in str(error)
