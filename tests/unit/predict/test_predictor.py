"""functions/predict/predictor.py: which version answers, and what is counted and recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from botocore.exceptions import ClientError

from facet.errors import (
    BodyTooLarge,
    BrokenImage,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
    NoLiveVersion,
    UnknownVersion,
)
from facet.places.predict_call import Scores
from facet.registry.models import Canary, Model, RunIn, Serving, Status, Version
from predict.canary import Variant, goes_to_candidate
from predict.classification.predictions import Predictions
from predict.endpoint_health import EndpointHealth
from predict.predictor import PredictionRequest, Predictor
from predict.timing import Deadline, Stopwatch
from predict.version_cache import VersionCache

GONE = ClientError({"Error": {"Code": "ValidationError"}}, "InvokeEndpoint")
FORBIDDEN = ClientError({"Error": {"Code": "AccessDeniedException"}}, "InvokeEndpoint")
PERCENT = 30
TO_CANDIDATE = next(str(at) for at in range(1000) if goes_to_candidate(PERCENT, str(at)))
TO_LIVE = next(str(at) for at in range(1000) if not goes_to_candidate(PERCENT, str(at)))


def version(identity: str) -> Version:
    return Version("cifar", identity, Status.READY, sha256=identity, size=1, uploaded_at="")


def serving(live: str, candidate: str | None = None) -> Serving:
    canary = Canary(candidate, PERCENT, 100) if candidate else None
    model = Model("cifar", live=live, canary=canary, run_in=RunIn.AUTO)
    return Serving(model, version(live), version(candidate) if candidate else None)


@dataclass
class Registry:
    """Returns or raises one of `reads` at each read, and repeats the last."""

    reads: list[Serving | Exception]

    def serving(self, _: str) -> Serving:
        return self._next()

    def ready(self, _: str, identity: str) -> Version:
        self._next()
        return version(identity)

    def model(self, name: str) -> Model:
        return Model(name, run_in=RunIn.AUTO)

    def _next(self) -> Serving:
        value = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if isinstance(value, Exception):
            raise value
        return value


@dataclass
class Classifier:
    """Raises for the versions in `fails`; `invoked` lists the versions it was called with.

    `answers` are those of a version that fails on some images.
    """

    fails: dict[str, Exception] = field(default_factory=dict)
    answers: dict[str, list[Scores | FacetError]] = field(default_factory=dict)
    invoked: list[str] = field(default_factory=list)

    def classify(
        self,
        version: Version,
        _: Sequence[bytes],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
        run_in: RunIn | None,
        *,
        explain: bool,
    ) -> Predictions:
        assert not explain
        assert run_in is RunIn.AUTO
        assert deadline.invocation_timeout(1) == 1
        assert request_id in (TO_CANDIDATE, TO_LIVE)
        self.invoked.append(version.id)
        if version.id in self.fails:
            raise self.fails[version.id]
        answers = self.answers.get(version.id, [np.zeros(3, np.float32)])
        return Predictions(version, (), answers, stopwatch)


@dataclass
class CanaryCounter:
    counted: list[tuple[Variant, bool]] = field(default_factory=list)

    def count(self, model: Model, variant: Variant, *, good: bool) -> None:
        assert model.canary
        self.counted.append((variant, good))


@dataclass
class PredictionMetrics:
    records: list[str] = field(default_factory=list)

    def record_prediction(self, answer: Predictions, request_id: str) -> None:
        self.records.append(f"{answer.version.id} answered {request_id}")

    def record_failure(self, version: Version, error: Exception, request_id: str) -> None:
        self.records.append(f"{version.id} {type(error).__name__} {request_id}")


Predict = Callable[..., str]


@pytest.fixture
def registry() -> Registry:
    return Registry([serving("live", "candidate")])


@pytest.fixture
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture
def counter() -> CanaryCounter:
    return CanaryCounter()


@pytest.fixture
def metrics() -> PredictionMetrics:
    return PredictionMetrics()


@pytest.fixture
def predict(
    registry: Registry, classifier: Classifier, counter: CanaryCounter, metrics: PredictionMetrics
) -> Predict:
    """Returns the id of the version that answers a request."""
    versions = VersionCache(registry, 1000)  # type: ignore[arg-type]
    predictor = Predictor(versions, classifier, counter, metrics, EndpointHealth())  # type: ignore[arg-type]

    def predict(request_id: str = TO_LIVE, version: str | None = None) -> str:
        request = PredictionRequest(request_id, "cifar", (b"image",), Deadline.after(29), version)
        return predictor.predict(request).version.id

    return predict


def test_the_request_id_decides_which_version_answers(
    predict: Predict, counter: CanaryCounter
) -> None:
    assert predict(TO_CANDIDATE) == "candidate"
    assert predict(TO_LIVE) == "live"
    assert counter.counted == [(Variant.CANDIDATE, True), (Variant.LIVE, True)]


@pytest.mark.parametrize("request_id", [TO_CANDIDATE, TO_LIVE])
def test_a_requested_version_answers_and_is_not_counted(
    predict: Predict, counter: CanaryCounter, request_id: str
) -> None:
    assert predict(request_id, "old") == "old"
    assert counter.counted == []


@pytest.mark.parametrize(
    "settled", [serving("live"), replace(serving("live", "candidate"), candidate=None)]
)
def test_without_a_candidate_the_live_version_answers_every_request(
    predict: Predict, registry: Registry, counter: CanaryCounter, settled: Serving
) -> None:
    registry.reads = [settled]
    assert [predict(TO_CANDIDATE), predict(TO_LIVE)] == ["live", "live"]
    assert counter.counted == []


def test_a_failed_candidate_is_counted_and_the_live_version_answers(
    predict: Predict,
    classifier: Classifier,
    counter: CanaryCounter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    classifier.fails["candidate"] = ModelFailed("the container's message")
    assert predict(TO_CANDIDATE) == "live"
    assert counter.counted == [(Variant.CANDIDATE, False)]
    (record,) = caplog.records
    assert vars(record)["reason"] == "the container's message"


SCORES = np.zeros(3, np.float32)


def test_a_candidate_that_fails_on_one_image_is_counted_and_the_live_version_answers(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, metrics: PredictionMetrics
) -> None:
    classifier.answers["candidate"] = [SCORES, ModelFailed("not finite")]
    assert predict(TO_CANDIDATE) == "live"
    assert counter.counted == [(Variant.CANDIDATE, False)]
    assert f"candidate ModelFailed {TO_CANDIDATE}" in metrics.records


def test_a_candidates_answer_is_neither_counted_nor_recorded_if_the_endpoint_failed_on_an_image(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, metrics: PredictionMetrics
) -> None:
    classifier.answers["candidate"] = [SCORES, EndpointUnavailable("no room")]
    assert predict(TO_CANDIDATE) == "live"
    assert counter.counted == []
    assert metrics.records == [f"live answered {TO_CANDIDATE}"]


def test_a_live_version_s_answer_is_recorded_but_not_counted_if_the_endpoint_failed_on_an_image(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, metrics: PredictionMetrics
) -> None:
    classifier.answers["live"] = [SCORES, EndpointUnavailable("no room")]
    assert predict(TO_LIVE) == "live"
    assert counter.counted == []
    assert metrics.records == [f"live answered {TO_LIVE}"]


def test_a_live_version_that_fails_on_one_image_answers_the_others_and_is_counted(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, metrics: PredictionMetrics
) -> None:
    classifier.answers["live"] = [SCORES, ModelFailed("not finite"), ModelFailed("not finite")]
    assert predict(TO_LIVE) == "live"
    assert counter.counted == [(Variant.LIVE, False)]
    assert metrics.records == [f"live answered {TO_LIVE}", f"live ModelFailed {TO_LIVE}"]


@pytest.mark.parametrize("request_id", [TO_CANDIDATE, TO_LIVE])
def test_images_that_cannot_be_decoded_say_nothing_about_a_version(
    predict: Predict,
    classifier: Classifier,
    counter: CanaryCounter,
    metrics: PredictionMetrics,
    request_id: str,
) -> None:
    classifier.answers = {each: [BrokenImage("cut short")] for each in ("live", "candidate")}
    predict(request_id)
    assert (counter.counted, metrics.records) == ([], [])


def test_a_failed_live_version_is_counted(
    predict: Predict, classifier: Classifier, counter: CanaryCounter
) -> None:
    classifier.fails["live"] = ModelFailed("message")
    with pytest.raises(ModelFailed):
        predict(TO_LIVE)
    assert counter.counted == [(Variant.LIVE, False)]


def test_if_both_versions_fail_only_the_candidate_is_counted(
    predict: Predict, classifier: Classifier, counter: CanaryCounter
) -> None:
    classifier.fails = {each: ModelFailed(each) for each in ("live", "candidate")}
    with pytest.raises(ModelFailed):
        predict(TO_CANDIDATE)
    assert counter.counted == [(Variant.CANDIDATE, False)]


@pytest.mark.parametrize("error", [EndpointUnavailable("no room"), BodyTooLarge("too large"), GONE])
def test_the_live_version_answers_when_the_candidate_cannot(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, error: Exception
) -> None:
    classifier.fails["candidate"] = error
    assert predict(TO_CANDIDATE) == "live"
    assert counter.counted == []


@pytest.mark.parametrize(
    "error",
    [EndpointThrottled("busy"), ModelLoading("wait"), BrokenImage("not an image"), FORBIDDEN],
)
@pytest.mark.parametrize("request_id", [TO_CANDIDATE, TO_LIVE])
def test_errors_not_caused_by_the_model_are_raised_and_not_counted(
    predict: Predict,
    classifier: Classifier,
    counter: CanaryCounter,
    error: Exception,
    request_id: str,
) -> None:
    classifier.fails = {"live": error, "candidate": error}
    with pytest.raises(type(error)):
        predict(request_id)
    assert len(classifier.invoked) == 1
    assert counter.counted == []


def test_a_deleted_candidate_expires_in_the_cache(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.reads = [serving("live", "candidate"), serving("live")]
    classifier.fails["candidate"] = GONE
    assert [predict(TO_CANDIDATE), predict(TO_CANDIDATE)] == ["live", "live"]
    assert classifier.invoked == ["candidate", "live", "live"]


def test_a_deleted_live_version_is_looked_up_again(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.reads = [serving("retired"), serving("live")]
    classifier.fails["retired"] = GONE
    assert [predict(), predict()] == ["live", "live"]
    assert classifier.invoked == ["retired", "live", "live"]


def test_a_deleted_version_is_looked_up_again_only_once(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.reads = [serving("live")]
    classifier.fails["live"] = GONE
    with pytest.raises(ClientError, match="ValidationError"):
        predict()
    assert classifier.invoked == ["live", "live"]


def test_a_model_whose_versions_are_all_retired_has_no_live_version(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.reads = [serving("retired"), NoLiveVersion("cifar", pending=False)]
    classifier.fails["retired"] = GONE
    with pytest.raises(NoLiveVersion, match="retired"):
        predict()


def test_a_requested_version_that_was_retired_is_unknown(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    assert predict(version="old") == "old"
    classifier.fails["old"] = GONE
    registry.reads = [UnknownVersion("cifar", "old")]
    with pytest.raises(UnknownVersion):
        predict(version="old")


def test_a_candidates_failure_is_recorded_when_the_live_version_answers(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics
) -> None:
    classifier.fails["candidate"] = ModelFailed("broken")
    assert predict(TO_CANDIDATE) == "live"
    assert metrics.records == [
        f"candidate ModelFailed {TO_CANDIDATE}",
        f"live answered {TO_CANDIDATE}",
    ]


@pytest.mark.parametrize("error", [BrokenImage("no image"), EndpointThrottled("busy"), FORBIDDEN])
def test_errors_not_caused_by_the_model_are_not_recorded_as_its_failures(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics, error: Exception
) -> None:
    classifier.fails["live"] = error
    with pytest.raises(type(error)):
        predict()
    assert metrics.records == []


def test_a_loading_model_is_recorded(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics
) -> None:
    classifier.fails["live"] = ModelLoading("wait")
    with pytest.raises(ModelLoading):
        predict()
    assert metrics.records == [f"live ModelLoading {TO_LIVE}"]
