"""A request → the version that answers it → the answer: the one path of every prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from facet.errors import BodyTooLarge, EndpointUnavailable, ModelFailed, ModelLoading
from facet.observability import logger
from facet.preprocess import Pixels
from facet.registry.models import Serving, Version
from predict.canary import CanaryCounter, Variant, chosen
from predict.classifier import Classifier, Predictions
from predict.metrics import PredictionMetrics
from predict.timing import Deadline, Stopwatch
from predict.version_cache import VersionCache


@dataclass(frozen=True)
class PredictionRequest:
    """A prediction's request: images as `Classifier` takes them, answered by the live version.

    Or by `version`, where one is asked for by name. The answer has to be there by the `deadline`.
    """

    request_id: str
    model: str
    images: Sequence[bytes | Pixels]
    deadline: Deadline
    version: str | None = None


class Predictor:
    """Answers with the live version, a canary's candidate, or the version asked for."""

    def __init__(
        self,
        versions: VersionCache,
        classifier: Classifier,
        counter: CanaryCounter,
        metrics: PredictionMetrics,
    ) -> None:
        self._versions = versions
        self._classifier = classifier
        self._counter = counter
        self._metrics = metrics

    def predict(self, request: PredictionRequest) -> Predictions:
        """The answer; a second try where the cache named a version that is gone by now.

        Raises what `VersionCache` and `Classifier.classify` raise.
        """
        stopwatch = Stopwatch()
        try:
            return self._answer(request, stopwatch)
        except ClientError as error:
            if not _gone(error):
                raise
            logger().warning("target not found", model=request.model, exc_info=error)
        self._versions.expire(request.model, request.version)
        return self._answer(request, stopwatch)

    def _answer(self, request: PredictionRequest, stopwatch: Stopwatch) -> Predictions:
        if request.version:
            with stopwatch.step("registry"):
                named = self._versions.named(request.model, request.version)
            return self._classified(request, named, stopwatch)
        with stopwatch.step("registry"):
            serving = self._versions.serving(request.model)
        canary = serving.model.canary
        if serving.candidate and canary and chosen(canary.percent, request.request_id):
            return self._try(request, serving, serving.candidate, stopwatch)
        return self._counted(request, serving, Variant.LIVE, serving.live, stopwatch)

    def _try(
        self, request: PredictionRequest, serving: Serving, candidate: Version, stopwatch: Stopwatch
    ) -> Predictions:
        """The candidate's answer, or the live version's where the candidate has none."""
        try:
            return self._counted(request, serving, Variant.CANDIDATE, candidate, stopwatch)
        except (ModelFailed, EndpointUnavailable, BodyTooLarge) as error:
            reason = error.reason if isinstance(error, ModelFailed) else str(error)
            logger().error("candidate failed", target=candidate.target, reason=reason)
        except ClientError as error:
            if not _gone(error):
                raise
            logger().warning("candidate not found", target=candidate.target, exc_info=error)
            self._versions.expire(request.model)
        return self._classified(request, serving.live, stopwatch)

    def _counted(
        self,
        request: PredictionRequest,
        serving: Serving,
        variant: Variant,
        version: Version,
        stopwatch: Stopwatch,
    ) -> Predictions:
        """Only an answer and ModelFailed say something of the version."""
        try:
            answer = self._classified(request, version, stopwatch)
        except ModelFailed:
            self._count(serving, variant, stopwatch, good=False)
            raise
        self._count(serving, variant, stopwatch, good=True)
        return answer

    def _count(
        self, serving: Serving, variant: Variant, stopwatch: Stopwatch, *, good: bool
    ) -> None:
        if serving.candidate:
            with stopwatch.step("registry"):
                self._counter.count(serving.model, variant, good=good)

    def _classified(
        self, request: PredictionRequest, version: Version, stopwatch: Stopwatch
    ) -> Predictions:
        classify = self._classifier.classify
        try:
            answer = classify(
                version, request.images, request.deadline, stopwatch, request.request_id
            )
        except (ModelFailed, ModelLoading) as error:
            self._metrics.failed(version, error, request.request_id)
            raise
        self._metrics.answered(answer, request.request_id)
        return answer


def _gone(error: ClientError) -> bool:
    """SageMaker's word for a target model without an object, among other things."""
    return error.response["Error"]["Code"] == "ValidationError"
