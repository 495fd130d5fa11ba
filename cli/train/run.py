"""What `facet train` does: uploads, an execution from its start to its end, questions."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import extras
from cli.client.stack import Stack
from cli.data import bring, bucket_of, told
from cli.terminal.output import Output
from cli.train import weights
from cli.train.examples import ask
from cli.train.execution import Execution, Report, Sight, start
from cli.train.logs import Logs
from cli.train.progress import Shown
from cli.train.report import READY, tell
from training.data.source import DataSource

HERE, AWAY = 0.5, 5.0
"""Seconds between two looks: at the stack on this machine, at a deployed one."""


@dataclass(frozen=True)
class Training:
    """`job` is the execution's input, of `epochs` at most. `images` is its data set, uploaded
    first if `upload`, as are `weights` if that is a file. `ask`: the new model is asked about its
    data set. `wait`: until the execution has ended.
    """

    job: Mapping[str, Any]
    epochs: int
    images: DataSource
    upload: bool
    weights: Path | None
    ask: bool
    wait: bool


def carry_out(training: Training, stack: Stack, output: Output) -> bool:
    """Whether the model is READY, or under way if nobody waits for it.

    Raises NotInstalled, NoMachine, NotTrained, SourceError, and botocore's errors.
    """
    if stack.home and extras.CHECKOUT:  # jobs run in the environment of the stack's checkout
        extras.ensure("training")
    if training.upload:
        bucket = bucket_of(stack)
        _, change = bring(output, training.images, bucket)
        if not output.as_json:
            output.remark(told(training.images, bucket, change))
    if training.weights:
        weights.bring(training.weights, stack, output)
    execution = start(stack, training.job)
    if training.wait:
        return _ended(training, stack, output, execution)
    output.result(
        {"execution": execution.arn, "model": training.job["model"]},
        [f"{training.job['model']}: execution {execution.name} has begun"],
    )
    return True


def _ended(training: Training, stack: Stack, output: Output, execution: Execution) -> bool:
    new, seconds = Logs(stack).new, HERE if stack.home else AWAY
    model = training.job["model"]
    with Shown(output, model, training.epochs) as shown:
        shown.stage(f"execution {execution.name}")
        try:
            report = follow(execution.look, new, shown, lambda: time.sleep(seconds))
        except KeyboardInterrupt:
            execution.stop()
            output.remark(f"{model}: stopped the execution and its training job")
            raise
        except (BotoCoreError, ClientError):
            output.remark(f"{model}: execution {execution.name} goes on")
            raise
    ready = bool(report["outcome"] == READY)
    asked = ask(stack, output, report, training.images.name) if ready and training.ask else ()
    tell(output, execution, report, stack, asked)
    return ready


def follow(
    look: Callable[[], Sight],
    new: Callable[[str], Iterable[str]],
    shown: Shown,
    pause: Callable[[], object],
) -> Report:
    """The report of the execution's job, once it has ended. Raises NotTrained.

    `new` hands out the lines that a training job has written since it was last called.
    """
    stage = job = ""
    while True:
        seen = look()
        if seen.job not in ("", job):
            job = seen.job
            shown.stage(f"training job {job}")
        if seen.stage not in ("", stage):
            stage = seen.stage
            shown.stage(stage)
        for line in new(job) if job else ():
            shown.line(line)
        if seen.report is not None:
            return seen.report
        pause()
