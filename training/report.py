"""The report of a training: `metrics.json`, learning curves and confusion matrices."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.evaluate import Evaluation
from training.fitting.checkpoint import History, best_epoch

MAX_NAMED_LABELS = 30
"""A larger confusion matrix has no room for names and numbers."""


def write(
    folder: Path,
    labels: tuple[str, ...],
    evaluations: Mapping[str, Evaluation],
    history: History,
    about: Mapping[str, object],
) -> None:
    """Writes `metrics.json`, `learning_curves.png`, and `confusion_<channel>.png` per evaluation.

    `about` holds further fields of `metrics.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        **about,
        "labels": labels,
        "best_epoch": best_epoch(history) + 1,
        "history": history,
        "confusion": {
            name: evaluation.confusion.tolist() for name, evaluation in evaluations.items()
        },
    }
    (folder / "metrics.json").write_text(json.dumps(document, indent=2) + "\n")
    learning_curves(history).savefig(folder / "learning_curves.png", dpi=110)
    for name, evaluation in evaluations.items():
        low, high = evaluation.interval
        title = (
            f"{name}: {evaluation.correct:,} of {evaluation.images:,} right\n"
            f"accuracy {evaluation.accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"
        )
        confusion_matrix(evaluation, labels, title).savefig(
            folder / f"confusion_{name}.png", dpi=110
        )


def learning_curves(history: History) -> Figure:
    """Plots loss and accuracy over the epochs, a panel each, with the best epoch marked."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    epochs = range(1, len(history["loss"]) + 1)
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, history[measure], label="training", marker=".")
        axis.plot(epochs, history[f"val_{measure}"], label="validation", marker=".")
        axis.axvline(best_epoch(history) + 1, color="grey", linestyle=":", label="best epoch")
        axis.set(xlabel="epoch", title=measure)
        axis.grid(alpha=0.3)
    axes[0].legend()
    return figure


def confusion_matrix(evaluation: Evaluation, labels: tuple[str, ...], title: str) -> Figure:
    """Plots true labels (rows) against predictions (columns); colours are shares of the row."""
    counts = evaluation.confusion
    side = max(4.0, min(14.0, 0.5 * len(labels) + 2))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axis = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true label")
    axis.set(title=title, xlabel="predicted label", ylabel="true label")
    if len(labels) <= MAX_NAMED_LABELS:
        _annotate(axis, counts, shares, labels)
    return figure


def _annotate(
    axis: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], labels: tuple[str, ...]
) -> None:
    axis.set_xticks(range(len(labels)), labels, rotation=90)
    axis.set_yticks(range(len(labels)), labels)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
