"""The container's Prometheus metrics, read by Prometheus' own parser."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics import Metrics


def reported(metrics: Metrics) -> dict[tuple[str, str], float]:
    text = asyncio.run(metrics.text()).decode()
    return {
        (sample.name, sample.labels.get("model") or sample.labels.get("error", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_counts_requests_loads_and_errors_by_model() -> None:
    metrics = Metrics()
    metrics.loaded("a", 100, 70)
    metrics.loaded("b", 20, 0)
    metrics.load_failed("c")
    for _ in range(3):
        metrics.answered("a", 0.1, failed=False)
    metrics.answered("b", 0.2, failed=True)
    metrics.add_error("BadInput")
    metrics.unloaded("b")
    figures = reported(metrics)
    assert figures["facet_request_seconds_count", "a"] == 3
    assert figures["facet_request_seconds_sum", "a"] == pytest.approx(0.3)
    assert figures["facet_request_seconds_count", "b"] == 1
    assert figures["facet_request_errors_total", "b"] == 1
    assert ("facet_request_errors_total", "a") not in figures
    assert figures["facet_errors_total", "BadInput"] == 1
    assert figures["facet_loads_total", "a"] == figures["facet_loads_total", "b"] == 1
    assert figures["facet_load_failures_total", "c"] == 1
    assert figures["facet_unloads_total", "b"] == 1
    assert figures["facet_resident_bytes", "a"] == 100
    assert figures["facet_mapped_bytes", "a"] == 70
    assert ("facet_resident_bytes", "b") not in figures
    assert ("facet_mapped_bytes", "b") not in figures
    assert figures["facet_loaded_models", ""] == 1
    assert figures["facet_latency_seconds_count", ""] == 4
    assert figures["process_resident_memory_bytes", ""] > 1e6


def test_forgets_the_models_unloaded_longest_ago() -> None:
    metrics = Metrics(unloaded_models=2)
    for name in ("a", "b", "c", "d"):
        metrics.loaded(name, 1, 0)
        metrics.answered(name, 0.1, failed=False)
    for name in ("b", "a", "c"):
        metrics.unloaded(name)
    metrics.loaded("a", 1, 0)
    metrics.load_failed("broken")
    models = {name for metric, name in reported(metrics) if metric == "facet_request_seconds_count"}
    assert models == {"a", "c", "d"}
    assert ("facet_unloads_total", "b") not in reported(metrics)
    assert ("facet_unloads_total", "a") in reported(metrics)
