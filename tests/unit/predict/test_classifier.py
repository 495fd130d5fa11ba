"""The classifier of predictions: which images share an invocation, and what fails alone."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.errors import (
    BadRequest,
    EndpointThrottled,
    FacetError,
    ModelFailed,
    OutOfTime,
    UnsupportedImage,
)
from facet.heads.errors import NotAClassifier
from facet.manifest import BackboneManifest
from facet.places.predict_call import Scores
from facet.registry.models import Version
from predict.classification.classifier import AT_ONCE, Image
from predict.classification.predictions import Predictions
from predict.timing import Deadline, Stopwatch
from tests.support import classifiers, versions
from tests.support.inputs import artifacts

PNG = artifacts.encoded()
DARK = np.zeros((8, 8, 3), np.uint8)
BRIGHT = np.full((8, 8, 3), 255, np.uint8)
SCORES = np.array([0.7, 0.2, 0.1], np.float32)
SEVERAL = versions.ready(1)
SINGLE = replace(SEVERAL, max_batch_size=1)

Answered = Callable[[Sequence[NDArray[Any]]], list[Scores | ModelFailed]]


def sound(batch: Sequence[NDArray[Any]]) -> list[Scores | ModelFailed]:
    return [SCORES] * len(batch)


@dataclass
class Endpoint:
    """`sizes` has the number of images of each invocation, `most` how many ran at once."""

    answer: Answered = sound
    sizes: list[int] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def classify(
        self, _: Version, __: object, batch: Sequence[NDArray[Any]], request_id: str
    ) -> list[Scores | ModelFailed]:
        assert request_id == "request"
        with self.lock:
            self.sizes.append(len(batch))
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.01)
        with self.lock:
            self.running -= 1
        return self.answer(batch)


def classify(
    endpoint: Endpoint,
    images: Sequence[Image],
    version: Version = SEVERAL,
    deadline: Deadline | None = None,
) -> Predictions:
    classifier = classifiers.classifier(lambda *_: cast("Any", endpoint))
    within = deadline or Deadline.after(29)
    return classifier.classify(version, images, within, Stopwatch(), "request")


def kinds(found: Predictions) -> dict[int, type[FacetError]]:
    return {at: type(error) for at, error in found.failures.items()}


def test_the_images_of_a_batch_share_an_invocation() -> None:
    endpoint = Endpoint()
    found = classify(endpoint, [PNG, DARK, BRIGHT])
    assert endpoint.sizes == [3]
    assert (found.answered, found.alone) == (3, 0)
    assert np.array_equal(found.scores, [SCORES] * 3)


def test_a_backbone_predicts_no_labels() -> None:
    manifest = BackboneManifest.model_validate(artifacts.backbone())
    with pytest.raises(NotAClassifier, match="'cifar' is a backbone"):
        classify(Endpoint(), [PNG], replace(SEVERAL, manifest=manifest))


def test_images_that_fail_are_left_out_of_the_invocation() -> None:
    endpoint = Endpoint()
    wrong = np.zeros((9, 9, 3), np.uint8)
    found = classify(endpoint, [b"text", PNG, BadRequest("no base64"), wrong, DARK])
    assert endpoint.sizes == [2]
    assert kinds(found) == {0: UnsupportedImage, 2: BadRequest, 3: BadRequest}
    assert found.answered == 2


def test_one_error_for_all_names_each_image() -> None:
    found = classify(Endpoint(), [b"text", PNG, BadRequest("no base64")])
    with pytest.raises(UnsupportedImage, match=r"image\[0\]: Unsupported.* image\[2\]: no base64"):
        _ = found.scores


def test_a_model_that_answers_single_images_only_gets_them_one_by_one() -> None:
    endpoint = Endpoint()
    found = classify(endpoint, [DARK, b"text", *[PNG] * 9], SINGLE)
    assert endpoint.sizes == [1] * 10
    assert 1 < endpoint.most <= AT_ONCE
    assert (found.answered, found.alone, kinds(found)) == (10, 10, {1: UnsupportedImage})


def fails_in_company(batch: Sequence[NDArray[Any]]) -> list[Scores | ModelFailed]:
    if len(batch) > 1:
        raise ModelFailed("one row for several images")
    return [SCORES]


def fails_on_dark(batch: Sequence[NDArray[Any]]) -> list[Scores | ModelFailed]:
    if any(not each.any() for each in batch):
        raise ModelFailed("assertion failed")
    return [SCORES] * len(batch)


def test_a_batch_on_which_the_model_fails_is_sent_again_one_by_one() -> None:
    endpoint = Endpoint(fails_in_company)
    found = classify(endpoint, [PNG] * 6)
    assert endpoint.sizes == [6, *[1] * 6]
    assert (found.answered, found.alone) == (6, 6)


def test_the_image_on_which_the_model_fails_is_named() -> None:
    found = classify(Endpoint(fails_on_dark), [BRIGHT, DARK, PNG])
    assert kinds(found) == {1: ModelFailed}


@pytest.mark.parametrize("images", [[DARK], [DARK, DARK], [DARK, b"text"]])
def test_a_model_that_fails_on_every_image_has_failed(images: list[Image]) -> None:
    with pytest.raises(ModelFailed):
        classify(Endpoint(fails_on_dark), images)


def test_an_endpoint_that_throttles_some_images_answers_the_others() -> None:
    def throttles(batch: Sequence[NDArray[Any]]) -> list[Scores | ModelFailed]:
        if not batch[0].any():
            raise EndpointThrottled("later")
        return [SCORES]

    assert kinds(classify(Endpoint(throttles), [BRIGHT, DARK], SINGLE)) == {1: EndpointThrottled}
    with pytest.raises(EndpointThrottled):
        classify(Endpoint(throttles), [DARK, DARK], SINGLE)


def test_images_for_which_no_time_is_left_are_named() -> None:
    endpoint = Endpoint()
    clock = iter(range(100))
    found = classify(endpoint, [PNG] * 20, SINGLE, Deadline(20, lambda: next(clock)))
    assert 0 < found.answered < 20
    assert set(kinds(found).values()) == {OutOfTime}
    with pytest.raises(OutOfTime):
        classify(endpoint, [PNG] * 20, SINGLE, Deadline.after(0))
