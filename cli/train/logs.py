"""What training jobs write, as it is written."""

from collections.abc import Iterator

from cli.client.stack import Stack
from cli.logs.files import Files
from cli.logs.log_groups import TRAINING_JOBS, Group, Groups


class Logs:
    """The logs of a stack's training jobs, which may not be there yet."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._open: dict[str, Files | Groups] = {}

    def new(self, job: str) -> Iterator[str]:
        """The lines of a job that came after the last call."""
        if job not in self._open:
            self._open[job] = self._opened(job)
        return (line.text for line in self._open[job].read(0.0))

    def _opened(self, job: str) -> Files | Groups:
        if self._stack.home:
            return Files({job: self._stack.home / "logs" / "training" / f"{job}.log"})
        return Groups(self._stack.client("logs"), [Group(job, TRAINING_JOBS, job)])
