"""What `make run` prints while it serves: what became of uploads, training jobs, executions."""

import json
from collections.abc import Callable
from typing import Any

from local.moto_executions import Execution
from local.runtime.worker import Invocation
from local.training.description import Document
from local.training.layout import decoded


class News:
    """Hears of everything, and says it once `show` is set."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.show = False
        self._say = say

    def invoked(self, _: str, invocation: Invocation) -> None:
        """One line for each upload that came to its end."""
        if invocation.error or not self.show:
            return
        answer = json.loads(invocation.payload)
        for each in answer.get("outcomes", []) if isinstance(answer, dict) else ():
            line = f"{each['model']:14} {each['version'] or '':12}  {each['outcome']}"
            for reason in each["violations"]:
                line += f"\n    {reason['code']}: {reason['problem']}; {reason['remedy']}"
            self._say(line)

    def trained(self, job: Document, line: str) -> None:
        """Each line of a training job's log, with the name of its model."""
        if self.show:
            model = job.get("HyperParameters", {}).get("model", job["TrainingJobName"])
            self._say(f"{decoded(model):14} | {line}")

    def executed(self, execution: Execution) -> None:
        """One line for an execution's end, and one for each of its jobs."""
        if not self.show:
            return
        reason = f"  {execution.error}: {execution.cause}" if execution.error else ""
        self._say(f"execution {execution.name}  {execution.status}{reason}")
        for job in (execution.output or {}).get("jobs", []):
            self._say(_reported(job))


def _reported(job: dict[str, Any]) -> str:
    version, reason = job.get("version", ""), job.get("reason", "")
    return f"{job['model']:14} {version:12}  {job['outcome']}  {reason}".rstrip()
