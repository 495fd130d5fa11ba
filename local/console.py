"""What `make run` prints while it serves: uploads, training jobs, executions."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facet.stack import Address
from local.demo import SampleImage
from local.moto.training.step_functions import Execution
from local.runtime.worker import Invocation
from local.training.description import Document
from local.training.layout import decoded

ROOT = Path(__file__).resolve().parent.parent

Print = Callable[[str], object]
"""Prints a line."""


class Console:
    """Prints what the stack's listeners hear, once it is `enabled`."""

    def __init__(self, say: Print) -> None:
        self.enabled = False
        self._say = say

    def invoked(self, _: str, invocation: Invocation) -> None:
        """Prints a line for each upload that is READY or REJECTED, and why it was rejected."""
        if invocation.error or not self.enabled:
            return
        result = json.loads(invocation.payload)
        for upload in result.get("outcomes", []) if isinstance(result, dict) else ():
            line = f"{upload['model']:14} {upload['version'] or '':12}  {upload['outcome']}"
            for violation in upload["violations"]:
                line += f"\n    {violation['code']}: {violation['problem']}; {violation['remedy']}"
            self._say(line)

    def trained(self, job: Document, line: str) -> None:
        """Prints a line of a training job's log after the name of its model."""
        if self.enabled:
            model = job.get("HyperParameters", {}).get("model", job["TrainingJobName"])
            self._say(f"{decoded(model):14} | {line}")

    def executed(self, execution: Execution) -> None:
        """Prints how an execution ended, and a line for each of its jobs."""
        if not self.enabled:
            return
        reason = f"  {execution.error}: {execution.cause}" if execution.error else ""
        self._say(f"execution {execution.name}  {execution.status}{reason}")
        for job in (execution.output or {}).get("jobs", []):
            self._say(_report(job))


def curl(address: Address, image: SampleImage) -> str:
    """A command that classifies a sample image, to paste into a shell in the working directory."""
    path = shlex.quote(os.path.relpath(ROOT / image.name))
    return (
        f"curl -H 'x-api-key: {address.api_key}' --data-binary @{path} "
        f"{address.url}/models/{image.model}/predict"
    )


def _report(job: dict[str, Any]) -> str:
    version, reason = job.get("version", ""), job.get("reason", "")
    return f"{job['model']:14} {version:12}  {job['outcome']}  {reason}".rstrip()
