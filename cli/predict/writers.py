"""Write results as a table, CSV, JSON lines, or one JSON document."""

import base64
import csv
import json
from collections.abc import Iterable
from io import StringIO
from typing import Any, Protocol

import typer
from rich.text import Text

from cli.predict.results import Prediction, Result
from cli.terminal.formatting import printable
from cli.terminal.output import Output
from cli.terminal.tables import plain_table, print_table

HEADER = ("image", "version", "rank", "label", "score", "error")


class Writer(Protocol):
    """Writes results as they arrive."""

    streams: bool
    """Whether results are written at once instead of at the end."""

    def add(self, result: Result) -> None:
        """Write or keep one result."""

    def end(self) -> None:
        """Finish the output."""


class JsonLinesWriter:
    """One JSON object a line."""

    streams = True

    def add(self, result: Result) -> None:
        typer.echo(json.dumps(document(result)))

    def end(self) -> None:
        """Everything is written already."""


class CsvWriter:
    """One row for each label of each image, or for its error, after a header."""

    streams = True

    def __init__(self) -> None:
        self._begun = False

    def add(self, result: Result) -> None:
        self._begin()
        for rank, each in enumerate(result.predictions, 1):
            _row((result.image, result.version, rank, each.label, each.score, ""))
        if result.error:
            _row((result.image, "", "", "", "", result.error))

    def end(self) -> None:
        """Everything is written already."""

    def _begin(self) -> None:
        if not self._begun:
            _row(HEADER)
        self._begun = True


class TableWriter:
    """A table of the images that have labels."""

    streams = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._table = plain_table("image", "label", "score", "then")

    def add(self, result: Result) -> None:
        if result.predictions:
            best, *others = result.predictions
            self._table.add_row(
                Text(printable(result.image)),
                Text(printable(best.label)),
                f"{best.score:.4f}{' unsure' if result.unsure else ''}",
                Text(printable(", ".join(map(_short, others)))),
            )

    def end(self) -> None:
        if self._table.row_count:
            print_table(self._output, self._table)


class JsonWriter:
    """One JSON document with all results."""

    streams = False

    def __init__(self, output: Output, model: str) -> None:
        self._output = output
        self._model = model
        self._results: list[Result] = []

    def add(self, result: Result) -> None:
        self._results.append(result)

    def end(self) -> None:
        failed = sum(bool(each.error) for each in self._results)
        found = [document(each) for each in self._results]
        typer.echo(json.dumps({"model": self._model, "results": found, "failed": failed}, indent=2))


def document(result: Result) -> dict[str, Any]:
    """A result as JSON: with labels or with its error."""
    if result.error:
        return {"image": result.image, "error": result.error}
    found: dict[str, Any] = {
        "image": result.image,
        "version": result.version,
        "predictions": [each.model_dump() for each in result.predictions],
    }
    if result.familiarity is not None:
        found["familiarity"] = result.familiarity
    if result.unsure:
        found["unsure"] = True
    if result.explanation:
        heatmap = base64.b64encode(result.explanation.heatmap).decode()
        found["explanation"] = {"label": result.explanation.label, "heatmap": heatmap}
    return found


def _row(values: Iterable[object]) -> None:
    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    typer.echo(line.getvalue(), nl=False)


def _short(ranked: Prediction) -> str:
    return f"{ranked.label} {ranked.score:.2f}"
