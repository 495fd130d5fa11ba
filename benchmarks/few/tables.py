"""Results → the table and the plot of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks import plots
from benchmarks.few.sets import ROWS, Row
from facet.statistics import wilson

COLUMNS: Mapping[str, str] = {
    "image-folder": "`image-folder`",
    "gradient": "`image-folder`, MobileNet, `method=gradient`",
    "scratch": "`image-folder`, from scratch",
    "logistic": "logistic regression, frozen features",
    "keras": "20 lines of Keras",
}


@dataclass(frozen=True)
class Result:
    """One training: its accuracy on `images` test images, and all of its processor time."""

    dataset: str
    each: int
    seed: int
    column: str
    images: int
    accuracy: float
    cpu_seconds: float
    method: str = ""

    @property
    def row(self) -> Row:
        return Row(self.dataset, self.each)


@dataclass(frozen=True)
class Cell:
    """The mean of the seeds; `low` and `high` are the 95 % interval that the test images give it.

    `spread` has the least and the greatest accuracy of a seed.
    """

    accuracy: float
    low: float
    high: float
    spread: tuple[float, float]
    cpu_seconds: float
    seeds: int

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Cell":
        accuracies = [each.accuracy for each in results]
        images = results[0].images
        low, high = wilson(mean(accuracies) * images, images)
        return cls(
            mean(accuracies),
            low,
            high,
            (min(accuracies), max(accuracies)),
            mean(each.cpu_seconds for each in results),
            len(results),
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
        f"| data, test images | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
        *(_line(row, found, results) for row, found in table.items()),
        "",
        "A cell has the mean accuracy on the test images over the seeds (its 95 % interval by the "
        "number of test images; the least and the greatest of a seed), and the mean CPU seconds "
        f"of the whole process. Pretrained weights: {backbone}.",
        "",
        *(line for row in table for line in _verdict(row, results)),
        "",
        "![accuracy](benchmarks/few-images.png)",
    ]


def _line(row: Row, found: Mapping[str, Cell], results: Sequence[Result]) -> str:
    images = next(each.images for each in results if each.row == row)
    texts = [_text(found[column]) if column in found else "" for column in COLUMNS]
    return f"| {row}; {images} | {' | '.join(texts)} |"


def _text(cell: Cell) -> str:
    least, most = cell.spread
    seeds = f"; {least:.3f} to {most:.3f}" if cell.seeds > 1 else "; one seed"
    return (
        f"**{cell.accuracy:.3f}** ({cell.low:.3f} to {cell.high:.3f}{seeds}), "
        f"{cell.cpu_seconds:.0f} s"
    )


def _verdict(row: Row, results: Sequence[Result]) -> Iterator[str]:
    """Compares `image-folder` with the best other column, seed by seed."""
    found = {(each.column, each.seed): each for each in results if each.row == row}
    ours = {seed: each for (column, seed), each in found.items() if column == "image-folder"}
    pairs = {
        column: [
            (each, found[column, seed]) for seed, each in ours.items() if (column, seed) in found
        ]
        for column in list(COLUMNS)[1:]
    }
    gains = {
        column: mean(our.accuracy - other.accuracy for our, other in some)
        for column, some in pairs.items()
        if some
    }
    if gains and pairs["gradient"]:
        best = min(gains, key=lambda column: gains[column])
        seconds = mean(our.cpu_seconds / other.cpu_seconds for our, other in pairs["gradient"])
        yield (
            f"- {row}: {gains[best]:+.3f} against the best other column ({COLUMNS[best]}; seeds in "
            f"common: {len(pairs[best])}); {seconds:.2f} times the CPU time of `method=gradient`."
        )


def plot(results: Sequence[Result], path: Path) -> None:
    """Draws the accuracies with their intervals, a group for each row of the table."""
    found = cells(results)
    plots.groups(
        path,
        "Accuracy on test images, 95 % intervals",
        {
            f"{row}": {
                COLUMNS[column].replace("`", ""): (cell.accuracy, cell.low, cell.high)
                for column, cell in each.items()
            }
            for row, each in found.items()
        },
    )
