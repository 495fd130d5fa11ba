"""Evaluation and report: measures computed by hand, and images that can be opened."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from facet.specs import InputSpec
from training import report
from training.dataset import ImageSet
from training.evaluate import Calibration, Evaluation, evaluate

HISTORY = {
    "loss": [2.0, 1.0],
    "accuracy": [0.2, 0.6],
    "val_loss": [1.5, 1.6],
    "val_accuracy": [0.5, 0.4],
}


def test_accuracy_counts_images_and_balanced_accuracy_counts_classes() -> None:
    scores = np.full((10, 3), 0.25)
    scores[:9, 0] = scores[9, 1] = 0.5
    measured = Evaluation.of(np.log(scores), np.array([0] * 8 + [1, 1]))
    assert measured.confusion.tolist() == [[8, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert measured.accuracy == pytest.approx(0.9)
    assert measured.balanced_accuracy == pytest.approx(0.75)
    assert measured.measures == {
        "loss": round(np.log(2) * 0.9 + np.log(4) * 0.1, 4),
        "accuracy": 0.9,
        "balanced_accuracy": 0.75,
        "images": 10,
        "correct": 9,
        "accuracy_low": 0.5958,
        "accuracy_high": 0.9821,
        "largest_class": 8,
        "calibration_error": 0.4,
    }


def test_a_network_is_asked_about_every_image() -> None:
    """Its logits are the mean red and the mean green."""
    image = keras.Input((2, 2, 3))
    means = keras.layers.GlobalAveragePooling2D()(image)
    network = keras.Model(image, means[:, :2])
    pixels = np.zeros((100, 2, 2, 3), np.uint8)
    pixels[:60, ..., 0] = 2
    pixels[60:, ..., 1] = 2
    classes = np.array([0] * 50 + [1] * 50)
    spec = InputSpec(tensor="image", encoding="uint8", height=2, width=2)
    measured = evaluate(network, spec, ImageSet(pixels, classes))
    assert measured.confusion.tolist() == [[50, 0], [10, 40]]
    assert measured.predictions.tolist() == [0] * 60 + [1] * 40
    right, wrong = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert measured.loss == pytest.approx(0.9 * right + 0.1 * wrong, rel=1e-5)


@pytest.mark.parametrize("count", [3, 40])
def test_the_report_is_a_document_and_images(count: int, tmp_path: Path) -> None:
    labels = tuple(f"label {number}" for number in range(count))
    rows = np.log(np.full((count * 5, count), 0.1 / count) + np.eye(count).repeat(5, axis=0) * 0.9)
    evaluation = Evaluation.of(rows, np.arange(count).repeat(5))
    evaluations = {"validation": evaluation, "test": evaluation}
    report.write(
        tmp_path / "new",
        labels,
        Calibration(0.7, "test", evaluations, evaluations),
        HISTORY,
        {"metrics": {"validation_accuracy": 1.0}},
    )
    document = json.loads((tmp_path / "new/metrics.json").read_text())
    assert document["metrics"] == {"validation_accuracy": 1.0}
    assert document["history"] == HISTORY
    assert document["best_epoch"] == 1
    assert document["confusion"]["test"] == (np.eye(count) * 5).tolist()
    calibration = document["calibration"]
    assert (calibration["temperature"], calibration["fitted_on"]) == (0.7, "test")
    assert calibration["after"]["test"]["error"] == pytest.approx(0.1 - 0.1 / count, abs=1e-3)
    assert sum(each["images"] for each in calibration["before"]["test"]["bins"]) == count * 5
    for name in ("learning_curves", "confusion_test", "reliability_validation", "reliability_test"):
        with Image.open(tmp_path / f"new/{name}.png") as image:
            assert image.width > 400
            assert len(set(image.convert("L").tobytes())) > 20
