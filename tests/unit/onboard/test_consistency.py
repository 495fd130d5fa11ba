"""functions/onboard/proof/consistency.py: answers that depend on more than the image."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facet.errors import BodyTooLarge, ModelFailed
from facet.manifest import BackboneManifest, Manifest
from onboard.proof.consistency import Answer, Check, Consistency
from onboard.proof.rows import FeatureRows, ScoreRows
from tests.support.inputs import artifacts

SAMPLE = artifacts.image()
GREY = Image.new("RGB", (256, 256), "grey")
WEIGHTS = np.random.default_rng(1).normal(0, 0.3, (8 * 8 * 3, 3)).astype(np.float32)

Rows = NDArray[Any]
Model = Callable[[Rows], Rows]
"""(images, values) in 0..1 → (images, labels)."""


def rows(tolerance: float = 0.02) -> ScoreRows:
    golden = artifacts.golden() | {"tolerance": tolerance}
    return ScoreRows(Manifest.model_validate(artifacts.manifest(golden=golden)))


def softmax(logits: Rows) -> Rows:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def sound(rows: Rows) -> Rows:
    return softmax(rows @ WEIGHTS)


@dataclass
class Asked:
    """A model behind `Ask`. `requests` has the number of images of each; each takes `seconds`."""

    model: Model
    seconds: float = 0
    most: int = 100
    requests: list[int] = field(default_factory=list)

    def __call__(self, images: Sequence[Image.Image]) -> Answer:
        if len(images) > self.most:
            raise BodyTooLarge("too many")
        self.requests.append(len(images))
        values = [np.asarray(each.convert("RGB").resize((8, 8)), np.float32) for each in images]
        scores = self.model(np.stack(values).reshape(len(images), -1) / 255)
        if len(scores) != len(images):
            raise ModelFailed("it answered another number of rows")
        rows = [
            row if np.isfinite(row).all() else ModelFailed("not finite")
            for row in scores.astype(np.float32)
        ]
        return Answer(rows, self.seconds * len(images))


def of_sample(asked: Asked, tolerance: float = 0.02, within: float = 10) -> Consistency:
    return Check(asked, rows(tolerance), within).of_sample(SAMPLE, [asked([SAMPLE])])


def of_any(asked: Asked) -> Consistency:
    return Check(asked, rows(), 10).of_any(GREY, [asked([GREY])])


def codes(found: Consistency) -> list[str]:
    return [each.code for each in found.violations]


def test_a_sound_model_is_asked_twice_alone_and_twice_in_company() -> None:
    asked = Asked(sound)
    assert of_sample(asked) == Consistency()
    assert asked.requests == [1, 1, 4, 4]


def test_an_answer_given_before_is_not_asked_for_again() -> None:
    asked = Asked(sound)
    before = [asked([SAMPLE]), asked([SAMPLE])]
    assert Check(asked, rows()).of_sample(SAMPLE, before) == Consistency()
    assert asked.requests == [1, 1, 4, 4]


def dropout() -> Model:
    random = np.random.default_rng(0)
    return lambda rows: sound(rows * 2 * (random.random(rows.shape) < 0.5))


def random_flip() -> Model:
    random = np.random.default_rng(3)

    def flip(rows: Rows) -> Rows:
        images = rows.reshape(-1, 8, 8, 3)
        flipped = random.random(len(images)) < 0.5
        return sound(
            np.where(flipped[:, None, None, None], images[:, :, ::-1], images).reshape(rows.shape)
        )

    return flip


def noise_in_company() -> Model:
    random = np.random.default_rng(0)
    return lambda rows: sound(rows * (random.random(rows.shape) if len(rows) > 1 else 1))


def batch_statistics(rows: Rows) -> Rows:
    values = rows @ WEIGHTS
    return softmax((values - values.mean(0)) / np.sqrt(values.var(0) + 1e-3))


def softmax_across_images(rows: Rows) -> Rows:
    return softmax((rows @ WEIGHTS).T).T / len(artifacts.LABELS)


def numbered(rows: Rows) -> Rows:
    return softmax(rows @ WEIGHTS + np.eye(3)[np.arange(len(rows)) % 3] * (len(rows) > 1) * 2)


def shuffled(rows: Rows) -> Rows:
    """Right for the last image, on which the first comparison is made."""
    return sound(rows[[1, 2, 0, 3]] if len(rows) == 4 else rows)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (dropout(), "not-repeatable"),
        (random_flip(), "not-repeatable"),
        (noise_in_company(), "not-repeatable"),
        (batch_statistics, "batch-dependent"),
        (softmax_across_images, "batch-dependent"),
        (shuffled, "order-dependent"),
    ],
)
@pytest.mark.parametrize("examine", [of_sample, of_any])
def test_an_answer_that_depends_on_more_than_the_image_is_a_violation(
    examine: Callable[[Asked], Consistency], model: Model, code: str
) -> None:
    found = examine(Asked(model))
    assert codes(found) == [code]
    assert found.max_batch_size is None


def test_a_row_that_counts_its_place_is_a_violation() -> None:
    assert codes(of_sample(Asked(numbered))) in (["batch-dependent"], ["order-dependent"])


def test_the_violation_quotes_both_answers() -> None:
    (violation,) = of_sample(Asked(batch_statistics)).violations
    assert "'cat' (0.3333) alone" in violation.problem
    assert "together with 3 others" in violation.problem


def one_row(rows: Rows) -> Rows:
    return sound(rows[:1])


def refuses_several(rows: Rows) -> Rows:
    if len(rows) > 1:
        raise ModelFailed("expected shape [1, 8, 8, 3]")
    return sound(rows)


@pytest.mark.parametrize("model", [one_row, refuses_several])
@pytest.mark.parametrize("examine", [of_sample, of_any])
def test_a_model_that_answers_single_images_only_is_recorded_as_such(
    examine: Callable[[Asked], Consistency], model: Model
) -> None:
    assert examine(Asked(model)) == Consistency(max_batch_size=1)


def test_so_is_one_of_which_no_request_can_hold_two_images() -> None:
    assert of_sample(Asked(sound, most=1)) == Consistency(max_batch_size=1)


def test_fewer_images_are_sent_if_a_request_cannot_hold_four() -> None:
    asked = Asked(sound, most=3)
    assert of_sample(asked) == Consistency()
    assert asked.requests == [1, 1, 2, 2]


def nan_for_bright(rows: Rows) -> Rows:
    mean = rows.mean(1, keepdims=True)
    return np.asarray(np.where(mean > 0.55, np.nan, sound(rows)))


def fails_for_bright(rows: Rows) -> Rows:
    if (rows.mean(1) > 0.55).any():
        raise ModelFailed("assertion failed")
    return sound(rows)


@pytest.mark.parametrize("model", [nan_for_bright, fails_for_bright])
def test_a_companion_on_which_the_model_fails_is_no_violation(model: Model) -> None:
    dark = SAMPLE.point(lambda value: value // 3)
    asked = Asked(model)
    found = Check(asked, rows()).of_sample(dark, [asked([dark])])
    assert found == Consistency()


def test_a_companion_that_makes_the_sample_fail_is_one() -> None:
    def spreads(rows: Rows) -> Rows:
        scores = nan_for_bright(rows)
        return np.asarray(scores + 0 * scores.sum())

    dark = SAMPLE.point(lambda value: value // 3)
    asked = Asked(spreads)
    found = Check(asked, rows()).of_sample(dark, [asked([dark])])
    assert codes(found) == ["batch-dependent"]
    assert "no finite numbers" in found.violations[0].problem


def test_a_model_that_fails_on_the_texture_is_checked_with_the_neutral_image() -> None:
    def only_grey(rows: Rows) -> Rows:
        return np.where(rows.std(1, keepdims=True) > 0.01, np.nan, sound(rows))

    assert of_any(Asked(only_grey)) == Consistency()


def half_precision(rows: Rows) -> Rows:
    """Rounds differently in company, as other kernels do."""
    noise = np.float16(0.002) * (len(rows) > 1)
    return softmax((rows @ WEIGHTS).astype(np.float16).astype(np.float32) + noise * np.eye(3)[0])


def test_arithmetic_that_rounds_differently_is_no_violation() -> None:
    assert of_sample(Asked(half_precision)) == Consistency()


def test_the_tolerance_is_the_golden_samples() -> None:
    counted = itertools.count()

    def drifts(rows: Rows) -> Rows:
        return sound(rows) + np.float32(0.03) * (next(counted) % 2)

    assert codes(of_sample(Asked(drifts))) == ["not-repeatable"]
    assert of_sample(Asked(drifts), tolerance=0.05) == Consistency()


def test_among_small_scores_another_best_label_is_a_violation() -> None:
    counted = itertools.count()

    def flat(rows: Rows) -> Rows:
        return np.tile(0.001 + np.eye(3)[next(counted) % 3] * 0.0001, (len(rows), 1))

    assert codes(of_sample(Asked(flat))) == ["not-repeatable"]


@pytest.mark.parametrize(
    ("seconds", "requests"),
    [(0.1, [1, 1, 4, 4]), (1.5, [1, 1, 2, 2]), (3, [1, 1, 2]), (9, [1, 1, 2])],
)
def test_a_slow_model_gets_fewer_and_smaller_requests(seconds: float, requests: list[int]) -> None:
    asked = Asked(sound, seconds=seconds)
    assert of_sample(asked) == Consistency()
    assert asked.requests == requests


def test_a_model_that_fails_when_it_is_asked_again_has_failed() -> None:
    counted = itertools.count()
    with pytest.raises(ModelFailed):
        of_sample(Asked(lambda rows: sound(rows) + (np.nan if next(counted) else 0)))


def features(values: Rows) -> Rows:
    """Three features, not normalised."""
    return np.asarray(100 * (values @ WEIGHTS))


def test_a_backbones_features_are_compared_by_their_distance() -> None:
    document = artifacts.backbone(
        output={"tensor": "features", "width": 3},
        golden={"image": "golden.png", "features": [1, 2, 3]},
    )
    of_features = FeatureRows(BackboneManifest.model_validate(document))
    sample = Asked(features)
    check = Check(sample, of_features)
    assert check.of_sample(SAMPLE, [sample([SAMPLE])]) == Consistency()
    noise = itertools.count()
    drop = Asked(lambda values: features(values) * (1 + 0.05 * (next(noise) % 2)))
    (violation,) = Check(drop, of_features).of_sample(SAMPLE, [drop([SAMPLE])]).violations
    assert violation.code == "not-repeatable"
    assert "features of length" in violation.problem
    own = Asked(lambda values: features(values) - features(values).mean(0) * (len(values) > 1))
    (violation,) = Check(own, of_features).of_sample(SAMPLE, [own([SAMPLE])]).violations
    assert violation.code == "batch-dependent"
