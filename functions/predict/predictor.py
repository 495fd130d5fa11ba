"""The story of a prediction: from a request to the labels of one version.

1. The registry, through the version cache, names the version that answers: the one in the request,
   a canary's candidate, or the live one.
2. The classifier decodes and preprocesses the images, and invokes the place where it runs.
3. The outcome is measured; while a canary runs, it is also counted.

If a candidate fails, or cannot explain its answer, the live version answers in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from facet.errors import (
    BodyTooLarge,
    EndpointRemoved,
    EndpointUnavailable,
    FacetError,
    LiteRTMissing,
    ModelFailed,
    ModelLoading,
)
from facet.heads.errors import BackboneMissing, ExplanationFailed, HeadUnavailable, NotExplainable
from facet.manifest import HeadManifest
from facet.observability import logger
from facet.registry.models import Place, RunIn, Serving, Version
from predict.canary import CanaryCounter, Variant, goes_to_candidate
from predict.classification.classifier import Classifier, Image
from predict.classification.predictions import Predictions
from predict.endpoint_health import EndpointHealth
from predict.metrics import PredictionMetrics
from predict.timing import Deadline, Stopwatch
from predict.version_cache import VersionCache

DELETED = (ClientError, LiteRTMissing, HeadUnavailable)
"""Errors of which some say that an object in the models' bucket has been deleted."""


@dataclass(frozen=True)
class PredictionRequest:
    """Images for a model, in the form `Classifier.classify` takes, and the time for the answer.

    Without a `version` the live version or a canary's candidate answers. `explain` asks why the
    only image got its first label.
    """

    request_id: str
    model: str
    images: Sequence[Image]
    deadline: Deadline
    version: str | None = None
    explain: bool = False


