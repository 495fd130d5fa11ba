"""Structured logs and metrics, one line of JSON each, through AWS Lambda Powertools.

CloudWatch bills by dimensions, so that only names from bounded sets are dimensions. Others are
properties of the line, which Logs Insights can query. Every metric has the dimension `service`, the
stack's name.
"""

from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "Facet"
"""The CloudWatch namespace of all metrics."""


@cache
def logger() -> Logger:
    """The process's logger; level and service name come from Powertools' own variables."""
    return Logger()


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Adds to a metric. It is written at once, so that a later error does not lose it."""
    line = _line(dimensions)
    line.add_metric(metric, MetricUnit.Count, value)
    line.flush_metrics()


def measure(
    counts: Mapping[str, int],
    milliseconds: Mapping[str, float],
    dimensions: Mapping[str, str],
    properties: Mapping[str, str],
) -> None:
    """Adds to several metrics with one line, each by its `dimensions` and without them."""
    line = _line(dimensions)
    line.add_dimensions(service=logger().service)
    for name, number in counts.items():
        line.add_metric(name, MetricUnit.Count, number)
    for name, spent in milliseconds.items():
        line.add_metric(name, MetricUnit.Milliseconds, spent)
    for name, each in properties.items():
        line.add_metadata(name, each)
    line.flush_metrics()


def _line(dimensions: Mapping[str, str]) -> EphemeralMetrics:
    line = EphemeralMetrics(namespace=NAMESPACE)
    for name, each in {"service": logger().service, **dimensions}.items():
        line.add_dimension(name, each)
    return line
