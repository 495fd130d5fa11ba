"""Alarms watch metrics that exist: with the alarm's own dimensions, not others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.client.resources import TOPIC, resources
from cli.verify.check import NotTried, Result, State, check
from cli.verify.session import Session

ALARM_TOPIC = "AlarmTopic"
"""The topic that every alarm of template.yaml notifies."""

SECONDS = 300.0
"""How late CloudWatch has a metric, at most; the list of metrics may be 15 minutes late, its data
are not: ListMetrics in CloudWatch's API reference."""

POLL = 15.0
RECENT = timedelta(hours=3)
PERIOD = 300

ONLY_AFTER = {
    ("AWS/DynamoDB", "ReadThrottleEvents"): "DynamoDB throttles the registry",
    ("AWS/DynamoDB", "WriteThrottleEvents"): "DynamoDB throttles the registry",
    ("AWS/Lambda", "Errors"): "the sweeper has run, which it does every 15 minutes",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "its queue is in use",
    ("AWS/States", "ExecutionsFailed"): "an execution of the state machine fails",
    ("Facet", "AnswersFromMemory"): "the registry cannot be reached",
    ("Facet", "Canaries"): "a canary is rolled back",
    ("Facet", "ModelFailures"): "a model fails",
    ("Facet", "Problems"): "SageMaker throttles the endpoint",
    ("Facet", "SweepFailures"): "the sweeper could not do something",
    ("Facet", "Teachings"): "a teaching fails",
    ("Facet", "TrainingJobs"): "a training job fails",
    ("Facet", "Uploads"): "onboarding fails",
}
"""Metrics that have data only after something that verify does not cause or wait for.

SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

FLEET = "EndpointConfigName"
"""The dimension by which an update's alarms see the new fleet alone (template.yaml)."""

Dimensions = Mapping[str, str]


@dataclass(frozen=True)
class Watched:
    """A metric that an alarm watches."""

    alarm: str
    namespace: str
    name: str
    dimensions: Dimensions

    @property
    def only_after(self) -> str:
        """What must have happened before the metric has data, or nothing."""
        if FLEET in self.dimensions:
            return "an update of the endpoint"
        return ONLY_AFTER.get((self.namespace, self.name), "")

    def __str__(self) -> str:
        return f"{self.namespace} {self.name} {_text(self.dimensions)}"


@check("alarms", "Each alarm watches a metric that exists with the alarm's dimensions.")
def alarms(session: Session) -> list[Result]:
    watched = sorted(_watched(session), key=lambda each: each.alarm)
    seen: list[Watched] = []

    def all_seen() -> bool | None:
        seen[:] = [each for each in watched if each in seen or _exists(session, each)]
        return all(each in seen or each.only_after for each in watched) or None

    session.until(SECONDS, all_seen, every=POLL)
    return [
        Result(State.SEEN, str(each), each.alarm) if each in seen else _missing(session, each)
        for each in watched
    ]


def _watched(session: Session) -> Iterator[Watched]:
    """The metrics of the stack's alarms. Raises NotTried without alarms."""
    alarms = {each["AlarmName"]: each for each in _alarms(session)}
    if not alarms:
        where = "this machine has no CloudWatch" if session.local else "the stack has no alarms"
        raise NotTried(where)
    for alarm in alarms.values():
        queries = alarm.get("Metrics") or [{"MetricStat": {"Metric": alarm}}]
        for metric in (each["MetricStat"]["Metric"] for each in queries if "MetricStat" in each):
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            name = str(alarm["AlarmName"])
            yield Watched(name, metric["Namespace"], metric["MetricName"], dimensions)


def _alarms(session: Session) -> Iterator[dict[str, Any]]:
    """The alarms that notify the stack's topic, and those that take an update back."""
    pages = session.client("cloudwatch").get_paginator("describe_alarms")
    chosen: list[dict[str, Any]] = []
    if topic := resources(session.stack, TOPIC).get(ALARM_TOPIC):
        chosen.append({"ActionPrefix": topic})
    if names := [*_of_updates(session)] if session.stack.endpoint_on else []:
        chosen.append({"AlarmNames": names})
    for each in chosen:
        for page in pages.paginate(**each):
            yield from page["MetricAlarms"]


def _of_updates(session: Session) -> Iterator[str]:
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=session.stack.endpoint)
    rollback = endpoint.get("LastDeploymentConfig", {}).get("AutoRollbackConfiguration", {})
    for each in rollback.get("Alarms", []):
        yield each["AlarmName"]


def _missing(session: Session, watched: Watched) -> Result:
    """The result for a metric without data: does it exist with other dimensions?"""
    own = [each for each in _listed(session, watched) if _of_stack(session, watched, each)]
    similar = [each for each in own if {*each} == {*watched.dimensions}]
    if FLEET in watched.dimensions:
        return _of_a_fleet(session, watched, similar)
    if own and not similar:
        found = f"{watched}, but it exists as {_text(own[0])}"
        return Result(State.DIFFERENT, found, watched.alarm)
    if watched.only_after:
        also = f"; it exists as {_text(similar[0])}" if similar else ""
        found = f"{watched} has no data before {watched.only_after}{also}"
        return Result(State.NOT_TRIED, found, watched.alarm)
    found = f"{watched} had no data within {SECONDS:.0f} s after the other checks"
    return Result(State.DIFFERENT, found, watched.alarm)


def _of_a_fleet(session: Session, watched: Watched, similar: list[Dimensions]) -> Result:
    """The result for a metric of one fleet: that of another configuration is as good."""
    if similar:
        return Result(State.SEEN, f"{watched}, as {_text(similar[0])}", watched.alarm)
    if session.updated:
        found = f"{watched}: after an update of the endpoint there is no {FLEET}"
        return Result(State.DIFFERENT, found, watched.alarm)
    found = f"{watched} has no data before an update of the endpoint, which --update makes"
    return Result(State.NOT_TRIED, found, watched.alarm)


def _of_stack(session: Session, watched: Watched, other: Dimensions) -> bool:
    """Whether dimensions are of the same resource: they share a value that names the stack."""
    shared = {*watched.dimensions.values()} & {*other.values()}
    return any(session.stack.endpoint in each for each in shared)


def _exists(session: Session, watched: Watched) -> bool:
    """Asks for the data first: the list is that of the whole account."""
    return _has_data(session, watched) or watched.dimensions in _listed(session, watched)


def _listed(session: Session, watched: Watched) -> list[Dimensions]:
    """All dimensions with which CloudWatch has this metric."""
    pages = (
        session.client("cloudwatch")
        .get_paginator("list_metrics")
        .paginate(Namespace=watched.namespace, MetricName=watched.name)
    )
    found: list[list[dict[str, str]]] = [
        each["Dimensions"] for page in pages for each in page["Metrics"]
    ]
    return [{each["Name"]: each["Value"] for each in dimensions} for dimensions in found]


def _has_data(session: Session, watched: Watched) -> bool:
    now = datetime.now(UTC)
    answer: dict[str, Any] = session.client("cloudwatch").get_metric_statistics(
        Namespace=watched.namespace,
        MetricName=watched.name,
        Dimensions=[{"Name": name, "Value": value} for name, value in watched.dimensions.items()],
        StartTime=now - RECENT,
        EndTime=now,
        Period=PERIOD,
        Statistics=["SampleCount"],
    )
    return bool(answer["Datapoints"])


def _text(dimensions: Dimensions) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in sorted(dimensions.items())) + "}"


CHECKS = (alarms,)
