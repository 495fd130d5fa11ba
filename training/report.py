"""The report of a training: `metrics.json`, learning curves and confusion matrices."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from facet.heads.calibration import BINS, Reliability
from training.evaluate import Calibration, Evaluation
from training.fitting.checkpoint import History, best_epoch

MAX_NAMED_LABELS = 30
"""A larger confusion matrix has no room for names and numbers."""


def write(
    folder: Path,
    labels: tuple[str, ...],
    calibration: Calibration,
    history: History,
    about: Mapping[str, object],
) -> None:
    """Writes `metrics.json`, `learning_curves.png`, and two images per evaluated channel.

    These are `confusion_<channel>.png` and `reliability_<channel>.png`. `about` holds further
    fields of `metrics.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        **about,
        "labels": labels,
        "best_epoch": best_epoch(history) + 1,
        "history": history,
        "confusion": {
            name: evaluation.confusion.tolist() for name, evaluation in calibration.after.items()
        },
        "calibration": calibration.document,
    }
    (folder / "metrics.json").write_text(json.dumps(document, indent=2) + "\n")
    learning_curves(history).savefig(folder / "learning_curves.png", dpi=110)
    for name, evaluation in calibration.after.items():
        low, high = evaluation.interval
        title = (
            f"{name}: {evaluation.correct:,} of {evaluation.images:,} right\n"
            f"accuracy {evaluation.accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"
        )
        confusion_matrix(evaluation, labels, title).savefig(
            folder / f"confusion_{name}.png", dpi=110
        )
        reliability_diagram(
            calibration.before[name].reliability, evaluation.reliability, name
        ).savefig(folder / f"reliability_{name}.png", dpi=110)


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


def reliability_diagram(before: Reliability, after: Reliability, channel: str) -> Figure:
    """Plots the accuracy of the images in each bin of their score, and the number of images.

    The scores of a calibrated network lie on the diagonal.
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    titles = ("before calibration", "after calibration")
    for axis, measured, title in zip(figure.subplots(1, 2), (before, after), titles, strict=True):
        filled = measured.images > 0
        images = measured.images[filled]
        scores, accuracies = measured.confidence[filled] / images, measured.correct[filled] / images
        axis.plot((0, 1), (0, 1), color="grey", linestyle=":")
        axis.bar(scores, accuracies, width=0.8 / BINS, alpha=0.3)
        axis.plot(scores, accuracies, marker=".")
        for score, accuracy, count in zip(scores, accuracies, images, strict=True):
            axis.annotate(f"{count:,}", (score, accuracy), fontsize=7, ha="center", va="bottom")
        axis.set(
            xlim=(0, 1.02),
            ylim=(0, 1.08),
            xlabel=f"mean score of the images in a bin ({BINS} bins)",
            ylabel="accuracy",
            title=f"{channel}, {title}: error {measured.error:.3f}",
        )
    return figure


def _annotate(
    axis: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], labels: tuple[str, ...]
) -> None:
    axis.set_xticks(range(len(labels)), labels, rotation=90)
    axis.set_yticks(range(len(labels)), labels)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
