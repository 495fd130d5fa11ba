"""What training jobs write: on this machine into files, on AWS into CloudWatch."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from cli.stack import Stack

GROUP = "/aws/sagemaker/TrainingJobs"
TOLD = re.compile(r"[a-z_]+=\S|error: ")
"""How the lines of training/train.py begin; its libraries and the image write others."""

EPOCH = re.compile(r"epoch=(\d+) ")


class Log(Protocol):
    """The lines of a job's log."""

    def new(self, job: str) -> Iterator[str]:
        """Those that have been written since the last call."""

    def where(self, job: str) -> str:
        """How a person finds all of them."""


class Files:
    """`<home>/logs/training/<job>.log`, of all instances."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "logs" / "training"
        self._read: dict[str, int] = {}

    def new(self, job: str) -> Iterator[str]:
        """Those that have been written since the last call."""
        path = self._path(job)
        if not path.exists():
            return
        with path.open() as file:
            file.seek(self._read.get(job, 0))
            lines = file.readlines()
            self._read[job] = file.tell()
        yield from (line.rstrip("\n") for line in lines)

    def where(self, job: str) -> str:
        """The file."""
        return os.path.relpath(self._path(job))

    def _path(self, job: str) -> Path:
        return self._folder / f"{job}.log"


class CloudWatch:
    """The first instance's stream in SageMaker's log group; it is the one that tells epochs."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs
        self._next: dict[str, str] = {}

    def new(self, job: str) -> Iterator[str]:
        """Those that have been written since the last call."""
        try:
            found = self._logs.describe_log_streams(
                logGroupName=GROUP, logStreamNamePrefix=f"{job}/algo-1-"
            )
        except self._logs.exceptions.ResourceNotFoundException:
            return  # no job has ever written in this account
        for stream in found["logStreams"]:
            yield from self._read(stream["logStreamName"])

    def where(self, job: str) -> str:
        """The command that shows them."""
        return f"aws logs tail {GROUP} --since 1d --log-stream-name-prefix {job}/"

    def _read(self, stream: str) -> Iterator[str]:
        """AWS hands out the token that it was given where there is nothing more."""
        while True:
            token = self._next.get(stream)
            page = self._logs.get_log_events(
                logGroupName=GROUP,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            self._next[stream] = page["nextForwardToken"]
            yield from (each["message"].rstrip("\n") for each in page["events"])
            if page["nextForwardToken"] == token:
                return


def of(stack: Stack) -> Log:
    """The logs of the stack's training jobs."""
    return Files(stack.home) if stack.home else CloudWatch(stack.client("logs"))
