"""Read the logs of running training jobs."""

from collections.abc import Iterator

from cli.client.stack import Stack
from cli.logs.files import LogFiles
from cli.logs.log_groups import TRAINING_JOBS, LogGroup, LogGroups


class TrainingLogs:
    """The logs of a stack's training jobs, which may not exist yet."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._open: dict[str, LogFiles | LogGroups] = {}

    def new_lines(self, job: str) -> Iterator[str]:
        """Return the lines of a job that came after the last call."""
        if job not in self._open:
            self._open[job] = self._opened(job)
        return (line.text for line in self._open[job].read(0.0))

    def _opened(self, job: str) -> LogFiles | LogGroups:
        if self._stack.home:
            return LogFiles({job: self._stack.home / "logs" / "training" / f"{job}.log"})
        return LogGroups(self._stack.client("logs"), [LogGroup(job, TRAINING_JOBS, job)])
