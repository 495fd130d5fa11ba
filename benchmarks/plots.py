"""PNGs for docs/benchmarks.md: bars that compare values, and one panel per quantity over time."""

import io
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"

MAX_BYTES = 70_000
"""Of one image, because they are kept in git."""

PALETTE = 128
"""Colours of an image: it takes a quarter of the bytes that all of them take."""

COLOURS = ("#9aa5b1", "#2563eb")
"""Grey for the baseline, blue for everything else."""

SERIES = ("#2563eb", "#7dd3fc", "#111827", "#d97706", "#059669", "#9aa5b1", "#db2777")
"""Of curves; what is ours comes first."""

Point = tuple[float, float, float]
"""A value, and the ends of its interval."""


def bars(
    path: Path,
    title: str,
    unit: str,
    values: Mapping[str, float],
    baselines: Container[str] | None = None,
    line: float | None = None,
) -> None:
    """Writes a PNG with one horizontal bar per value, from the top.

    `baselines` are grey: by default the first one. `line` is a value that is marked.
    """
    figure = _figure(height=1.3 + 0.42 * len(values))
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    _plain(axes)
    grey = [next(iter(values))] if baselines is None else baselines
    colours = [COLOURS[name not in grey] for name in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, [f"{value:,.4g}" for value in values.values()], padding=4)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    if line is not None:
        axes.axvline(line, color="black", linewidth=1)
    axes.set_xlabel(unit)
    _write(figure, path)


def panels(
    path: Path,
    title: str,
    x_name: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """Writes a PNG with one panel per quantity, stacked over the same x axis.

    `series` maps the name of a quantity with its unit to its (x, y) points.
    """
    figure = _figure(height=0.8 + 1.6 * len(series))
    axes = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (quantity, points) in zip(axes, series.items(), strict=True):
        x, y = zip(*points, strict=True)
        axis.plot(x, y, color=COLOURS[1], marker=".")
        axis.set_title(quantity, loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        _plain(axis)
    axes[-1].set_xlabel(x_name)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    _write(figure, path)


def curves(
    path: Path,
    x_name: str,
    panels: Mapping[str, Mapping[str, Mapping[str, Point]]],
    columns: int,
) -> None:
    """Writes a PNG with panels by title, so many in a row, that share the series' colours.

    A series maps places on the x axis, which all panels have in common, to its points.
    """
    rows = -(-len(panels) // columns)
    figure = _figure(height=1.2 + 2.6 * rows)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    grid = figure.subplots(rows, columns, squeeze=False).flat
    lines = {}
    for axes, (title, series) in zip(grid, panels.items(), strict=False):
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_xlabel(x_name, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", alpha=0.3)
        _plain(axes)
        for name, points in series.items():
            number = names.index(name) % len(SERIES)
            middles = [value for value, _, _ in points.values()]
            reach = [
                [value - low for value, low, _ in points.values()],
                [high - value for value, _, high in points.values()],
            ]
            lines[name] = axes.errorbar(
                [*points],
                middles,
                yerr=reach,
                color=SERIES[number],
                marker="osD^v<>"[number],
                ms=4,
                lw=1,
                elinewidth=0.5,
            )
    figure.legend(
        [lines[name] for name in names],
        names,
        loc="outside lower left",
        fontsize=8,
        ncols=2,
        frameon=False,
    )
    _write(figure, path)


def _figure(*, height: float) -> Figure:
    figure = Figure(figsize=(7, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def _write(figure: Figure, path: Path) -> None:
    """Omits version and time, so that equal images have equal bytes. Raises ValueError if large."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    with Image.open(drawn) as image:
        reduced = image.convert("RGB").quantize(PALETTE, Image.Quantize.FASTOCTREE)
    reduced.save(path, format="png", optimize=True)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes; a plot may have {MAX_BYTES:,}")
