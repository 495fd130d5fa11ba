"""`facet verify` on alarms: metrics that exist, exist otherwise, or exist only after a failure."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from cli.verify.check import Finding, State
from cli.verify.checks.alarms import ONLY_AFTER, alarms
from tests.support.template.watching import of_alarms
from tests.support.verifying import session

WHEN_USED = {
    ("/aws/sagemaker/Endpoints", "DiskUtilization"),
    ("/aws/sagemaker/Endpoints", "MemoryUtilization"),
    ("AWS/ApiGateway", "5XXError"),
    ("AWS/ApiGateway", "Latency"),
    ("AWS/Lambda", "Throttles"),
    ("AWS/SageMaker", "Invocation5XXErrors"),
    ("AWS/SageMaker", "ModelCacheHit"),
    ("AWS/SageMaker", "ModelLatency"),
    ("AWS/SageMaker", "ModelLoadingWaitTime"),
}
"""Metrics that AWS has of a stack that is used, whether something fails or not."""

OURS = {"service": "facet"}
Metric = tuple[str, str, dict[str, str]]


def described(name: str, *metrics: Metric) -> dict[str, Any]:
    """An alarm as CloudWatch describes it: on a metric, or on an expression of several."""
    parts = [
        {
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        }
        for namespace, metric, dimensions in metrics
    ]
    if len(parts) == 1:
        return {"AlarmName": name} | parts[0]
    queries = [
        {"Id": "all", "Expression": "a + b"},
        *({"MetricStat": {"Metric": each}} for each in parts),
    ]
    return {"AlarmName": name, "Metrics": queries}


class CloudWatch:
    """Alarms, the metrics that are listed, and those that only have data yet."""

    def __init__(
        self, *alarms: dict[str, Any], listed: Iterable[Metric] = (), data: Iterable[Metric] = ()
    ) -> None:
        self.alarms, self.listed, self.data = alarms, [*listed], [*data]
        self.rollback: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> Any:
        return type("Pages", (), {"paginate": staticmethod(getattr(self, operation))})

    def list_stack_resources(self, **_: Any) -> Iterator[Any]:
        topic = {
            "LogicalResourceId": "AlarmTopic",
            "PhysicalResourceId": "arn:topic",
            "ResourceType": "AWS::SNS::Topic",
        }
        yield {"StackResourceSummaries": [topic]}

    def describe_endpoint(self, **_: Any) -> Any:
        alarms = [{"AlarmName": each["AlarmName"]} for each in self.rollback]
        return {"LastDeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": alarms}}}

    def describe_alarms(self, **chosen: Any) -> Iterator[Any]:
        if chosen == {"ActionPrefix": "arn:topic"}:
            yield {"MetricAlarms": [*self.alarms]}
        else:
            assert chosen == {"AlarmNames": [each["AlarmName"] for each in self.rollback]}
            yield {"MetricAlarms": self.rollback}

    def list_metrics(self, Namespace: str, MetricName: str) -> Iterator[Any]:  # noqa: N803
        found = [each for each in self.listed if each[:2] == (Namespace, MetricName)]
        yield {
            "Metrics": [
                {"Dimensions": [{"Name": key, "Value": value} for key, value in each[2].items()]}
                for each in found
            ]
        }

    def get_metric_statistics(self, **asked: Any) -> Any:
        dimensions = {each["Name"]: each["Value"] for each in asked["Dimensions"]}
        known = (asked["Namespace"], asked["MetricName"], dimensions) in self.data
        return {"Datapoints": [{"SampleCount": 1.0}] if known else []}


def judged(cloudwatch: CloudWatch, *, updated: bool = False) -> list[Finding]:
    own = session(dict.fromkeys(("cloudwatch", "cloudformation", "sagemaker"), cloudwatch))
    own.updated = updated
    return alarms.findings(own)


LATENCY: Metric = (
    "AWS/SageMaker",
    "ModelLatency",
    {"EndpointName": "facet", "VariantName": "AllTraffic"},
)
FAILED: Metric = ("Facet", "Uploads", OURS | {"outcome": "FAILED"})
READY: Metric = ("Facet", "Uploads", OURS | {"outcome": "READY"})


@pytest.mark.parametrize("where", ["listed", "data"])
def test_a_metric_that_exists_is_seen(where: str) -> None:
    (found,) = judged(CloudWatch(described("slow", LATENCY), **{where: [LATENCY]}))
    assert (found.state, found.subject) == (State.SEEN, "slow")


def test_a_metric_of_the_same_thing_with_another_dimension_is_different() -> None:
    other: Metric = (*LATENCY[:2], {"EndpointName": "facet", "Variant": "AllTraffic"})
    (found,) = judged(CloudWatch(described("slow", LATENCY), listed=[other]))
    assert found.state is State.DIFFERENT
    assert found.found.endswith("but it exists as {EndpointName=facet, Variant=AllTraffic}")


def test_a_metric_of_others_says_nothing() -> None:
    other: Metric = (*LATENCY[:2], {"EndpointName": "theirs", "Variant": "Blue"})
    (found,) = judged(CloudWatch(described("slow", LATENCY), listed=[other]))
    assert found.state is State.DIFFERENT
    assert "had no data" in found.found


def test_a_metric_of_failures_is_not_tried_but_its_dimensions_are_compared() -> None:
    (found,) = judged(CloudWatch(described("failing", FAILED), listed=[READY]))
    assert found.state is State.NOT_TRIED
    assert "before onboarding fails; it exists as {outcome=READY, service=facet}" in found.found
    wrong: Metric = (*READY[:2], OURS | {"result": "READY"})
    (found,) = judged(CloudWatch(described("failing", FAILED), listed=[wrong]))
    assert found.state is State.DIFFERENT


def of_fleet(config: str) -> Metric:
    return (*LATENCY[:2], LATENCY[2] | {"EndpointConfigName": config})


@pytest.mark.parametrize(
    ("listed", "updated", "state"),
    [
        ([LATENCY], False, State.NOT_TRIED),
        ([LATENCY], True, State.DIFFERENT),
        ([LATENCY, of_fleet("another")], True, State.SEEN),
        ([of_fleet("this")], False, State.SEEN),
    ],
)
def test_an_alarm_on_one_fleet_needs_an_update(
    listed: list[Metric], updated: bool, state: State
) -> None:
    cloudwatch = CloudWatch(listed=listed)
    cloudwatch.rollback = [described("facet-update-latency", of_fleet("this"))]
    (found,) = judged(cloudwatch, updated=updated)
    assert (found.state, found.subject) == (state, "facet-update-latency")


def test_each_metric_of_an_expression_is_judged() -> None:
    both = judged(CloudWatch(described("sum", LATENCY, FAILED), listed=[LATENCY]))
    assert sorted(each.state for each in both) == [State.NOT_TRIED, State.SEEN]


def test_without_alarms_it_is_not_tried() -> None:
    (found,) = judged(CloudWatch())
    assert (found.state, found.found) == (State.NOT_TRIED, "the stack has no alarms")


def test_of_each_alarms_metric_it_is_known_whether_use_alone_brings_it() -> None:
    watched = {(each.namespace, each.name) for each in of_alarms()}
    assert watched <= WHEN_USED | ONLY_AFTER.keys()
    assert not WHEN_USED & ONLY_AFTER.keys()
    assert ONLY_AFTER.keys() <= watched, "an alarm is gone"
