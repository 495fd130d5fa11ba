"""Onboarding of backbones: features are compared with the recorded ones."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from facet.registry.models import Place, Status
from tests.support.aws import fakes
from tests.support.inputs import artifacts, lite_models
from tests.support.inputs.artifacts import FEATURES
from tests.support.onboarding import Account, identity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

BACKBONE = artifacts.packed(artifacts.backbone_members())
CLASSIFIER = artifacts.artifact(golden=artifacts.golden())


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    account = Account(s3, table)
    account.runtime.scores = FEATURES
    return account


def codes(account: Account, data: bytes) -> list[str]:
    return [each["code"] for each in account.report(data)["violations"]]


def test_a_backbone_becomes_ready_and_live(account: Account) -> None:
    assert account.onboard(BACKBONE) == "READY"
    account.assert_live(BACKBONE)
    live = account.registry.live("cifar")
    assert (live.kind, live.proof) == ("backbone", "golden")
    assert account.registry.model("cifar").kind == "backbone"
    assert account.runtime.images == [1, 1, 4, 4]  # also repeated, in company and reversed
    assert f"golden/cifar/{live.id}" in account.stored()


def test_features_may_be_as_far_away_as_the_tolerance(account: Account) -> None:
    account.runtime.scores = tuple(1.019 * each for each in FEATURES)
    assert account.onboard(BACKBONE) == "READY"


@pytest.mark.parametrize(
    ("features", "code"),
    [
        (tuple(1.021 * each for each in FEATURES), "golden-features"),
        (FEATURES[::-1], "golden-features"),
        ((0.0, 0.0, 0.0, 0.0), "golden-features"),
        (FEATURES[:3], "model-failed"),
        ((float("nan"), 0.0, 2.0, 1.0), "model-failed"),
    ],
)
def test_other_features_reject_it(account: Account, features: tuple[float, ...], code: str) -> None:
    account.runtime.scores = features
    assert account.onboard(BACKBONE) == "REJECTED"
    assert codes(account, BACKBONE) == [code]


def test_a_model_keeps_its_kind_and_its_live_version(account: Account) -> None:
    assert account.onboard(BACKBONE) == "READY"
    account.runtime.scores = (0.7, 0.2, 0.1)
    assert account.onboard(CLASSIFIER) == "REJECTED"
    assert codes(account, CLASSIFIER) == ["other-kind"]
    account.assert_live(BACKBONE)
    assert account.onboard(CLASSIFIER, "cats") == "READY"
    account.runtime.scores = FEATURES
    assert account.onboard(BACKBONE, "cats") == "REJECTED"
    assert codes_of(account, "cats") == ["other-kind"]
    assert account.registry.live("cats").id == identity(CLASSIFIER)


def codes_of(account: Account, model: str) -> list[str]:
    rejected = [each for each in account.registry.versions(model) if each.violations]
    return [each.code for version in rejected for each in version.violations]


def test_a_rejected_upload_decides_nothing_about_the_kind(account: Account) -> None:
    account.runtime.scores = FEATURES[::-1]
    assert account.onboard(BACKBONE) == "REJECTED"
    account.runtime.scores = (0.7, 0.2, 0.1)
    assert account.onboard(CLASSIFIER) == "READY"
    assert account.status(CLASSIFIER) is Status.READY


def maps(model: Any) -> None:
    """Gives a LiteRT model the signature of maps."""
    model.signatureDefs.append(lite_models.signature("maps", {"image": 0}, {"maps": 2}))


WEIGHTS = np.ones((3, len(artifacts.MAPS)), np.float32)
MAPPED = artifacts.packed(artifacts.backbone_members_with_maps())
MAPPED_LITE = artifacts.packed(
    artifacts.backbone_members_with_maps() | {artifacts.LITERT: lite_models.dense(WEIGHTS, maps)}
)


def test_the_averages_of_its_maps_are_the_golden_features(account: Account) -> None:
    account.runtime.maps = artifacts.MAPS
    assert account.onboard(MAPPED) == "READY"
    assert account.runtime.images == [1, 1, 4, 4, 1]  # the last one asked for maps


@pytest.mark.parametrize(
    ("maps", "code"),
    [
        (tuple(1.03 * each for each in artifacts.MAPS), "golden-maps"),
        (artifacts.MAPS[::-1], "golden-maps"),  # as channels x height x width would be
        (artifacts.MAPS[:-1], "model-failed"),
        ((float("nan"), *artifacts.MAPS[1:]), "model-failed"),
    ],
)
def test_other_maps_reject_it(account: Account, maps: tuple[float, ...], code: str) -> None:
    account.runtime.maps = maps
    assert account.onboard(MAPPED) == "REJECTED"
    (violation,) = account.report(MAPPED)["violations"]
    assert violation["code"] == code
    assert "maps" in violation["problem"]


def test_a_slow_first_answer_with_maps_is_asked_for_again(account: Account) -> None:
    account.runtime.maps = artifacts.MAPS
    ticks = iter([*range(8), 8, 88, 89, 90])  # of four requests for features, and two for maps
    account.clock = lambda: next(ticks)
    assert account.onboard(MAPPED) == "READY"
    assert account.runtime.images == [1, 1, 4, 4, 1, 1]


def test_maps_that_stay_slow_reject_it(account: Account) -> None:
    account.runtime.maps = artifacts.MAPS
    ticks = iter([*range(8), 8, 88, 89, 189])
    account.clock = lambda: next(ticks)
    assert account.onboard(MAPPED) == "REJECTED"
    assert codes(account, MAPPED) == ["too-slow"]


def test_maps_are_proven_in_each_place(account: Account) -> None:
    """The function has other maps: the version runs on the endpoint only."""
    account.runtime.maps = artifacts.MAPS
    account.infer = fakes.Lambda(FEATURES, artifacts.MAPS[::-1])
    assert account.onboard(MAPPED_LITE) == "READY"
    live = account.registry.live("cifar")
    assert [*live.proven_in] == [Place.ENDPOINT]
    assert [each.code for each in live.not_proven[Place.FUNCTION]] == ["golden-maps"]
