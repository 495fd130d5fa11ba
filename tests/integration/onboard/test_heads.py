"""Onboarding of heads: the backbone that they name, and the proof through it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from facet.errors import EndpointUnavailable
from facet.heads.weights import Head
from facet.registry.models import Place, RunIn, Status
from tests.support.aws import fakes
from tests.support.inputs import artifacts, heads
from tests.support.inputs.artifacts import FEATURES
from tests.support.onboarding import Account, identity, patient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

E, F = Place.ENDPOINT, Place.FUNCTION
BACKBONE = artifacts.packed(artifacts.backbone_members())
LITE = artifacts.packed(artifacts.backbone_members() | {artifacts.LITERT: artifacts.litert()})
DOGS = artifacts.artifact(golden=artifacts.golden())
HEAD = heads.artifact(identity(BACKBONE))
ON_LITE = heads.artifact(identity(LITE))
AWAY = fakes.refusal(
    "ValidationError",
    Error={
        "Code": "ValidationError",
        "Message": "Endpoint endpoint of account 123456789012 not found.",
    },
)


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    account = Account(s3, table)
    account.runtime.scores = FEATURES
    account.infer = None
    return account


def with_function(account: Account) -> Account:
    account.infer = fakes.Lambda(scores=FEATURES)
    return account


def codes(account: Account, data: bytes, model: str = "cats") -> list[str]:
    return [each["code"] for each in account.report(data, model)["violations"]]


def places(account: Account, model: str = "cats") -> dict[Place, list[str]]:
    """Where the live version is proven, and the codes of why it is not elsewhere."""
    live = account.registry.live(model)
    proven: dict[Place, list[str]] = {each: [] for each in live.proven_in}
    failed = {each: [one.code for one in why] for each, why in live.not_proven.items()}
    return proven | failed


def test_a_head_becomes_ready_through_its_backbone(account: Account) -> None:
    assert account.onboard(BACKBONE, "mobilenet") == "READY"
    account.runtime.asked.clear()
    account.runtime.images.clear()
    assert account.onboard(HEAD, "cats") == "READY"
    account.assert_live(HEAD, "cats")
    live = account.registry.live("cats")
    assert (live.kind, live.proof, account.registry.model("cats").kind) == (
        "head",
        "golden",
        "head",
    )
    assert {*account.runtime.asked} == {f"mobilenet/{identity(BACKBONE)}.tar.gz"}
    assert account.runtime.images == [1, 1, 4, 4]
    assert places(account) == {E: []}
    stored = account.content(f"heads/cats/{live.id}.npz")
    assert stored == heads.head().to_bytes()
    assert live.head_sha256 == hashlib.sha256(stored).hexdigest()
    assert f"golden/cats/{live.id}" in account.stored()


def other_width() -> bytes:
    named = {"model": "mobilenet", "version": identity(BACKBONE), "width": 5}
    return heads.artifact(weights=heads.head(width=5), backbone=named)


@dataclass
class Case:
    made: Callable[[], bytes]
    codes: list[str]
    said: str = ""


CASES = {
    "no such version": Case(
        lambda: heads.artifact("ba9876543210"), ["head-backbone"], "does not exist"
    ),
    "no such model": Case(
        lambda: heads.artifact(backbone={"model": "nobody", "version": "0" * 12, "width": 4}),
        ["head-backbone"],
        "does not exist",
    ),
    "a classifier": Case(
        lambda: heads.artifact(backbone={"model": "dogs", "version": identity(DOGS), "width": 4}),
        ["head-backbone"],
        "'dogs' is a classifier",
    ),
    "another width": Case(other_width, ["head-shape"], "for 5 features; 'mobilenet' has 4"),
    "another input": Case(
        lambda: heads.artifact(
            identity(BACKBONE), input=artifacts.manifest()["input"] | {"height": 9, "order": "BGR"}
        ),
        ["head-input"],
        "height (9, the backbone's is 8), order (BGR, the backbone's is RGB)",
    ),
    "another label": Case(
        lambda: heads.artifact(identity(BACKBONE), golden=artifacts.golden("dog", 0.9)),
        ["golden-label"],
    ),
    "another score": Case(
        lambda: heads.artifact(identity(BACKBONE), golden=artifacts.golden("cat", 0.95)),
        ["golden-score"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_head_that_does_not_fit_is_rejected_with_the_reason(account: Account, name: str) -> None:
    account.runtime.scores = fakes.SCORES
    assert account.onboard(DOGS, "dogs") == "READY"
    account.runtime.scores = FEATURES
    assert account.onboard(BACKBONE, "mobilenet") == "READY"
    case = CASES[name]
    data = case.made()
    assert account.onboard(data, "cats") == "REJECTED"
    assert codes(account, data) == case.codes
    assert case.said in account.report(data, "cats")["violations"][0]["problem"]
    assert not account.stored("heads/")


def test_a_head_on_a_backbone_out_of_service_is_rejected(account: Account) -> None:
    account.onboard(BACKBONE, "mobilenet")
    account.releases.clear("mobilenet", "2026-01-01T00:00:00.000+00:00")
    ready = account.registry.ready("mobilenet", identity(BACKBONE))
    account.releases.retire(ready, "2026-01-01T00:00:00.000+00:00")
    assert account.onboard(HEAD, "cats") == "REJECTED"
    assert "is RETIRED" in account.report(HEAD, "cats")["violations"][0]["problem"]


def test_all_reasons_are_given_at_once(account: Account) -> None:
    broken = heads.members(labels=["cat", "dog"]) | {"1/saved_model.pb": artifacts.saved_model()}
    data = artifacts.packed(broken)
    assert account.onboard(data, "cats") == "REJECTED"
    assert codes(account, data) == ["head-file", "head-file", "head-backbone"]


def test_a_head_cannot_take_the_name_of_a_classifier_or_of_a_backbone(account: Account) -> None:
    account.onboard(BACKBONE, "mobilenet")
    assert account.onboard(HEAD, "mobilenet") == "REJECTED"
    assert codes(account, HEAD, "mobilenet") == ["other-kind"]
    assert account.onboard(HEAD, "cats") == "READY"
    account.runtime.scores = fakes.SCORES
    assert account.onboard(DOGS, "cats") == "REJECTED"
    account.assert_live(HEAD, "cats")


def test_a_head_is_proven_in_both_places_of_its_backbone(account: Account) -> None:
    with_function(account)
    account.onboard(LITE, "mobilenet")
    assert account.onboard(ON_LITE, "cats") == "READY"
    assert places(account) == {E: [], F: []}
    assert {*account.infer.asked} == {f"lite/mobilenet/{identity(LITE)}.tflite"}
    assert account.registry.live("cats").function_seconds is not None


def test_where_the_backbone_cannot_run_the_head_cannot_either(account: Account) -> None:
    with_function(account)
    account.onboard(BACKBONE, "mobilenet")
    assert account.onboard(HEAD, "cats") == "READY"
    assert places(account) == {E: [], F: ["backbone-not-proven"]}
    assert account.sweep().unproven == []
    other = heads.artifact(identity(BACKBONE), description="other")
    account.registry.set_run_in("cats", RunIn.FUNCTION, "2026-01-01T00:00:00.000+00:00")
    assert account.onboard(other, "cats") == "REJECTED"
    assert codes(account, other) == ["backbone-not-proven"]


def test_a_place_where_the_backbone_is_proven_later_gets_the_head_later(account: Account) -> None:
    with_function(account)
    account.runtime.error = AWAY
    account.onboard(LITE, "mobilenet")
    assert account.onboard(ON_LITE, "cats") == "READY"
    assert places(account) == {F: []}
    assert len(account.sweep().unproven) == 2
    assert places(account) == {F: []}
    account.runtime.error = None
    for _ in range(2):
        account.sweep()
    assert places(account, "mobilenet") == places(account) == {E: [], F: []}
    assert account.sweep().unproven == []


def test_a_place_that_is_away_when_the_head_comes_gets_it_later(account: Account) -> None:
    with_function(account)
    account.onboard(LITE, "mobilenet")
    account.runtime.error = AWAY
    assert account.onboard(ON_LITE, "cats") == "READY"
    assert places(account) == {F: []}
    account.runtime.error = None
    account.sweep()
    assert places(account) == {E: [], F: []}


def test_a_backbone_that_fails_in_a_place_later_is_recorded_of_the_head_too(
    account: Account,
) -> None:
    with_function(account)
    account.runtime.error = AWAY
    account.onboard(LITE, "mobilenet")
    account.onboard(ON_LITE, "cats")
    account.runtime.error, account.runtime.scores = None, FEATURES[::-1]
    for _ in range(2):
        account.sweep()
    assert places(account) == {F: [], E: ["backbone-not-proven"]}
    assert account.sweep().unproven == []


def test_a_head_waits_for_a_backbone_that_is_uploaded_at_the_same_time(account: Account) -> None:
    backbone = account.put(BACKBONE, "mobilenet")
    head = account.put(HEAD, "cats")
    with pytest.raises(EndpointUnavailable, match="'mobilenet' is not registered yet"):
        account.process(head)
    assert account.status(HEAD, "cats") is Status.PENDING
    account.runtime.error = fakes.refusal("ServiceUnavailable")
    with pytest.raises(EndpointUnavailable):
        account.process(backbone)
    with pytest.raises(EndpointUnavailable, match="'mobilenet' is PENDING"):
        account.process(head)
    account.runtime.error = None
    retry, pauses = patient()
    waiting = replace(retry, sleep=lambda seconds: _meanwhile(account, backbone, pauses, seconds))
    assert account.process(head, waiting).outcome == "READY"
    assert account.status(BACKBONE, "mobilenet") is Status.READY
    account.assert_live(HEAD, "cats")


def _meanwhile(account: Account, backbone: Any, pauses: list[float], seconds: float) -> None:
    pauses.append(seconds)
    account.process(backbone)


def test_a_head_for_another_version_than_the_waiting_one_is_rejected_in_the_end(
    account: Account,
) -> None:
    backbone = account.put(BACKBONE, "mobilenet")
    head = account.put(other := heads.artifact("ba9876543210"), "cats")
    with pytest.raises(EndpointUnavailable):
        account.process(head)
    account.process(backbone)
    assert account.process(head).outcome == "REJECTED"
    assert codes(account, other) == ["head-backbone"]


def test_the_same_bytes_are_unchanged_and_a_new_version_goes_live(account: Account) -> None:
    account.onboard(BACKBONE, "mobilenet")
    assert account.onboard(HEAD, "cats") == "READY"
    assert account.onboard(HEAD, "cats") == "UNCHANGED"
    more = heads.artifact(identity(BACKBONE), _larger(), labels=["cat", "dog", "ship", "emu"])
    assert account.onboard(more, "cats") == "READY"
    account.assert_live(more, "cats")


def _larger() -> Head:
    return heads.head(labels=4)
