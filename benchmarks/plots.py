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


def groups(
    path: Path, title: str, values: Mapping[str, Mapping[str, tuple[float, float, float]]]
) -> None:
    """Writes a PNG with a dot and its interval for each (value, low, high), grouped by row.

    The first series is drawn in the colour of what is ours.
    """
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    figure = _figure(height=1.2 + 0.16 * len(names) * len(values))
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    _plain(axes)
    greys = [str(0.25 + 0.5 * number / max(len(names) - 1, 1)) for number in range(len(names))]
    for number, name in enumerate(names):
        drawn = [(place, row[name]) for place, row in enumerate(values.values()) if name in row]
        heights = [place + 0.7 * (number / len(names) - 0.5) for place, _ in drawn]
        middles = [value for _, (value, _, _) in drawn]
        reach = [[v - low for _, (v, low, _) in drawn], [high - v for _, (v, _, high) in drawn]]
        colour = greys[number] if number else COLOURS[1]
        marker = "osD^v"[number % 5]
        axes.errorbar(middles, heights, xerr=reach, fmt=marker, ms=4, color=colour, label=name)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower left", fontsize=8, ncols=2, frameon=False)
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
