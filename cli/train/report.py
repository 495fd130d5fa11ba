"""Print a training's report, for people and for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cli.client.stack import Stack
from cli.predict.results import Result
from cli.predict.writers import TableWriter, document
from cli.terminal.formatting import measures, printable, reasons
from cli.terminal.output import Output
from cli.train.execution import Execution, JobReport
from cli.train.results import TrainingResults
from facet.errors import Violation
from facet.statistics import wilson

READY = "READY"
STOPPED = "STOPPED"
KILLED = "TrainingJobKilled"
"""The state machine's error of a job that was killed, after its last attempt."""

MATRIX_LABELS = 12
"""Labels of the largest matrix that is printed: it fits 80 columns."""

MATRIX_NAME = 18
LARGEST_ERRORS = 5


def print_report(
    output: Output,
    execution: Execution,
    report: JobReport,
    stack: Stack,
    results: TrainingResults | None = None,
    examples: Sequence[Result] = (),
) -> None:
    """Print the job's report, its confusion matrix, and the new version's answers to examples."""
    answers = {"asked": [document(each) for each in examples]} if examples else {}
    matrix = {"confusion": asdict(results)} if results else {}
    output.result(
        {"execution": execution.arn, **report, **matrix, **answers},
        [*_lines(report, execution, stack), *(confusion_lines(results) if results else ())],
    )
    if examples and not output.as_json:
        output.result({}, ["images that it was not trained on:"])
        table = TableWriter(output)
        for each in examples:
            table.add(each)
        table.end()


def where(stack: Stack) -> str:
    """Return the option that names a deployed stack; empty for the local one."""
    return "" if stack.home else f" --stack {stack.cloudformation}"


def _lines(report: JobReport, execution: Execution, stack: Stack) -> Iterator[str]:
    model, version, outcome = report["model"], report.get("version", ""), report["outcome"]
    yield f"{f'{model} {version}'.strip()}: {outcome}{_release_state(report)}"
    if metrics := report.get("metrics"):
        yield f"  {measures(metrics)}"
    violations = report.get("violations", ())
    yield from (f"  {line}" for line in reasons(Violation(**each) for each in violations))
    if not violations and (reason := report.get("reason")):
        yield f"  {printable(' '.join(reason.split()))}"
    if report["outcome"] == READY and stack.api_url:
        yield f"  try it: {stack.api_url}/?model={model}"
    if version == "" and (job := report.get("training_job")):
        yield f"  its log: facet logs training {job}{where(stack)}"
    if outcome == STOPPED or report.get("error") == KILLED:
        yield f"  continue it: facet train --resume {execution.name}{where(stack)}"


def _release_state(report: JobReport) -> str:
    if report["outcome"] != READY:
        return ""
    if report["live"]:
        return ", and live"
    return f", not live: facet show {report['model']} says why"


def confusion_lines(results: TrainingResults) -> Iterator[str]:
    """Format the confusion matrix or, of more than `MATRIX_LABELS` labels, its largest errors."""
    counts, labels = results.confusion, [printable(label) for label in results.labels]
    right = sum(row[at] for at, row in enumerate(counts))
    total = sum(map(sum, counts))
    low, high = wilson(right, total)
    yield (
        f"{results.channel}: {right:,} of {total:,} images right, accuracy {low:.3f} to {high:.3f} "
        f"with 95 % confidence (charts: {results.location})"
    )
    if len(labels) <= MATRIX_LABELS:
        yield "rows: the true label, columns: the predicted one"
        yield from _matrix(labels, counts)
        return
    errors = sorted(
        (-count, label, labels[column])
        for label, row in zip(labels, counts, strict=True)
        for column, count in enumerate(row)
        if count and label != labels[column]
    )
    for negative, label, predicted in errors[:LARGEST_ERRORS]:
        yield f"  {label} predicted as {predicted}: {-negative:,} images"


def _matrix(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[str]:
    name = min(MATRIX_NAME, max(map(len, labels)))
    width = max(3, *(len(f"{count:,}") for row in counts for count in row))
    heads = " ".join(f"{label[:width]:>{width}}" for label in labels)
    yield f"  {'':{name}}  {heads}"
    for label, row in zip(labels, counts, strict=True):
        numbers = " ".join(f"{count or '·':>{width}}" for count in row)
        yield f"  {label[:name]:{name}}  {numbers}"
