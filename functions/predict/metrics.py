"""CloudWatch metrics of predictions: one series for all models, and one for each watched model."""

from collections.abc import Container

from facet.errors import ModelFailed, ModelLoading
from facet.keys import target_model
from facet.manifest import HeadManifest
from facet.observability import measure
from facet.registry.models import Version
from predict.classification.predictions import Predictions

OTHER = "other"
"""The dimension `model` and `version` of every model that is not watched: CloudWatch bills each
pair of names."""

FAILURE_METRICS: dict[type[Exception], str] = {
    ModelFailed: "ModelFailures",
    ModelLoading: "StillLoading",
}
"""Failures caused by the model itself, and the metric that counts each."""


class PredictionMetrics:
    """Writes metrics of the `watched` models by name, and of all other models as one."""

    def __init__(self, watched: Container[str]) -> None:
        self._watched = watched

    def record_prediction(self, predictions: Predictions, request_id: str) -> None:
        """Records one prediction, its images with an answer, those of a batch that were sent by
        themselves, and the milliseconds of each step.
        """
        counts = {"Predictions": 1, "Images": predictions.answered}
        if predictions.alone:
            counts["ImagesAlone"] = predictions.alone
        steps = predictions.stopwatch.milliseconds
        times = {f"{name.capitalize()}Time": spent for name, spent in steps.items()}
        self._measure(counts, times, predictions.version, request_id, predictions.place)

    def record_failure(
        self, version: Version, error: ModelFailed | ModelLoading, request_id: str
    ) -> None:
        """Records one failed invocation. The log line names the version, watched or not."""
        metric = next(name for kind, name in FAILURE_METRICS.items() if isinstance(error, kind))
        self._measure({metric: 1}, {}, version, request_id, error.place)

    def _measure(
        self,
        counts: dict[str, int],
        times: dict[str, float],
        version: Version,
        request_id: str,
        place: str | None,
    ) -> None:
        """`place` is a property of the line, not a dimension, which CloudWatch would bill."""
        watched = version.model in self._watched
        dimensions = {
            "model": version.model if watched else OTHER,
            "version": version.id if watched else OTHER,
        }
        properties = {"target": version.target, "request_id": request_id}
        if isinstance(version.manifest, HeadManifest):
            backbone = version.manifest.backbone
            properties["backbone"] = target_model(backbone.model, backbone.version)
        if place:
            properties["ran_in"] = place
        measure(counts, times, dimensions, properties)
