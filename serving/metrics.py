"""The container's metrics in Prometheus' text format."""

import asyncio
from collections import OrderedDict

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of latencies in seconds, for all models together: buckets per model are too many."""

UNLOADED_MODELS = 1000
"""Models that are not loaded, and whose metrics are still reported."""


class Metrics:
    """Counters and gauges, most of them by target model. For use on one event loop."""

    def __init__(self, unloaded_models: int = UNLOADED_MODELS) -> None:
        self._unloaded_models = unloaded_models
        self._unloaded: OrderedDict[str, None] = OrderedDict()
        registry = self._registry = CollectorRegistry()
        model = ("model",)
        self._seconds = Summary(
            "facet_request_seconds", "Requests, and the seconds they took", model, registry=registry
        )
        self._seconds_of: dict[str, Summary] = {}
        self._latency = Histogram(
            "facet_latency_seconds", "Latency of all requests", buckets=BUCKETS, registry=registry
        )
        self._batches = Summary(
            "facet_batch_requests", "Batches, and the requests in them", registry=registry
        )
        self._errors = Counter(
            "facet_request_errors", "Requests that failed", model, registry=registry
        )
        self._error_responses = Counter(
            "facet_errors", "Error responses by error", ("error",), registry=registry
        )
        self._loads = Counter("facet_loads", "Loads that succeeded", model, registry=registry)
        self._failures = Counter(
            "facet_load_failures", "Loads that failed", model, registry=registry
        )
        self._overruns = Counter(
            "facet_overruns", "Loads and computations over the limit", model, registry=registry
        )
        self._unloads = Counter("facet_unloads", "Unloads", model, registry=registry)
        self._bytes = Gauge(
            "facet_resident_bytes", "Memory reserved for a loaded model", model, registry=registry
        )
        self._mapped = Gauge(
            "facet_mapped_bytes", "Files that a loaded model maps", model, registry=registry
        )
        self._count = Gauge("facet_loaded_models", "Models in memory", registry=registry)
        ProcessCollector(registry=registry)

    async def text(self) -> bytes:
        """All metrics in the text format."""
        return await asyncio.to_thread(generate_latest, self._registry)

    def answered(self, target: str, seconds: float, *, failed: bool) -> None:
        """Count a request to that model, and the seconds from its arrival to its answer."""
        self._latency.observe(seconds)
        if target not in self._seconds_of:
            self._seconds_of[target] = self._seconds.labels(target)
        self._seconds_of[target].observe(seconds)
        if failed:
            self._errors.labels(target).inc()

    def batched(self, requests: int) -> None:
        """Count a batch of so many requests."""
        self._batches.observe(requests)

    def loaded(self, target: str, size: int, mapped: int) -> None:
        """Count a load. size: bytes reserved for the model.  mapped: bytes of the files that it
        maps.
        """
        self._loads.labels(target).inc()
        self._bytes.labels(target).set(size)
        self._mapped.labels(target).set(mapped)
        self._count.inc()
        self._unloaded.pop(target, None)

    def load_failed(self, target: str) -> None:
        self._failures.labels(target).inc()
        self._keep_for_now(target)

    def overran(self, target: str) -> None:
        self._overruns.labels(target).inc()

    def add_error(self, error: str) -> None:
        """Count an error response. error: the name of its class."""
        self._error_responses.labels(error).inc()

    def unloaded(self, target: str) -> None:
        self._unloads.labels(target).inc()
        self._bytes.remove(target)
        self._mapped.remove(target)
        self._count.dec()
        self._keep_for_now(target)

    def _keep_for_now(self, target: str) -> None:
        """Keep the metrics of a model that is not loaded, and remove the oldest such model's."""
        self._unloaded[target] = None
        self._unloaded.move_to_end(target)
        if len(self._unloaded) > self._unloaded_models:
            oldest, _ = self._unloaded.popitem(last=False)
            self._seconds_of.pop(oldest, None)
            counters = (
                *(self._errors, self._loads, self._failures, self._overruns, self._unloads),
            )
            for metric in (self._seconds, *counters):
                metric.remove(oldest)
