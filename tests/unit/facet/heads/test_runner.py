"""A head on a place: features of the backbone in, scores of the head out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from facet.errors import ModelFailed
from facet.heads.runner import HeadRunner, answers
from facet.heads.weights import Head
from facet.manifest import AnyManifest, HeadManifest
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version
from tests.support import versions
from tests.support.inputs import heads
from tests.support.inputs.artifacts import FEATURES

BACKBONE = versions.proven(versions.backbone(1))
MANIFEST = HeadManifest.model_validate(heads.manifest())
VERSION = replace(versions.ready(2, "cats"), manifest=MANIFEST)
ROW = np.asarray(FEATURES, np.float32)
BATCH = [np.zeros((8, 8, 3), np.uint8)] * 2


@dataclass
class Place:
    """A place that knows backbones only; `rows` are its answers, `asked` the versions."""

    rows: list[Scores | ModelFailed]
    asked: list[tuple[Version, AnyManifest, str]] = field(default_factory=list)

    def classify(
        self,
        version: Version,
        manifest: AnyManifest,
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        assert len(batch) == len(self.rows)
        self.asked.append((version, manifest, request_id))
        return self.rows


def test_the_place_is_asked_for_the_backbone_and_the_head_makes_the_scores() -> None:
    place, head = Place([ROW, 2 * ROW]), heads.head()
    found = HeadRunner(place, BACKBONE, head).classify(VERSION, MANIFEST, BATCH, "id")
    assert place.asked == [(BACKBONE, BACKBONE.manifest, "id")]
    logits = np.stack([ROW, 2 * ROW]) @ head.kernel + head.bias
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.stack(found), wanted, rtol=1e-5)  # type: ignore[arg-type]


def test_an_image_without_features_fails_alone() -> None:
    failed = ModelFailed("no features")
    first, second = answers(Place([failed, ROW]), BACKBONE, heads.head(), BATCH, "id")
    assert first is failed
    assert not isinstance(second, ModelFailed)
    assert second.scores[0] == pytest.approx(0.9)
    assert answers(Place([failed, failed]), BACKBONE, heads.head(), BATCH, "id") == [failed] * 2


def test_numbers_that_are_not_finite_are_a_failure_of_the_head() -> None:
    """A kernel may be finite and too large for some features."""
    head = heads.head()
    large = np.zeros_like(head.kernel)
    large[0] = (3e38, -3e38, 3e38)
    overflowing = Head(large, head.bias, head.reference)
    found = answers(Place([9 * ROW, 0 * ROW]), BACKBONE, overflowing, BATCH, "id")
    assert isinstance(found[0], ModelFailed)
    assert "not finite" in found[0].reason


def test_a_head_runs_on_a_backbone_only() -> None:
    with pytest.raises(ModelFailed) as failed:
        answers(Place([]), versions.ready(1), heads.head(), [], "id")
    assert "cifar/000000000001.tar.gz" in failed.value.reason
