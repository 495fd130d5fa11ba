"""A request → the version that answers it → the answer: the one path of every prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from facet.errors import BodyTooLarge, EndpointUnavailable, ModelFailed, ModelLoading
from facet.observability import logger
from facet.preprocess import Pixels
from facet.registry.models import Serving, Version
from predict.canary import Arm, Tally, chosen
from predict.classifier import Classified, Classifier
from predict.metrics import Measures
from predict.timing import Deadline, Watch
from predict.version_cache import LiveVersions


@dataclass(frozen=True)
class Asked:
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
        self, versions: LiveVersions, classifier: Classifier, tally: Tally, measures: Measures
    ) -> None:
        self._versions = versions
        self._classifier = classifier
        self._tally = tally
        self._measures = measures

    def predict(self, asked: Asked) -> Classified:
        """The answer; a second try where the cache named a version that is gone by now.

        Raises what `LiveVersions` and `Classifier.classify` raise.
        """
        watch = Watch()
        try:
            return self._answer(asked, watch)
        except ClientError as error:
            if not _gone(error):
                raise
            logger().warning("target not found", model=asked.model, exc_info=error)
        self._versions.expire(asked.model, asked.version)
        return self._answer(asked, watch)

    def _answer(self, asked: Asked, watch: Watch) -> Classified:
        if asked.version:
            with watch.step("registry"):
                named = self._versions.named(asked.model, asked.version)
            return self._classified(asked, named, watch)
        with watch.step("registry"):
            serving = self._versions.serving(asked.model)
        canary = serving.model.canary
        if serving.candidate and canary and chosen(canary.percent, asked.request_id):
            return self._try(asked, serving, serving.candidate, watch)
        return self._counted(asked, serving, Arm.LIVE, serving.live, watch)

    def _try(self, asked: Asked, serving: Serving, candidate: Version, watch: Watch) -> Classified:
        """The candidate's answer, or the live version's where the candidate has none."""
        try:
            return self._counted(asked, serving, Arm.CANDIDATE, candidate, watch)
        except (ModelFailed, EndpointUnavailable, BodyTooLarge) as error:
            reason = error.reason if isinstance(error, ModelFailed) else str(error)
            logger().error("candidate failed", target=candidate.target, reason=reason)
        except ClientError as error:
            if not _gone(error):
                raise
            logger().warning("candidate not found", target=candidate.target, exc_info=error)
            self._versions.expire(asked.model)
        return self._classified(asked, serving.live, watch)

    def _counted(
        self, asked: Asked, serving: Serving, arm: Arm, version: Version, watch: Watch
    ) -> Classified:
        """Only an answer and ModelFailed say something of the version."""
        try:
            answer = self._classified(asked, version, watch)
        except ModelFailed:
            self._count(serving, arm, watch, good=False)
            raise
        self._count(serving, arm, watch, good=True)
        return answer

    def _count(self, serving: Serving, arm: Arm, watch: Watch, *, good: bool) -> None:
        if serving.candidate:
            with watch.step("registry"):
                self._tally.count(serving.model, arm, good=good)

    def _classified(self, asked: Asked, version: Version, watch: Watch) -> Classified:
        classify = self._classifier.classify
        try:
            answer = classify(version, asked.images, asked.deadline, watch, asked.request_id)
        except (ModelFailed, ModelLoading) as error:
            self._measures.failed(version, error, asked.request_id)
            raise
        self._measures.answered(answer, asked.request_id)
        return answer


def _gone(error: ClientError) -> bool:
    """SageMaker's word for a target model without an object, among other things."""
    return error.response["Error"]["Code"] == "ValidationError"
