"""A head that answers, on a backbone with maps, at SageMaker's fake."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from facet.heads.familiarity import fit_reference
from facet.heads.weights import Head
from facet.keys import head_key
from facet.manifest import BackboneManifest, HeadManifest
from facet.registry.models import Version
from tests.support.aws import fakes
from tests.support.inputs import artifacts, heads
from tests.support.inputs.artifacts import FEATURES
from tests.support.versions import backbone, make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

AROUND = np.array(FEATURES) + np.random.default_rng(1).normal(scale=0.2, size=(30, len(FEATURES)))
HEAD: Head = replace(
    heads.head(), reference=fit_reference(AROUND, np.arange(30) % len(artifacts.LABELS))
)
"""Taught with images whose features are about those that the backbone answers."""

BACKBONE = replace(backbone(1), litert_sha256="0" * 64)
OUTPUT: dict[str, Any] = {
    "tensor": "features",
    "width": len(FEATURES),
    "maps": {"tensor": "maps", "height": 1, "width": 2},
}
WITH_MAPS = replace(
    BACKBONE, manifest=BackboneManifest.model_validate(artifacts.backbone(output=OUTPUT))
)
MAPS = (*(10 * each for each in FEATURES), *(-8 * each for each in FEATURES))
"""At the left and at the right; their averages are FEATURES."""


def head(number: int, model: str = "cats", on: Version = BACKBONE) -> Version:
    """A PENDING version of a head."""
    manifest = HeadManifest.model_validate(heads.manifest(on.id))
    return replace(pending(number, model), manifest=manifest)


def store(s3: "S3Client", version: Version) -> None:
    """Stores HEAD as the version's weights."""
    key = head_key(version.model, version.id)
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=HEAD.to_bytes())


def serve(
    table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker, backbone: Version = WITH_MAPS
) -> Version:
    """Makes the backbone and the head `cats` live, and SageMaker answer for the backbone."""
    make_live(table, backbone)
    make_live(table, head(2))
    store(s3, head(2))
    answer = fakes.Answer(scores=FEATURES, signatures={"maps": MAPS})
    sagemaker.answers = {BACKBONE.target: answer}
    return head(2)
