"""The classifier of predictions with two places: which answers if the first one cannot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from facet.errors import (
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    FunctionUnavailable,
    LiteRTMissing,
    ModelFailed,
    ModelLoading,
    TooLargeForFunction,
)
from facet.places.predict_call import Scores
from facet.registry.models import Canary, Model, Place, RunIn, Serving, Version
from predict.canary import Variant
from predict.classification.predictions import Predictions
from predict.endpoint_health import EndpointHealth
from predict.predictor import PredictionRequest, Predictor
from predict.timing import Deadline, Stopwatch
from tests.support import classifiers, versions
from tests.support.inputs import artifacts

PNG = artifacts.encoded()
E, F = Place.ENDPOINT, Place.FUNCTION
BOTH = replace(versions.ready(1), proven_in={E: versions.NOW, F: versions.NOW})
REMOVED, MISSING = EndpointRemoved("There is no endpoint."), LiteRTMissing("cifar", BOTH.id)
AWAY = [
    (E, REMOVED),
    (E, EndpointUnavailable("busy")),
    (F, FunctionUnavailable("busy")),
    (F, MISSING),
    (F, TooLargeForFunction("it needs 900 MB")),
]


@dataclass
class Places:
    """Two places; `errors` are raised by those that are in it, `asked` records who was asked."""

    errors: dict[Place, FacetError] = field(default_factory=dict)
    asked: list[Place] = field(default_factory=list)

    def runner(self, place: Place, _: float) -> Any:
        @dataclass
        class Runner:
            places: Places

            def classify(self, *given: Any) -> list[Scores | ModelFailed]:
                self.places.asked.append(place)
                if place in self.places.errors:
                    raise self.places.errors[place]
                return [np.array([0.7, 0.2, 0.1], np.float32)] * len(given[2])

        return Runner(self)


Classify = Callable[..., Predictions]


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def classify(places: Places) -> Classify:
    """One process's classifications of an image."""
    classifier = classifiers.classifier(places.runner)

    def classify(
        version: Version = BOTH, run_in: RunIn | None = None, images: Sequence[Any] = (PNG,)
    ) -> Predictions:
        deadline, stopwatch = Deadline.after(29), Stopwatch()
        return classifier.classify(version, images, deadline, stopwatch, "request", run_in)

    return classify


@pytest.mark.parametrize("place", Place)
def test_the_models_own_place_is_asked_and_named(
    place: Place, classify: Classify, places: Places
) -> None:
    assert classify(run_in=RunIn(place.value)).place is place
    assert places.asked == [place]


@pytest.mark.parametrize(("place", "error"), AWAY)
def test_the_other_place_answers_for_one_that_is_away(
    place: Place, error: FacetError, classify: Classify, places: Places
) -> None:
    places.errors = {place: error}
    (other,) = {*Place} - {place}
    found = classify(run_in=RunIn(place.value), images=(PNG, PNG))
    assert found.place is other
    assert found.answered == 2
    assert places.asked == [place, other]


@pytest.mark.parametrize(("place", "error"), AWAY)
def test_a_place_without_proof_is_never_asked(
    place: Place, error: FacetError, classify: Classify, places: Places
) -> None:
    places.errors = {place: error}
    with pytest.raises(type(error)) as raised:
        classify(replace(BOTH, proven_in={place: versions.NOW}))
    assert places.asked == [place]
    assert raised.value.place is place


@pytest.mark.parametrize("error", [EndpointThrottled(""), ModelFailed(""), ModelLoading("")])
def test_a_place_that_can_be_reached_decides(
    error: FacetError, classify: Classify, places: Places
) -> None:
    places.errors = dict.fromkeys(Place, error)
    with pytest.raises(type(error)):
        classify()
    assert places.asked == [E]


def test_single_images_change_the_place_too(classify: Classify, places: Places) -> None:
    places.errors = {E: REMOVED}
    found = classify(replace(BOTH, max_batch_size=1), images=[PNG] * 6)
    assert (found.answered, found.place) == (6, F)
    assert places.asked.count(F) == 6


def test_a_removed_endpoint_is_not_asked_for_each_request(
    classify: Classify, places: Places
) -> None:
    places.errors = {E: REMOVED}
    for _ in range(3):
        assert classify().place is F
    assert places.asked == [E, F, F, F]


