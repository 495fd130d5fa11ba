"""The gate compares a new model with the live version on the same images."""

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats  # type: ignore[import-untyped]

from facet.manifest import Manifest
from facet.registry.models import Status, Version
from tests.support.inputs import artifacts
from train.quality_gate import Gate, judge

LIVE = "0123456789ab"
GATE = Gate(metric="accuracy", minimum=0, allow_worse=False)


def manifest(provenance: dict[str, str], **metrics: float) -> Manifest:
    document = artifacts.manifest(metrics=metrics, provenance=provenance)
    return Manifest.model_validate(document)


def live(held_out: str | None = None, **metrics: float) -> Version:
    known = {"held_out": held_out} if held_out else {}
    version = Version("cats", LIVE, Status.READY, "0" * 64, 1, "2026-01-01")
    return replace(version, manifest=manifest(known, **metrics))


def trained(
    right: int, before: int, only_new: int, only_live: int, images: int = 100, **known: str
) -> Manifest:
    """A new model that was compared with the live version on test images."""
    metrics: dict[str, float] = {
        "test_accuracy": right / images,
        "test_balanced_accuracy": right / images,
        "test_correct": right,
        "test_images": images,
        "live_images": images,
        "live_correct": before,
        "live_balanced_accuracy": before / images,
        "only_new_correct": only_new,
        "only_live_correct": only_live,
    }
    return manifest({"compared_with": LIVE, "compared_on": "test"} | known, **metrics)


def test_a_better_model_is_published_although_its_number_is_lower_than_the_live_ones() -> None:
    """The live version states .867 of 30 images; on the new job's images it has .700."""
    stated = live(test_accuracy=0.867, validation_accuracy=0.867)
    found = judge(trained(85, 70, 20, 5), GATE, stated)
    assert found.verdict == "PUBLISH"
    assert (
        f"on the same 100 test images the live version {LIVE} has 70 right; 20 only the new model "
        "has right, 5 only the live version (McNemar's exact test that it is worse: p = 1, level "
        "0.05)"
    ) in found.reason


def test_a_model_that_is_really_worse_is_refused_although_its_number_is_higher() -> None:
    found = judge(trained(70, 85, 5, 20), GATE, live(test_accuracy=0.5))
    assert found.verdict == "WORSE"
    assert found.reason.startswith("test_accuracy 0.7000 (70 of 100 test images right")
    assert "5 only the new model has right, 20 only the live version" in found.reason


@pytest.mark.parametrize(("only_new", "only_live"), [(0, 4), (0, 5), (5, 14), (5, 15), (9, 9)])
def test_worse_is_what_scipys_binomial_test_calls_so(only_new: int, only_live: int) -> None:
    pairs = only_new + only_live
    p = stats.binomtest(only_live, pairs, 0.5, alternative="greater").pvalue
    found = judge(trained(80, 80 + only_live - only_new, only_new, only_live), GATE, live())
    assert (found.verdict == "WORSE") == (p <= 0.05)


def test_the_level_is_a_choice() -> None:
    slightly = trained(80, 81, 4, 5)
    assert judge(slightly, GATE, live()).verdict == "PUBLISH"
    strict = GATE.model_copy(update={"level": 0.5})
    assert judge(slightly, strict, live()).verdict == "WORSE"
    assert judge(trained(80, 80, 5, 5), strict, live()).verdict == "PUBLISH"


def test_being_worse_may_be_allowed_and_is_said() -> None:
    lenient = GATE.model_copy(update={"allow_worse": True})
    found = judge(trained(70, 85, 5, 20), lenient, live())
    assert found.verdict == "PUBLISH"
    assert "being worse is allowed; on the same 100 test images" in found.reason


def test_a_balanced_metric_compares_balanced_accuracies_of_the_same_images() -> None:
    balanced = GATE.model_copy(update={"metric": "balanced_accuracy"})
    found = judge(trained(80, 81, 4, 5), balanced, live())
    assert found.verdict == "WORSE"
    assert "(balanced accuracy 0.8000, live 0.8100)" in found.reason


@pytest.mark.parametrize(
    ("before", "now", "unseen"),
    [
        (None, None, True),  # a test channel
        ("0.1", "0.1", True),
        ("0.2", "0.1", True),
        ("0.1", "0.2", False),
        (None, "0.1", False),
        ("a tenth", "0.1", False),
    ],
)
def test_says_whether_the_live_version_may_have_been_trained_on_the_images(
    before: str | None, now: str | None, unseen: bool
) -> None:
    model = trained(85, 70, 20, 5, held_out=now) if now else trained(85, 70, 20, 5)
    found = judge(model, GATE, live(before))
    assert found.verdict == "PUBLISH"
    assert ("may have been trained on some" in found.reason) == (not unseen)


FALLBACKS: dict[str, tuple[dict[str, str], str]] = {
    "no LiteRT": ({"not_compared": f"the live version {LIVE} has no LiteRT model"}, "no LiteRT"),
    "another live version": ({"compared_with": "f" * 12}, "compared it with ffffffffffff"),
    "other training code": ({}, f"could not score the live version {LIVE}"),
}


@pytest.mark.parametrize("case", FALLBACKS)
def test_without_the_same_images_the_stated_metrics_decide(case: str) -> None:
    known, reason = FALLBACKS[case]
    for before, verdict in ((0.8, "PUBLISH"), (0.81, "WORSE")):
        found = judge(manifest(known, test_accuracy=0.8), GATE, live(test_accuracy=before))
        assert found.verdict == verdict
        assert f"has {before:.4f}, perhaps of other images" in found.reason
        assert reason in found.reason


def above(correct: int, images: int, largest: int, **gate: Any) -> tuple[str, str]:
    metrics: dict[str, float] = {
        "test_accuracy": correct / images,
        "test_correct": correct,
        "test_images": images,
        "test_largest_class": largest,
    }
    default = Gate(metric="accuracy", minimum=None, allow_worse=False)
    found = judge(manifest({}, **metrics), default.model_copy(update=gate), None)
    return found.verdict, found.reason


def test_without_a_minimum_a_model_must_be_better_than_the_most_frequent_class() -> None:
    verdict, reason = above(10, 30, 10)
    assert verdict == "BELOW_MINIMUM"
    assert reason.endswith(
        "is not significantly above the share of the most frequent class, 10 of 30 images "
        "(binomial test: p = 0.57, level 0.05)"
    )
    verdict, reason = above(15, 30, 10)
    assert verdict == "PUBLISH"
    assert "is above the share of the most frequent class, 10 of 30 images" in reason
    assert above(15, 30, 10, level=0.01)[0] == "BELOW_MINIMUM"
    assert above(10, 30, 10, minimum=0)[0] == "PUBLISH"


def test_nothing_is_above_a_single_class() -> None:
    assert above(5, 5, 5)[0] == "BELOW_MINIMUM"


def test_metrics_without_counts_have_no_minimum() -> None:
    """As other training code writes them."""
    default = Gate(metric="accuracy", minimum=None, allow_worse=False)
    assert judge(manifest({}, validation_accuracy=0.1), default, None).verdict == "PUBLISH"
