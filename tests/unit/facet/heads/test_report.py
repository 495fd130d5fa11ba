"""facet/heads/report.py: what the images left out of a fit say about the head."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.fitting import FittedHead, fit_head
from facet.heads.report import FEW, MOST, LeftOut
from facet.statistics import wilson

LABELS = ("cat", "dog", "fox")


def fitted(left_out: object, temperature: float = 1.0) -> FittedHead:
    """A head of which only what it answers to images left out matters."""
    nothing = np.zeros(3, np.float32)
    scores = np.asarray(left_out, np.float64)
    return FittedHead(nothing, nothing, 1.0, 1, 0.0, 0.0, temperature, scores)


def answers(*pairs: tuple[int, int]) -> tuple[FittedHead, NDArray[np.int64]]:
    """Images of the first class of each pair, answered with the second."""
    classes, answered = np.array(pairs).T
    return fitted(3 * np.eye(3)[answered]), classes.astype(np.int64)


def test_labels_confusions_and_mistakes_are_counted() -> None:
    head, classes = answers(*6 * [(0, 0)], *2 * [(1, 0)], *5 * [(1, 1)], (2, 0), *4 * [(2, 2)])
    scores = head.left_out.copy()
    scores[7, 0] += 2  # the surest mistake
    names = [f"{LABELS[each]}/{number}.jpg" for number, each in enumerate(classes)]
    left_out = LeftOut.of(replace(head, left_out=scores), classes)
    document = left_out.document(LABELS, names, 0.75)
    assert document["labels"] == [
        {"label": "cat", "images": 6, "correct": 6},
        {"label": "dog", "images": 7, "correct": 5},
        {"label": "fox", "images": 5, "correct": 4},
    ]
    assert document["confused"] == [
        {"label": "dog", "as": "cat", "images": 2},
        {"label": "fox", "as": "cat", "images": 1},
    ]
    assert document["more_images"] == ["dog"]
    mistakes = document["mistakes"]
    assert isinstance(mistakes, list)
    assert [each["name"] for each in mistakes] == ["dog/7.jpg", "dog/6.jpg", "fox/13.jpg"]
    assert mistakes[1] == {
        "label": "dog",
        "name": "dog/6.jpg",
        "answered": "cat",
        "score": round(float(np.exp(3) / (np.exp(3) + 2)), 4),
    }
    low, high = wilson(15, 18)
    assert (document["images"], document["accuracy"]) == (18, round(15 / 18, 4))
    assert (document["accuracy_low"], document["accuracy_high"]) == (round(low, 4), round(high, 4))


def test_a_label_with_few_images_needs_more_though_all_are_right() -> None:
    head, classes = answers(*(FEW - 1) * [(0, 0)], *FEW * [(1, 1)], *FEW * [(2, 2)])
    names = [str(each) for each in range(len(classes))]
    assert LeftOut.of(head, classes).document(LABELS, names, 0.7)["more_images"] == ["cat"]


def test_the_report_of_many_mistakes_is_bounded() -> None:
    head, classes = answers(*2 * MOST * [(0, 1)])
    names = [str(each) for each in range(len(classes))]
    document = LeftOut.of(head, classes).document(LABELS, names, 0.7)
    assert document["labels"][0] == {"label": "cat", "images": 2 * MOST, "correct": 0}  # type: ignore[index]
    assert len(document["mistakes"]) == MOST  # type: ignore[arg-type]


def test_the_clearest_image_is_right_by_the_greatest_margin() -> None:
    scores = [[1, 0, 0], [0, 0.8, 0.1], [0, 0.9, 0.5], [0, 0, 0.3]]
    classes = np.array([1, 1, 1, 2])
    assert LeftOut.of(fitted(scores), classes).clearest == 1
    assert LeftOut.of(fitted(scores[:1]), classes[:1]).clearest is None


def examples(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    features = random.normal(size=(1, count, 12)) + 2 * np.eye(3, 12)[classes]
    return features.astype(np.float32), classes


def test_what_it_says_holds_for_images_that_were_not_there() -> None:
    """Accuracy and calibration error of the head on others; ridge regression's own are too even."""
    features, classes = examples(90, 1)
    head = fit_head(features, np.eye(3, dtype=np.float32)[classes], balanced=True)
    left_out = LeftOut.of(head, classes)
    others, wanted = examples(3000, 2)
    logits = others[0] @ head.kernel + head.bias
    accuracy = (logits.argmax(axis=1) == wanted).mean()
    assert left_out.measures["accuracy_low"] < accuracy < left_out.measures["accuracy_high"]
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    best = (scores / scores.sum(axis=1, keepdims=True)).max(axis=1)
    assert best.mean() == pytest.approx(accuracy, abs=0.05)
    assert left_out.before.error > 0.3
    assert left_out.measures["calibration_error"] < 0.15
