"""Print a training's report, for people and for programs."""

from collections.abc import Iterator, Sequence

from cli.client.stack import Stack
from cli.predict.results import Result
from cli.predict.writers import TableWriter, document
from cli.terminal.formatting import printable, reasons
from cli.terminal.output import Output
from cli.train.execution import Execution, JobReport
from facet.errors import Violation

READY = "READY"


def print_report(
    output: Output,
    execution: Execution,
    report: JobReport,
    stack: Stack,
    examples: Sequence[Result] = (),
) -> None:
    """Print the job's report, and the new version's answers to examples."""
    answers = {"asked": [document(each) for each in examples]} if examples else {}
    output.result({"execution": execution.arn, **report, **answers}, _lines(report, stack))
    if not output.as_json:
        table = TableWriter(output)
        for each in examples:
            table.add(each)
        table.end()


def _lines(report: JobReport, stack: Stack) -> Iterator[str]:
    model, version, outcome = report["model"], report.get("version", ""), report["outcome"]
    yield f"{f'{model} {version}'.strip()}: {outcome}{_release_state(report)}"
    if metrics := report.get("metrics"):
        yield "  " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    violations = report.get("violations", ())
    yield from (f"  {line}" for line in reasons(Violation(**each) for each in violations))
    if not violations and (reason := report.get("reason")):
        yield f"  {printable(' '.join(reason.split()))}"
    if version == "" and (job := report.get("training_job")):
        where = "" if stack.home else f" --stack {stack.cloudformation}"
        yield f"  its log: facet logs training {job}{where}"


def _release_state(report: JobReport) -> str:
    if report["outcome"] != READY:
        return ""
    if report["live"]:
        return ", and live"
    return f", not live: facet show {report['model']} says why"
