"""functions/predict/predictor.py: which version answers, and what is counted of it."""

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
    ModelFailed,
    ModelLoading,
    NoLiveVersion,
    UnknownVersion,
)
from facet.registry.models import Canary, Model, Serving, Status, Version
from predict.canary import Variant, goes_to_candidate
from predict.classifier import Predictions
from predict.predictor import PredictionRequest, Predictor
from predict.timing import Deadline, Stopwatch
from predict.version_cache import VersionCache

GONE = ClientError({"Error": {"Code": "ValidationError"}}, "InvokeEndpoint")
FORBIDDEN = ClientError({"Error": {"Code": "AccessDeniedException"}}, "InvokeEndpoint")
PERCENT = 30
CHOSEN = next(str(at) for at in range(1000) if goes_to_candidate(PERCENT, str(at)))
OTHER = next(str(at) for at in range(1000) if not goes_to_candidate(PERCENT, str(at)))


def version(identity: str) -> Version:
    return Version("cifar", identity, Status.READY, sha256=identity, size=1, uploaded_at="")


def serving(live: str, candidate: str | None = None) -> Serving:
    canary = Canary(candidate, PERCENT, 100) if candidate else None
    model = Model("cifar", live=live, canary=canary)
    return Serving(model, version(live), version(candidate) if candidate else None)


@dataclass
class Registry:
    """What it says from read to read; the last goes on."""

    says: list[Serving | Exception]

    def serving(self, _: str) -> Serving:
        return self._said()

    def ready(self, _: str, identity: str) -> Version:
        self._said()
        return version(identity)

    def _said(self) -> Serving:
        found = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Classifier:
    """Answers, but for the versions that fail."""

    fails: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def classify(
        self,
        by: Version,
        _: Sequence[bytes],
        deadline: Deadline,
        stopwatch: Stopwatch,
        request_id: str,
    ) -> Predictions:
        assert deadline.invocation_timeout(1) == 1
        assert request_id in (CHOSEN, OTHER)
        self.asked.append(by.id)
        if by.id in self.fails:
            raise self.fails[by.id]
        return Predictions(by, (), np.zeros((1, 0), np.float32), stopwatch)


@dataclass
class CanaryCounter:
    counted: list[tuple[Variant, bool]] = field(default_factory=list)

    def count(self, model: Model, variant: Variant, *, good: bool) -> None:
        assert model.canary
        self.counted.append((variant, good))


@dataclass
class PredictionMetrics:
    said: list[str] = field(default_factory=list)

    def record_prediction(self, answer: Predictions, request_id: str) -> None:
        self.said.append(f"{answer.version.id} answered {request_id}")

    def record_failure(self, version: Version, error: Exception, request_id: str) -> None:
        self.said.append(f"{version.id} {type(error).__name__} {request_id}")


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
    """The id of the version that answers a request."""
    versions = VersionCache(registry, 1000)  # type: ignore[arg-type]
    predictor = Predictor(versions, classifier, counter, metrics)  # type: ignore[arg-type]

    def predict(request_id: str = OTHER, named: str | None = None) -> str:
        asked = PredictionRequest(request_id, "cifar", (b"image",), Deadline.after(29), named)
        return predictor.predict(asked).version.id

    return predict


def test_the_request_s_id_decides_who_answers(predict: Predict, counter: CanaryCounter) -> None:
    assert predict(CHOSEN) == "candidate"
    assert predict(OTHER) == "live"
    assert counter.counted == [(Variant.CANDIDATE, True), (Variant.LIVE, True)]


@pytest.mark.parametrize("request_id", [CHOSEN, OTHER])
def test_who_asks_for_a_version_gets_it_and_is_not_counted(
    predict: Predict, counter: CanaryCounter, request_id: str
) -> None:
    assert predict(request_id, "old") == "old"
    assert counter.counted == []


@pytest.mark.parametrize(
    "settled", [serving("live"), replace(serving("live", "candidate"), candidate=None)]
)
def test_without_a_candidate_the_live_version_answers_all(
    predict: Predict, registry: Registry, counter: CanaryCounter, settled: Serving
) -> None:
    registry.says = [settled]
    assert [predict(CHOSEN), predict(OTHER)] == ["live", "live"]
    assert counter.counted == []