class Predictor:
    """Predicts with the requested version, a canary's candidate, or the live version."""

    def __init__(
        self,
        versions: VersionCache,
        classifier: Classifier,
        counter: CanaryCounter,
        metrics: PredictionMetrics,
        health: EndpointHealth,
    ) -> None:
        self._versions = versions
        self._classifier = classifier
        self._counter = counter
        self._metrics = metrics
        self._health = health

    def predict(self, request: PredictionRequest) -> Predictions:
        """Returns the scores of every image, or its error.

        If the cached version, or a head's backbone, has been deleted from the models' bucket, reads
        the registry again and retries once. Raises what `VersionCache` and `Classifier.classify`
        raise.
        """
        stopwatch = Stopwatch()
        try:
            return self._predict(request, stopwatch)
        except DELETED as error:
            if not _is_deleted(error):
                raise
            logger().warning("target not found", model=request.model, exc_info=error)
        return self._predict(request, stopwatch)

    def _predict(self, request: PredictionRequest, stopwatch: Stopwatch) -> Predictions:
        if request.version:
            with stopwatch.step("registry"):
                version = self._versions.ready(request.model, request.version)
                run_in = self._versions.model(request.model).run_in
            return self._classify(request, version, run_in, stopwatch)
        with stopwatch.step("registry"):
            serving = self._versions.serving(request.model)
        canary = serving.model.canary
        if serving.candidate and canary and goes_to_candidate(canary.percent, request.request_id):
            return self._predict_with_fallback(request, serving, serving.candidate, stopwatch)
        return self._classify_and_count(request, serving, Variant.LIVE, serving.live, stopwatch)

    def _predict_with_fallback(
        self, request: PredictionRequest, serving: Serving, candidate: Version, stopwatch: Stopwatch
    ) -> Predictions:
        """Returns the candidate's scores, or the live version's if the candidate fails on any."""
        try:
            return self._classify_and_count(
                request, serving, Variant.CANDIDATE, candidate, stopwatch
            )
        except (
            ModelFailed,
            EndpointUnavailable,
            BodyTooLarge,
            HeadUnavailable,
            BackboneMissing,
        ) as error:
            reason = error.reason if isinstance(error, ModelFailed) else str(error)
            logger().error("candidate failed", target=candidate.target, reason=reason)
        except (NotExplainable, ExplanationFailed):
            pass  # it says nothing about the candidate's labels, and is not counted
        except ClientError as error:
            if not _is_deleted(error):
                raise
            logger().warning("candidate not found", target=candidate.target, exc_info=error)
        return self._classify(request, serving.live, serving.model.run_in, stopwatch)

    def _classify_and_count(
        self,
        request: PredictionRequest,
        serving: Serving,
        variant: Variant,
        version: Version,
        stopwatch: Stopwatch,
    ) -> Predictions:
        """Counts a success, or a ModelFailed of any image; other errors say nothing about it.

        A candidate's failure on any image is raised.
        """
        try:
            predictions = self._classify(
                request,
                version,
                serving.model.run_in,
                stopwatch,
                whole=variant is Variant.CANDIDATE,
            )
        except ModelFailed:
            self._count(serving, variant, stopwatch, good=False)
            raise
        failed = _first(ModelFailed, predictions) is not None
        if failed or (predictions.answered and not _first(EndpointUnavailable, predictions)):
            self._count(serving, variant, stopwatch, good=not failed)
        return predictions

    def _classify(
        self,
        request: PredictionRequest,
        version: Version,
        run_in: RunIn | None,
        stopwatch: Stopwatch,
        *,
        whole: bool = False,
    ) -> Predictions:
        """If `whole`, raises a ModelFailed or EndpointUnavailable of any image."""
        try:
            predictions = self._ask(request, version, run_in, stopwatch)
            error = _first(ModelFailed, predictions) or _first(EndpointUnavailable, predictions)
            if whole and error:
                raise error
        except (EndpointUnavailable, ModelLoading) as error:
            if error.place is not Place.FUNCTION:
                self._health.failed(request.model, removed=isinstance(error, EndpointRemoved))
            if isinstance(error, ModelLoading):
                self._metrics.record_failure(version, error, request.request_id)
            raise
        except ModelFailed as error:
            if error.place is not Place.FUNCTION:
                self._health.answered()
            self._metrics.record_failure(version, error, request.request_id)
            raise
        if predictions.answered:
            if predictions.place is Place.FUNCTION:
                self._health.function_answered()
            else:
                self._health.answered()
            self._metrics.record_prediction(predictions, request.request_id)
        for failure in predictions.failures.values():
            if isinstance(failure, ModelFailed | ModelLoading):
                self._metrics.record_failure(version, failure, request.request_id)
                break
        return predictions

    def _ask(
        self,
        request: PredictionRequest,
        version: Version,
        run_in: RunIn | None,
        stopwatch: Stopwatch,
    ) -> Predictions:
        """If something that it needs has been deleted, the registry is read again after this."""
        try:
            return self._classifier.classify(
                version,
                request.images,
                request.deadline,
                stopwatch,
                request.request_id,
                run_in,
                explain=request.explain,
            )
        except DELETED as error:
            if _is_deleted(error):
                self._versions.expire(request.model, request.version)
                if isinstance(version.manifest, HeadManifest):
                    backbone = version.manifest.backbone
                    self._versions.expire(backbone.model, backbone.version)
            raise

    def _count(
        self, serving: Serving, variant: Variant, stopwatch: Stopwatch, *, good: bool
    ) -> None:
        if serving.candidate:
            with stopwatch.step("registry"):
                self._counter.count(serving.model, variant, good=good)


def _first(kind: type[FacetError], predictions: Predictions) -> FacetError | None:
    return next((each for each in predictions.failures.values() if isinstance(each, kind)), None)


def _is_deleted(error: ClientError | LiteRTMissing | HeadUnavailable) -> bool:
    """SageMaker answers ValidationError when the target model has no object, among other cases."""
    if isinstance(error, LiteRTMissing):
        return True
    if isinstance(error, HeadUnavailable):
        return error.missing
    return error.response["Error"]["Code"] == "ValidationError"
