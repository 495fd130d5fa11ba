"""The container's metrics, in Prometheus' form."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

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
"""Upper bounds of latencies in seconds. Of all models together: a series each is too many."""

REMEMBERED = 1000
"""Models that are not loaded, and whose figures are still told."""


class Metrics:
    """What is counted for each target model. To be used on one event loop."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._unloaded: OrderedDict[str, None] = OrderedDict()
        registry = self._registry = CollectorRegistry()
        model = ("model",)
        self._seconds = Summary(
            "facet_request_seconds", "Requests, and their time", model, registry=registry
        )
        self._latency = Histogram(
            "facet_latency_seconds", "Of all requests", buckets=BUCKETS, registry=registry
        )
        self._errors = Counter(
            "facet_request_errors", "Requests that failed", model, registry=registry
        )
        self._refusals = Counter(
            "facet_errors", "Answers of every kind of error", ("error",), registry=registry
        )
        self._loads = Counter("facet_loads", "Loads that ended well", model, registry=registry)
        self._failures = Counter(
            "facet_load_failures", "Loads that failed", model, registry=registry
        )
        self._unloads = Counter("facet_unloads", "Unloads", model, registry=registry)
        self._bytes = Gauge(
            "facet_resident_bytes", "What a loaded model is charged", model, registry=registry
        )
        self._count = Gauge("facet_loaded_models", "Models in memory", registry=registry)
        ProcessCollector(registry=registry)

    async def text(self) -> bytes:
        """What Prometheus reads."""
        return await asyncio.to_thread(generate_latest, self._registry)

    @contextmanager
    def request(self, target: str) -> Iterator[None]:
        """Counts what happens inside as a request to that model."""
        began = time.perf_counter()
        try:
            yield
        except Exception:
            self._errors.labels(target).inc()
            raise
        finally:
            took = time.perf_counter() - began
            self._latency.observe(took)
            self._seconds.labels(target).observe(took)

    def loaded(self, target: str, size: int) -> None:
        """A model takes `size` bytes from now on."""
        self._loads.labels(target).inc()
        self._bytes.labels(target).set(size)
        self._count.inc()
        self._unloaded.pop(target, None)

    def not_loaded(self, target: str) -> None:
        """A load failed."""
        self._failures.labels(target).inc()
        self._remember(target)

    def refused(self, error: str) -> None:
        """An answer other than 200, by the error's name."""
        self._refusals.labels(error).inc()

    def unloaded(self, target: str) -> None:
        """It gave its bytes back."""
        self._unloads.labels(target).inc()
        self._bytes.remove(target)
        self._count.dec()
        self._remember(target)

    def _remember(self, target: str) -> None:
        """Forgets the model that was unloaded longest ago, where they are too many."""
        self._unloaded[target] = None
        self._unloaded.move_to_end(target)
        if len(self._unloaded) > self._remembered:
            forgotten, _ = self._unloaded.popitem(last=False)
            counters = (self._errors, self._loads, self._failures, self._unloads)
            for metric in (self._seconds, *counters):
                metric.remove(forgotten)
