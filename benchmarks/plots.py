"""Small images for docs/benchmarks.md: bars to compare, lines to follow."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"

MAX_BYTES = 60_000
"""They lie in git."""

COLOURS = ("#9aa5b1", "#2563eb", "#ea580c", "#16a34a", "#9333ea", "#0891b2")
"""Grey first: the baseline."""


def bars(path: Path, title: str, unit: str, values: Mapping[str, float]) -> None:
    """A PNG with a horizontal bar for each value, in their order, the first one on top."""
    figure, axes = _figure(title, height=1.3 + 0.42 * len(values))
    colours = [COLOURS[0], *[COLOURS[1]] * (len(values) - 1)]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, [f"{value:,.4g}" for value in values.values()], padding=4)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    _write(figure, path)


def curves(
    path: Path,
    title: str,
    axis_names: tuple[str, str],
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """A PNG with a line for each sequence of (x, y); `axis_names` are x's and y's."""
    figure, axes = _figure(title, height=4)
    for number, (name, points) in enumerate(lines.items()):
        across, up = zip(*points, strict=True)
        axes.plot(across, up, label=name, color=COLOURS[number % len(COLOURS)], marker=".")
    axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _write(figure, path)


def _figure(title: str, *, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure: Figure, path: Path) -> None:
    """Without the versions and times that would make equal images different bytes."""
    figure.savefig(path, format="png", metadata={"Software": None})
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes; {MAX_BYTES:,} are enough for a plot")
