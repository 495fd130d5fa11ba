"""Run one training: upload data and weights, start an execution, follow it, try the new model.

The execution is polled; its states and the training job's log lines are printed as they come.
Ctrl-C stops the execution and its training job.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import extras
from cli.client.stack import Stack
from cli.data import bucket_of, change_summary, upload_data_set
from cli.terminal.output import Output
from cli.train import weights
from cli.train.examples import ask
from cli.train.execution import Execution, ExecutionStatus, JobReport, start
from cli.train.logs import TrainingLogs
from cli.train.progress import ProgressReporter
from cli.train.report import READY, print_report, where
from cli.train.results import read
from training.data.source import DataSource

LOCAL_INTERVAL, DEPLOYED_INTERVAL = 0.5, 5.0
"""Seconds between two polls: of the local stack, of a deployed one."""


@dataclass(frozen=True)
class Training:
    """What to train: `job` is the execution's input, with at most `epochs` epochs.

    The data set `images` is uploaded first if `upload`, and so is the file `weights`. `ask`: let
    the new version classify examples. `wait`: follow the execution to its end.
    """

    job: Mapping[str, Any]
    epochs: int
    images: DataSource
    upload: bool
    weights: Path | None
    ask: bool
    wait: bool


def run(training: Training, stack: Stack, output: Output) -> bool:
    """Run it. Return whether the new version is READY; without `wait`, True once it has started.

    Raises NotInstalled, NoStateMachine, NotTrained, SourceError, and botocore's errors.
    """
    if stack.home and extras.CHECKOUT:  # jobs run in the environment of the stack's checkout
        extras.ensure("training")
    if training.upload:
        bucket = bucket_of(stack)
        _, change = upload_data_set(output, training.images, bucket)
        if not output.as_json:
            output.remark(change_summary(training.images, bucket, change))
    if training.weights:
        weights.upload_file(training.weights, stack, output)
    execution = start(stack, training.job)
    if training.wait:
        return _wait(training, stack, output, execution)
    output.result(
        {"execution": execution.arn, "model": training.job["model"]},
        [f"{training.job['model']}: execution {execution.name} has started"],
    )
    return True


def _wait(training: Training, stack: Stack, output: Output, execution: Execution) -> bool:
    new_lines = TrainingLogs(stack).new_lines
    seconds = LOCAL_INTERVAL if stack.home else DEPLOYED_INTERVAL
    model = training.job["model"]
    with ProgressReporter(output, model, training.epochs) as reporter:
        reporter.stage(f"execution {execution.name}")
        try:
            report = follow(execution.status, new_lines, reporter, lambda: time.sleep(seconds))
        except KeyboardInterrupt:
            execution.stop()
            output.remark(f"{model}: stopped the execution and its training job")
            output.remark(
                f"{model}: to continue: facet train --resume {execution.name}{where(stack)}"
            )
            raise
        except (BotoCoreError, ClientError):
            output.remark(f"{model}: execution {execution.name} continues")
            raise
    ready = bool(report["outcome"] == READY)
    job = report.get("training_job")
    results = read(stack, job) if ready and job else None
    asked = (
        ask(stack, output, report, training.images.name, results) if ready and training.ask else ()
    )
    print_report(output, execution, report, stack, results, asked)
    if ready and training.ask and not asked:
        output.remark(
            f"{model}: --ask found no image that the model was not trained on; "
            "add a folder test/ to the data set"
        )
    return ready


def follow(
    read_status: Callable[[], ExecutionStatus],
    new_lines: Callable[[str], Iterable[str]],
    reporter: ProgressReporter,
    pause: Callable[[], object],
) -> JobReport:
    """Poll until the execution ends, and return its job's report. Raises NotTrained.

    `new_lines` returns the lines that a training job has logged since its last call.
    """
    stage = job = ""
    while True:
        status = read_status()
        if status.job not in ("", job):
            job = status.job
            reporter.stage(f"training job {job}")
        if status.stage not in ("", stage):
            stage = status.stage
            reporter.stage(stage)
        for line in new_lines(job) if job else ():
            reporter.line(line)
        if status.report is not None:
            return status.report
        pause()
