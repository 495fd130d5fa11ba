"""Onboarding of backbones: features are compared with the recorded ones."""

from typing import TYPE_CHECKING

import pytest

from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FEATURES
from tests.support.onboarding import Account

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


def codes_of(account: Account, model: str) -> list[str]:
    rejected = [each for each in account.registry.versions(model) if each.violations]
    return [each.code for version in rejected for each in version.violations]
