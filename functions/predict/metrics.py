"""What predictions tell CloudWatch: of all models together, and of a few by name."""

from collections.abc import Container

from facet.errors import ModelFailed, ModelLoading
from facet.observability import measure
from facet.registry.models import Version
from predict.classifier import Predictions

OTHERS = "other"
"""The model and version of all that nobody watches: each pair that has a name is billed."""

FAILURES: dict[type[Exception], str] = {
    ModelFailed: "ModelFailures",
    ModelLoading: "StillLoading",
}
"""What becomes of a prediction by the model's own doing, and the metric that counts it."""


class PredictionMetrics:
    """Writes metrics of the `watched` models by name, and of all the others as one."""

    def __init__(self, watched: Container[str]) -> None:
        self._watched = watched

    def answered(self, answer: Predictions, request_id: str) -> None:
        """One prediction, its images, and the milliseconds that each step of it took."""
        counts = {"Predictions": 1, "Images": len(answer.scores)}
        steps = answer.stopwatch.milliseconds
        times = {f"{name.capitalize()}Time": spent for name, spent in steps.items()}
        self._measure(counts, times, answer.version, request_id)

    def failed(self, version: Version, error: ModelFailed | ModelLoading, request_id: str) -> None:
        """One invocation that brought no answer; the line names the version whatever is watched."""
        self._measure({FAILURES[type(error)]: 1}, {}, version, request_id)

    def _measure(
        self, counts: dict[str, int], times: dict[str, float], version: Version, request_id: str
    ) -> None:
        named = (version.model, version.id) if version.model in self._watched else (OTHERS, OTHERS)
        properties = {"target": version.target, "request_id": request_id}
        measure(counts, times, dict(zip(("model", "version"), named, strict=True)), properties)
