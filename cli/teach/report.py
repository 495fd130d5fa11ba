"""Print what a teaching reports, for people."""

from collections.abc import Iterator

from rich.table import Table

from cli.teach.api import PUBLISHED, Report, Teaching
from cli.terminal.formatting import printable, reasons
from cli.terminal.output import Output
from cli.terminal.tables import plain_table, print_table

MOST_LABELS = 30
"""Labels of the table: those with the most mistakes."""

MOST_ANSWERS = 3
"""Wrong labels that a row names."""

NAMED = 5
"""Mistakes, images left out and copies that are named."""


def print_report(output: Output, teaching: Teaching) -> None:
    """Print the report of a teaching that has ended, and its problems."""
    if report := teaching.report:
        if report.accuracy is not None:
            output.result({}, _summary(teaching, report, report.accuracy))
        if report.labels:
            print_table(output, _table(report))
        output.result({}, map(printable, _details(report)))
    if teaching.status != PUBLISHED:
        output.result({}, _failure(teaching))


def _summary(teaching: Teaching, report: Report, accuracy: float) -> Iterator[str]:
    backbone = teaching.backbone
    on = f" on {backbone.model} {backbone.version}" if backbone else ""
    yield f"{teaching.model}: {report.images:,} images of {len(report.labels):,} labels{on}"
    yield (
        f"accuracy {accuracy:.3f} ({report.accuracy_low:.3f} to {report.accuracy_high:.3f} "
        "with 95 % confidence), of each image by a head that was taught without it"
    )
    if error := report.calibration_error:
        yield (
            f"calibration error {error.after:.3f}, {error.before:.3f} before the temperature "
            f"{report.temperature:.3g}"
        )


def _table(report: Report) -> Table:
    table = plain_table("label", "images", "right", "wrongly answered", whole=frozenset({"label"}))
    rows = report.labels
    if len(rows) > MOST_LABELS:
        rows = tuple(sorted(rows, key=lambda each: each.correct - each.images)[:MOST_LABELS])
    for each in rows:
        pairs = [pair for pair in report.confused if pair.label == each.label]
        answers = [f"{pair.answer} ({pair.images:,})" for pair in pairs]
        more = f" and {len(answers) - MOST_ANSWERS} more" if len(answers) > MOST_ANSWERS else ""
        wrong = ", ".join(answers[:MOST_ANSWERS]) + more
        table.add_row(
            printable(each.label), f"{each.images:,}", f"{each.correct:,}", printable(wrong)
        )
    return table


def _details(report: Report) -> Iterator[str]:
    if (hidden := len(report.labels) - MOST_LABELS) > 0:
        yield f"and {hidden:,} labels with fewer mistakes; --json names all"
    if report.more_images:
        yield f"these labels need more images: {', '.join(report.more_images)}"
    yield from _first(
        f"{each.label}/{each.name} was answered {each.answered} ({each.score:.2f})"
        for each in report.mistakes
    )
    yield from _first(f"left out {each.image}: {each.problem}" for each in report.skipped)
    yield from _first(f"copies of one image: {', '.join(each)}" for each in report.duplicates)


def _first(lines: Iterator[str]) -> Iterator[str]:
    every = list(lines)
    yield from every[:NAMED]
    if len(every) > NAMED:
        yield f"and {len(every) - NAMED:,} more; --json names all"


def _failure(teaching: Teaching) -> Iterator[str]:
    yield f"{teaching.model}: {teaching.status}, nothing was published"
    yield from (f"  {line}" for line in reasons(teaching.problems))
