"""Structured logs and metrics, one line of JSON each, through AWS Lambda Powertools."""

from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Facet"
"""Of all metrics, in CloudWatch."""


@cache
def logger() -> Logger:
    """The process's logger; level and service name come from Powertools' own variables."""
    return Logger()


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Adds to a metric. It is written at once, so that it outlives an error that follows.

    Dimensions are what CloudWatch bills by: names of bounded sets, never of models.
    """
    with single_metric(metric, MetricUnit.Count, value, namespace=NAMESPACE) as written:
        for name, each in dimensions.items():
            written.add_dimension(name, each)
