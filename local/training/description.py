"""The description of a training job, as DescribeTrainingJob returns it, through its statuses."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
RUNNING = ("InProgress", "Stopping")
TIMES = ("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime")
FAILURE_REASON_LENGTH = 1024


def created(request: Mapping[str, Any], arn: str) -> Document:
    """A new job's description; `request` is CreateTrainingJob's."""
    now = _now()
    name, output = request["TrainingJobName"], request["OutputDataConfig"]["S3OutputPath"]
    artifact = f"{output.rstrip('/')}/{name}/output/model.tar.gz"
    return {
        **{key: value for key, value in request.items() if value is not None and key != "Tags"},
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": artifact},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [_transition("Starting", now)],
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def moved(document: Document, secondary: str, status: str | None = None) -> Document:
    """The description with another secondary status and, if given, another status."""
    now = _now()
    *before, last = document["SecondaryStatusTransitions"]
    transitions = [*before, last | {"EndTime": now}, _transition(secondary, now)]
    changed: Document = {
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": transitions,
        "LastModifiedTime": now,
    }
    if secondary == "Training":
        changed["TrainingStartTime"] = now
    if status:
        changed["TrainingJobStatus"] = status
    return document | changed


def ended(document: Document, secondary: str, status: str, reason: str = "") -> Document:
    """The description of an ended job: Completed, Failed for a reason, or Stopped."""
    document = moved(document, secondary, status)
    now = document["LastModifiedTime"]
    document["SecondaryStatusTransitions"][-1]["EndTime"] = now
    document["TrainingEndTime"] = now
    if reason:
        document["FailureReason"] = reason[:FAILURE_REASON_LENGTH]
    if began := document.get("TrainingStartTime"):
        document["TrainingTimeInSeconds"] = round((now - began).total_seconds())
    return document


def interrupted(document: Document, reason: str) -> Document:
    """The description of a job after its stack ended: Failed, if it had not ended before."""
    if document["TrainingJobStatus"] not in RUNNING:
        return document
    return ended(document, "Failed", "Failed", reason)


def to_item(document: Document) -> Document:
    """A description as JSON values."""
    texts = {name: document[name].isoformat() for name in TIMES if name in document}
    transitions = [
        {name: each[name].isoformat() if "Time" in name else each[name] for name in each}
        for each in document["SecondaryStatusTransitions"]
    ]
    metrics = [
        each | {"Timestamp": each["Timestamp"].isoformat()}
        for each in document.get("FinalMetricDataList", [])
    ]
    return document | texts | _lists(transitions, metrics)


def from_item(item: Document) -> Document:
    """The description that `to_item` made JSON of."""
    times = {name: datetime.fromisoformat(item[name]) for name in TIMES if name in item}
    transitions = [
        {
            name: datetime.fromisoformat(each[name]) if "Time" in name else each[name]
            for name in each
        }
        for each in item["SecondaryStatusTransitions"]
    ]
    metrics = [
        each | {"Timestamp": datetime.fromisoformat(each["Timestamp"])}
        for each in item.get("FinalMetricDataList", [])
    ]
    return item | times | _lists(transitions, metrics)


def _lists(transitions: list[Document], metrics: list[Document]) -> Document:
    found: Document = {"SecondaryStatusTransitions": transitions}
    return found | ({"FinalMetricDataList": metrics} if metrics else {})


class Metrics:
    """The last value of each metric in the lines of a job's log.

    `definitions` are AlgorithmSpecification's MetricDefinitions: a name, and a regular expression
    whose first group is the value.
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]]) -> None:
        self._patterns = {each["Name"]: re.compile(each["Regex"]) for each in definitions}
        self._last: dict[str, tuple[float, datetime]] = {}

    def read(self, line: str) -> None:
        """Reads every metric that a line has."""
        for name, pattern in self._patterns.items():
            if match := pattern.search(line):
                self._last[name] = (float(match[1]), _now())

    def final(self) -> list[Document]:
        """The metrics as a job's FinalMetricDataList."""
        return [
            {"MetricName": name, "Value": value, "Timestamp": at}
            for name, (value, at) in self._last.items()
        ]


def _transition(secondary: str, now: datetime) -> Document:
    return {"Status": secondary, "StartTime": now}


def _now() -> datetime:
    return datetime.now(UTC)
