"""Read a deployed stack's logs from CloudWatch."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli.client.resources import FUNCTION, LOG_GROUP, resources
from cli.client.stack import Stack
from cli.logs.errors import NEWEST, NoLog
from cli.logs.files import ENDPOINT, MODEL_PART, TRAINING, newest_of
from cli.logs.line import Line, LineParser

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

TRAINING_JOBS = "/aws/sagemaker/TrainingJobs"
"""The log group of all training jobs of the account; a job's streams begin with its name."""

MAX_DELAY = 30.0
"""Seconds by which a line may reach CloudWatch after newer ones."""


@dataclass(frozen=True)
class LogGroup:
    """A log group, and the name of its lines; for a training job only its streams."""

    name: str
    group: str
    job: str | None = None


def select(stack: Stack, source: str | None, job: str | None, request: str | None) -> "LogGroups":
    """Choose a stack's logs, and only lines that contain `request`. Raises NoLog."""
    client: CloudWatchLogsClient = stack.client("logs")
    if source == TRAINING:
        group = LogGroup(job or TRAINING, TRAINING_JOBS, job)
        if job is None or not _streams(client, group):
            newest = newest_of(job, jobs(stack, job and job[:MODEL_PART]))
            if newest is None:
                raise NoLog.of_job(job, jobs(stack))
            group = LogGroup(newest, TRAINING_JOBS, newest)
        return LogGroups(client, [group], request)
    known = groups(stack)
    if source is None:
        return LogGroups(client, list(known.values()), request)
    if source not in known:
        raise NoLog.of(source, known)
    return LogGroups(client, [known[source]], request)


def groups(stack: Stack) -> dict[str, LogGroup]:
    """Find the log groups of functions and endpoint."""
    present = resources(stack, LOG_GROUP)
    names = [*resources(stack, FUNCTION), ENDPOINT]
    return {
        each: LogGroup(each, present[log_of(each)]) for each in names if log_of(each) in present
    }


def log_of(name: str) -> str:
    """Return the template's name of a function's or the endpoint's log group."""
    stem = name.removesuffix("Function")
    return f"{stem[:1].upper()}{stem[1:]}Logs"


def jobs(stack: Stack, part: str | None = None) -> list[str]:
    """List the account's newest training jobs, of any stack, or those with `part` in their name."""
    names = {"NameContains": part, "MaxResults": 100} if part else {"MaxResults": NEWEST}
    found = stack.client("sagemaker").list_training_jobs(
        SortBy="CreationTime", SortOrder="Descending", **names
    )
    return [each["TrainingJobName"] for each in found["TrainingJobSummaries"]]


@dataclass
class LogGroups:
    """Log groups; each read continues after the last."""

    client: "CloudWatchLogsClient"
    groups: Sequence[LogGroup]
    request: str | None = None
    _seen: dict[str, float] = field(default_factory=dict)
    _newest: float = 0.0

    @property
    def names(self) -> list[str]:
        """The names of the lines."""
        return [each.name for each in self.groups]

    def read(self, since: float) -> Iterator[Line]:
        """Read lines after the last call, none older than `since`, sorted by time."""
        start = max(since, self._newest - MAX_DELAY)
        new = (self._new(group, start) for group in self.groups)
        yield from heapq.merge(*new, key=lambda line: line.time)
        self._newest = max((self._newest, *self._seen.values()))
        horizon = self._newest - MAX_DELAY
        self._seen = {each: time for each, time in self._seen.items() if time >= horizon}

    def _new(self, group: LogGroup, start: float) -> Iterator[Line]:
        parsers: dict[str, LineParser] = {}
        for event in self._events(group, start):
            if event["eventId"] in self._seen:
                continue
            time = event["timestamp"] / 1000
            self._seen[event["eventId"]] = time
            parser = parsers.setdefault(event["logStreamName"], LineParser(group.name))
            yield parser.line(event["message"].rstrip(), time)

    def _events(self, group: LogGroup, start: float) -> Iterator[Any]:
        query: Any = {"logGroupName": group.group, "startTime": int(start * 1000)}
        if self.request:
            query["filterPattern"] = f'"{self.request}"'
        if group.job:
            query["logStreamNames"] = _streams(self.client, group)
            if not query["logStreamNames"]:
                return
        try:
            for page in self.client.get_paginator("filter_log_events").paginate(**query):
                yield from page["events"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise


def _streams(client: "CloudWatchLogsClient", group: LogGroup) -> list[str]:
    """List a training job's streams, one for each instance."""
    try:
        found = client.describe_log_streams(
            logGroupName=group.group, logStreamNamePrefix=f"{group.job}/"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return []
    return [each["logStreamName"] for each in found["logStreams"]]
