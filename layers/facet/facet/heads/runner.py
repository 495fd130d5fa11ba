"""Runs a head: the place of its backbone computes features, and the head makes scores of them."""

from collections.abc import Sequence

import numpy as np

from facet.errors import ModelFailed
from facet.heads.weights import Head, HeadAnswer
from facet.manifest import AnyManifest, BackboneManifest
from facet.places.choice import Runner
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version

NOT_FINITE = "the head made numbers of the backbone's features that are not finite"


class HeadRunner:
    """A place as a head sees it: a `Runner` that answers scores, for this one head."""

    def __init__(self, runner: Runner, backbone: Version, head: Head) -> None:
        self._runner = runner
        self._backbone = backbone
        self._head = head

    def classify(
        self,
        version: Version,  # noqa: ARG002  # the place knows the backbone only
        manifest: AnyManifest,  # noqa: ARG002
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Scores | ModelFailed]:
        """As `Runner.classify`, of a batch that was preprocessed by the backbone's input."""
        found = answers(self._runner, self._backbone, self._head, batch, request_id)
        return [each if isinstance(each, ModelFailed) else each.scores for each in found]


def answers(
    runner: Runner,
    backbone: Version,
    head: Head,
    batch: Sequence[Pixels | Tensor],
    request_id: str,
) -> list[HeadAnswer | ModelFailed]:
    """The head's answer for each image, or why there is none: the backbone has no features for it,
    or the head makes no finite numbers of them.

    Raises what `Runner.classify` raises.
    """
    manifest = backbone.manifest
    if not isinstance(manifest, BackboneManifest):
        raise ModelFailed(f"{backbone.target}, on which the head was taught, is no backbone")
    rows = runner.classify(backbone, manifest, batch, request_id)
    features = [each for each in rows if not isinstance(each, ModelFailed)]
    found = iter(_answered(head, np.stack(features)) if features else [])
    return [each if isinstance(each, ModelFailed) else next(found) for each in rows]


def _answered(head: Head, features: Scores) -> list[HeadAnswer | ModelFailed]:
    with np.errstate(all="ignore"):
        found = head.answer(features)
    return [each if _is_finite(each) else ModelFailed(NOT_FINITE) for each in found]


def _is_finite(answer: HeadAnswer) -> bool:
    return bool(np.isfinite(answer.scores).all() and np.isfinite(answer.familiarity))
