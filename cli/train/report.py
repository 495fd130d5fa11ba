"""What became of a training, for people and for programs."""

from collections.abc import Iterator, Sequence

from cli.client.stack import Stack
from cli.predict.results import Result
from cli.predict.writers import Shown, document
from cli.terminal.formatting import printable, reasons
from cli.terminal.output import Output
from cli.train.execution import Execution, Report
from facet.errors import Violation

READY = "READY"


def tell(
    output: Output, execution: Execution, report: Report, stack: Stack, asked: Sequence[Result] = ()
) -> None:
    """The report, and what the new model says."""
    answers = {"asked": [document(each) for each in asked]} if asked else {}
    output.result({"execution": execution.arn, **report, **answers}, _lines(report, stack))
    if not output.as_json:
        table = Shown(output)
        for each in asked:
            table.add(each)
        table.end()


def _lines(report: Report, stack: Stack) -> Iterator[str]:
    model, version, outcome = report["model"], report.get("version", ""), report["outcome"]
    yield f"{f'{model} {version}'.strip()}: {outcome}{_standing(report)}"
    if metrics := report.get("metrics"):
        yield "  " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    violations = report.get("violations", ())
    yield from (f"  {line}" for line in reasons(Violation(**each) for each in violations))
    if not violations and (reason := report.get("reason")):
        yield f"  {printable(' '.join(reason.split()))}"
    if version == "" and (job := report.get("training_job")):
        where = "" if stack.home else f" --stack {stack.cloudformation}"
        yield f"  its log: facet logs training {job}{where}"


def _standing(report: Report) -> str:
    if report["outcome"] != READY:
        return ""
    if report["live"]:
        return ", and live"
    return f", not live: facet show {report['model']} says how it stands"