def test_a_candidate_that_fails_is_counted_and_the_caller_is_answered(
    predict: Predict,
    classifier: Classifier,
    counter: CanaryCounter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    classifier.fails["candidate"] = ModelFailed("its own words")
    assert predict(CHOSEN) == "live"
    assert counter.counted == [(Variant.CANDIDATE, False)]
    (logged,) = caplog.records
    assert vars(logged)["reason"] == "its own words"


def test_a_live_version_that_fails_is_counted(
    predict: Predict, classifier: Classifier, counter: CanaryCounter
) -> None:
    classifier.fails["live"] = ModelFailed("words")
    with pytest.raises(ModelFailed):
        predict(OTHER)
    assert counter.counted == [(Variant.LIVE, False)]


def test_where_both_fail_only_the_arm_that_was_chosen_counts(
    predict: Predict, classifier: Classifier, counter: CanaryCounter
) -> None:
    classifier.fails = {each: ModelFailed(each) for each in ("live", "candidate")}
    with pytest.raises(ModelFailed):
        predict(CHOSEN)
    assert counter.counted == [(Variant.CANDIDATE, False)]


@pytest.mark.parametrize("error", [EndpointUnavailable("no room"), BodyTooLarge("too large"), GONE])
def test_what_only_the_candidate_cannot_do_the_live_version_does(
    predict: Predict, classifier: Classifier, counter: CanaryCounter, error: Exception
) -> None:
    classifier.fails["candidate"] = error
    assert predict(CHOSEN) == "live"
    assert counter.counted == []


@pytest.mark.parametrize(
    "error",
    [EndpointThrottled("busy"), ModelLoading("wait"), BrokenImage("not an image"), FORBIDDEN],
)
@pytest.mark.parametrize("request_id", [CHOSEN, OTHER])
def test_what_says_nothing_of_the_model_is_raised_and_not_counted(
    predict: Predict,
    classifier: Classifier,
    counter: CanaryCounter,
    error: Exception,
    request_id: str,
) -> None:
    classifier.fails = {"live": error, "candidate": error}
    with pytest.raises(type(error)):
        predict(request_id)
    assert len(classifier.asked) == 1
    assert counter.counted == []


def test_a_candidate_that_is_gone_is_forgotten(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.says = [serving("live", "candidate"), serving("live")]
    classifier.fails["candidate"] = GONE
    assert [predict(CHOSEN), predict(CHOSEN)] == ["live", "live"]
    assert classifier.asked == ["candidate", "live", "live"]


def test_a_live_version_that_is_gone_is_looked_up_again(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.says = [serving("retired"), serving("live")]
    classifier.fails["retired"] = GONE
    assert [predict(), predict()] == ["live", "live"]
    assert classifier.asked == ["retired", "live", "live"]


def test_it_is_looked_up_once(predict: Predict, registry: Registry, classifier: Classifier) -> None:
    registry.says = [serving("live")]
    classifier.fails["live"] = GONE
    with pytest.raises(ClientError, match="ValidationError"):
        predict()
    assert classifier.asked == ["live", "live"]


def test_a_model_none_of_whose_versions_is_left_is_told_so(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    registry.says = [serving("retired"), NoLiveVersion("cifar", pending=False)]
    classifier.fails["retired"] = GONE
    with pytest.raises(NoLiveVersion, match="retired"):
        predict()


def test_a_version_asked_for_that_is_retired_by_now_is_unknown(
    predict: Predict, registry: Registry, classifier: Classifier
) -> None:
    assert predict(named="old") == "old"
    classifier.fails["old"] = GONE
    registry.says = [UnknownVersion("cifar", "old")]
    with pytest.raises(UnknownVersion):
        predict(named="old")


def test_a_candidates_failure_is_measured_although_the_live_version_answered(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics
) -> None:
    classifier.fails["candidate"] = ModelFailed("broken")
    assert predict(CHOSEN) == "live"
    assert metrics.said == [f"candidate ModelFailed {CHOSEN}", f"live answered {CHOSEN}"]


@pytest.mark.parametrize("error", [BrokenImage("no image"), EndpointThrottled("busy"), FORBIDDEN])
def test_what_is_not_the_models_doing_is_not_measured_as_its_failure(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics, error: Exception
) -> None:
    classifier.fails["live"] = error
    with pytest.raises(type(error)):
        predict()
    assert metrics.said == []


def test_a_model_that_is_still_loading_is_measured(
    predict: Predict, classifier: Classifier, metrics: PredictionMetrics
) -> None:
    classifier.fails["live"] = ModelLoading("wait")
    with pytest.raises(ModelLoading):
        predict()
    assert metrics.said == [f"live ModelLoading {OTHER}"]