def test_a_version_that_needs_the_endpoint_says_so(classify: Classify, places: Places) -> None:
    places.errors = {E: REMOVED}
    needs = replace(BOTH, proven_in={E: versions.NOW}, litert_size=0)
    with pytest.raises(EndpointRemoved, match="no LiteRT model") as raised:
        classify(needs)
    assert raised.value.place is E


def test_a_request_without_a_good_image_asks_nowhere(classify: Classify, places: Places) -> None:
    assert classify(images=(b"text",)).place is None
    assert places.asked == []


@dataclass
class Known:
    """The cache of versions, with one version."""

    version: Version

    def ready(self, *_: str) -> Version:
        return self.version

    def model(self, name: str) -> Model:
        return Model(name)

    def serving(self, name: str) -> Serving:
        """The version is live on the endpoint, its candidate in the function; it gets all."""
        live = replace(self.version, proven_in={E: versions.NOW})
        candidate = replace(versions.ready(2), proven_in={F: versions.NOW})
        canary = Canary(candidate.id, percent=100, good_answers=10)
        return Serving(Model(name, live=live.id, canary=canary), live, candidate)

    def expire(self, *_: str) -> None:
        pass


class Metrics:
    """Records nothing."""

    def record_prediction(self, *_: object) -> None:
        pass

    def record_failure(self, *_: object) -> None:
        pass


@dataclass
class Health(EndpointHealth):
    """What the endpoint's health was told."""

    seen: list[str] = field(default_factory=list)

    def answered(self) -> None:
        self.seen.append("answered")

    def function_answered(self) -> None:
        self.seen.append("function answered")

    def failed(self, model: str, *, removed: bool = False) -> None:
        self.seen.append(f"{'no endpoint for' if removed else 'failed'} {model}")


@pytest.mark.parametrize(
    ("place", "error", "expected"),
    [
        (E, None, ["answered"]),
        (E, EndpointUnavailable(""), ["failed cifar"]),
        (E, EndpointRemoved(""), ["no endpoint for cifar"]),
        (E, ModelLoading(""), ["failed cifar"]),
        (E, ModelFailed(""), ["answered"]),
        (F, None, ["function answered"]),
        (F, FunctionUnavailable(""), []),
        (F, ModelFailed(""), []),
    ],
)
def test_only_the_endpoint_counts_for_its_health(
    place: Place, error: FacetError | None, expected: list[str], places: Places
) -> None:
    where = replace(BOTH, proven_in={place: versions.NOW})
    places.errors = {place: error} if error else {}
    health = Health()
    classifier = classifiers.classifier(places.runner)
    known, metrics = cast("Any", Known(where)), cast("Any", Metrics())
    predictor = Predictor(known, classifier, cast("Any", None), metrics, health)
    request = PredictionRequest("1", "cifar", (PNG,), Deadline.after(29), where.id)
    if error:
        with pytest.raises(type(error)):
            predictor.predict(request)
    else:
        predictor.predict(request)
    assert health.seen == expected


@dataclass
class Counter:
    """What was counted of a canary."""

    counted: list[tuple[Variant, bool]] = field(default_factory=list)

    def count(self, _: Model, variant: Variant, *, good: bool) -> None:
        self.counted.append((variant, good))


@pytest.mark.parametrize(
    ("error", "place", "counted"),
    [
        (None, F, [(Variant.CANDIDATE, True)]),
        (ModelFailed("killed"), E, [(Variant.CANDIDATE, False)]),
        (FunctionUnavailable("busy"), E, []),
        (MISSING, E, []),
    ],
)
def test_a_candidate_may_run_in_another_place_than_the_live_version(
    error: FacetError | None, place: Place, counted: list[tuple[Variant, bool]], places: Places
) -> None:
    places.errors = {F: error} if error else {}
    classifier = classifiers.classifier(places.runner)
    known, metrics, counter = cast("Any", Known(BOTH)), cast("Any", Metrics()), Counter()
    predictor = Predictor(known, classifier, cast("Any", counter), metrics, Health())
    request = PredictionRequest("1", "cifar", (PNG,), Deadline.after(29))
    assert predictor.predict(request).place is place
    assert counter.counted == counted
