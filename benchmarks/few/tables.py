"""Results → the tables and the plot of docs/benchmarks.md."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from benchmarks import plots
from benchmarks.few.sets import EACH, ROWS, Row
from facet.statistics import wilson

COLUMNS: Mapping[str, str] = {
    "teach": "teach, MobileNet",
    "teach-sample": "teach, sample backbone",
    "logistic": "logistic regression, MobileNet",
    "image-folder": "`image-folder`",
    "scratch": "`image-folder`, from scratch",
    "gradient": "`image-folder`, MobileNet, `method=gradient`",
    "keras": "20 lines of Keras",
}

ALLOWED = 1.0
"""Points by which teaching may be below logistic regression."""


class Measured(NamedTuple):
    """What one training gives: accuracy and calibration error on the test images, CPU seconds.

    `method` is what a training job chose. `calibration_error` is None where no scores are known.
    """

    accuracy: float
    cpu_seconds: float
    method: str = ""
    calibration_error: float | None = None


@dataclass(frozen=True)
class Result:
    """One training; `images` is the number of test images."""

    dataset: str
    each: int
    seed: int
    column: str
    images: int
    accuracy: float
    cpu_seconds: float
    method: str = ""
    calibration_error: float | None = None

    @property
    def row(self) -> Row:
        return Row(self.dataset, self.each)


@dataclass(frozen=True)
class Cell:
    """The mean of the seeds; `low` and `high` are the 95 % interval that the test images give it.

    `spread` has the least and the greatest accuracy of a seed. `calibration_error` is the mean of
    the seeds that have one.
    """

    accuracy: float
    low: float
    high: float
    spread: tuple[float, float]
    cpu_seconds: float
    seeds: int
    calibration_error: float | None

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Cell":
        accuracies = [each.accuracy for each in results]
        errors = [each.calibration_error for each in results if each.calibration_error is not None]
        images = results[0].images
        low, high = wilson(mean(accuracies) * images, images)
        return cls(
            mean(accuracies),
            low,
            high,
            (min(accuracies), max(accuracies)),
            mean(each.cpu_seconds for each in results),
            len(results),
            mean(errors) if errors else None,
        )


Cells = Mapping[Row, Mapping[str, Cell]]


def cells(results: Sequence[Result]) -> Cells:
    """The results by row and column, in the document's order."""
    return {
        row: {
            column: Cell.of(some)
            for column in COLUMNS
            if (some := [each for each in results if each.row == row and each.column == column])
        }
        for row in ROWS
        if any(each.row == row for each in results)
    }


def report(results: Sequence[Result], backbone: str) -> list[str]:
    """The lines of the document."""
    table = cells(results)
    return [
        *_table("accuracy", table, _accuracy),
        "",
        "A cell has the mean accuracy on the test images over the seeds (its 95 % interval by the "
        "number of test images; the least and the greatest of a seed; the seeds). Empty cells were "
        f"not measured. Pretrained weights: {backbone}.",
        "",
        *_table("calibration error", table, _calibration_error),
        "",
        *_table("CPU seconds", table, lambda cell: f"{cell.cpu_seconds:,.1f}"),
        "",
        *_teaching(results),
        "",
        *(line for row in table for line in _verdict(row, results)),
        "",
        "![accuracy and calibration error](benchmarks/few-images.png)",
    ]


def _table(what: str, table: Cells, text: Callable[[Cell], str]) -> Iterator[str]:
    yield f"| {what} | {' | '.join(COLUMNS.values())} |"
    yield f"|---|{'---|' * len(COLUMNS)}"
    for row, found in table.items():
        texts = [text(found[column]) if column in found else "" for column in COLUMNS]
        yield f"| {row} | {' | '.join(texts)} |"


def _accuracy(cell: Cell) -> str:
    least, most = cell.spread
    seeds = f"{least:.3f} to {most:.3f}; {cell.seeds}" if cell.seeds > 1 else "one seed"
    return f"**{cell.accuracy:.3f}** ({cell.low:.3f} to {cell.high:.3f}; {seeds})"


def _calibration_error(cell: Cell) -> str:
    return "" if cell.calibration_error is None else f"{cell.calibration_error:.3f}"


def _teaching(results: Sequence[Result]) -> Iterator[str]:
    """Compares teaching with logistic regression on the same features, draw by draw."""
    yield "| teach minus logistic regression | points | standard error | draws | test images |"
    yield "|---|---|---|---|---|"
    differences = {}
    for row in ROWS:
        pairs = _pairs(row, "teach", "logistic", results)
        if not pairs:
            continue
        points = [100 * (ours.accuracy - theirs.accuracy) for ours, theirs in pairs]
        differences[row] = mean(points)
        error = f"{stdev(points) / math.sqrt(len(points)):.1f}" if len(points) > 1 else ""
        yield (
            f"| {row} | {mean(points):+.1f} | {error} | {len(points)} | {pairs[0][0].images:,} |"
        )
    if differences:
        worst = min(differences, key=lambda row: differences[row])
        yield ""
        yield (
            f"Teaching is at worst **{differences[worst]:+.1f}** points from logistic regression "
            f"({worst}); target: not below -{ALLOWED:g}."
        )


def _pairs(
    row: Row, ours: str, theirs: str, results: Sequence[Result]
) -> list[tuple[Result, Result]]:
    """The results of two columns with the same seed."""
    found = {(each.column, each.seed): each for each in results if each.row == row}
    return [
        (each, found[theirs, seed])
        for (column, seed), each in found.items()
        if column == ours and (theirs, seed) in found
    ]


def _verdict(row: Row, results: Sequence[Result]) -> Iterator[str]:
    """Compares `image-folder` with the best other column, seed by seed."""
    pairs = {
        column: _pairs(row, "image-folder", column, results)
        for column in COLUMNS
        if column != "image-folder"
    }
    gains = {
        column: mean(our.accuracy - other.accuracy for our, other in some)
        for column, some in pairs.items()
        if some
    }
    if gains:
        best = min(gains, key=lambda column: gains[column])
        times = [our.cpu_seconds / other.cpu_seconds for our, other in pairs["gradient"]]
        slower = f"; {mean(times):.2f} times the CPU time of `method=gradient`" if times else ""
        yield (
            f"- `image-folder`, {row}: {gains[best]:+.3f} against the best other column "
            f"({COLUMNS[best]}; seeds in common: {len(pairs[best])}){slower}."
        )


def plot(results: Sequence[Result], path: Path) -> None:
    """Draws accuracies with their intervals, and calibration errors, by images per class.

    Each data set with several rows has a panel for both.
    """
    found = cells(results)
    rows = [row for row in found if sum(each.dataset == row.dataset for each in found) > 1]
    names = {column: name.replace("`", "") for column, name in COLUMNS.items()}
    panels: dict[str, dict[str, dict[str, plots.Point]]] = {}
    for measure in ("accuracy", "calibration error"):
        for dataset in dict.fromkeys(row.dataset for row in rows):
            panel = panels.setdefault(f"{dataset}: {measure}", {})
            for column, name in names.items():
                points = {
                    str(each or "all"): drawn
                    for each in EACH
                    if (cell := found.get(Row(dataset, each), {}).get(column))
                    and (drawn := _point(measure, cell))
                }
                if points:
                    panel[name] = points
    plots.curves(path, "images per class", panels, columns=len(panels) // 2)


def _point(measure: str, cell: Cell) -> plots.Point | None:
    if measure == "accuracy":
        return cell.accuracy, cell.low, cell.high
    error = cell.calibration_error
    return None if error is None else (error, error, error)
