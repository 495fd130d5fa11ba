"""Draw costs as bars, in the terminal and as a PNG."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from cli.cost.model import Comparison
from cli.extras import NotInstalled, install

WIDTH = 40
"""Characters of the longest bar."""

PARTS: tuple[str, ...] = ("", *"▏▎▍▌▋▊▉")

EACH, ONE = "an endpoint each", "one endpoint"


def bars(rows: Sequence[Comparison]) -> list[Text]:
    """Draw two bars for each number of models, to one scale."""
    most = max(row.each.dollars for row in rows)
    width = max(len(f"{row.models:,}") for row in rows)
    lines = []
    for row in rows:
        for name, dollars, colour in (
            (f"{row.models:>{width},}", row.each.dollars, "bright_black"),
            (" " * width, row.one.dollars, "green"),
        ):
            label = EACH if colour == "bright_black" else ONE
            bar = _bar(dollars / most if most else 0)
            lines.append(Text.assemble(f"{name}  {label:16}  ", (bar, colour), f" ${dollars:,.0f}"))
    return lines


def image(path: Path, rows: Sequence[Comparison], title: str) -> None:
    """Write the chart as a PNG. Raises NotInstalled without matplotlib, OSError."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotInstalled(f"--chart needs matplotlib ({error}): run {install('chart')}") from error
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(rows))
    each = axes.bar(
        [at - 0.2 for at in places], [row.each.dollars for row in rows], 0.4, label=EACH
    )
    one = axes.bar([at + 0.2 for at in places], [row.one.dollars for row in rows], 0.4, label=ONE)
    for drawn in (each, one):
        axes.bar_label(drawn, fmt="${:,.0f}", fontsize=8)
    axes.set_xticks(list(places), [f"{row.models:,}" for row in rows])
    axes.set(xlabel="models", ylabel="dollars a month", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, format="png", metadata={"Software": None})


def _bar(share: float) -> str:
    """Draw a share of `WIDTH`, in eighths of a character; the least visible part is one."""
    eighths: int = max(1, round(share * WIDTH * 8))
    return "█" * (eighths // 8) + PARTS[eighths % 8]
