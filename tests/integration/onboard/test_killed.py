"""The function ends before any of its writes, and what is left is sound and finds its end.

Between two writes only reads happen, so the moment before a write is also the one after the write
before it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facet.registry.models import Mode, Place, Policy, Status
from facet.registry.placement import Placement
from onboard.proof.missing import MissingProof
from onboard.proof.places import Reached
from tests.support.aws import fakes
from tests.support.inputs import artifacts, heads
from tests.support.onboarding import Account, identity, patient
from tests.support.processes.killing import House, Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

    from onboard.uploads import Upload

GOOD, OTHER, THIRD, FOURTH = (
    artifacts.with_litert(golden=artifacts.golden(), description=text) for text in "abcd"
)
CODE = artifacts.packed(artifacts.members() | {"code/inference.py": b"import os"})
WRONG_SCORES = (0.1, 0.8, 0.1)
NOW = "2026-01-01T00:00:00.000+00:00"


AWAY = ClientError(
    {
        "Error": {
            "Code": "ValidationError",
            "Message": "Endpoint endpoint of account 123456789012 not found.",
        }
    },
    "InvokeEndpoint",
)


@pytest.fixture
def house(s3: "S3Client", table: "Table") -> House:
    watched = Watched()
    account = Account(s3, table, watched, watched, watched, keep=3)
    return House(account, watched)


@dataclass(frozen=True)
class Case:
    """Versions `before` an upload of `data`, and its `outcome`.

    `events` has the types of the version's events, `writes` is the number of its writes.
    """

    data: bytes
    outcome: Status
    events: set[str]
    writes: int
    before: tuple[bytes, ...] = (OTHER,)
    mode: Mode = Mode.AUTO
    scores: tuple[float, ...] = fakes.SCORES
    at: Placement | None = None
    retired: tuple[bytes, ...] = ()


PROMOTED = {"ModelReady", "ModelPromoted"}
CASES = {
    "first": Case(GOOD, Status.READY, PROMOTED, 13, before=(), at=Placement.LIVE),
    "good": Case(GOOD, Status.READY, PROMOTED, 13, at=Placement.LIVE),
    "bad": Case(CODE, Status.REJECTED, {"ModelRejected"}, 8),
    "unproven": Case(GOOD, Status.REJECTED, {"ModelRejected"}, 16, scores=WRONG_SCORES),
    "canary": Case(
        GOOD, Status.READY, {"ModelReady"}, 11, mode=Mode.CANARY, at=Placement.CANDIDATE
    ),
    "same-bytes": Case(
        GOOD, Status.READY, PROMOTED, 4, before=(OTHER, GOOD), at=Placement.LIVE
    ),
    "retention": Case(
        GOOD, Status.READY, PROMOTED, 16, before=(OTHER, THIRD, FOURTH), at=Placement.LIVE,
        retired=(OTHER,),
    ),
}  # fmt: skip


def prepared(house: House, case: Case, model: str) -> "Upload":
    house.onboarded(model, *case.before)
    if case.before:
        house.account.releases.set_policy(model, Policy(case.mode), NOW)
    house.watched.runtime.scores = case.scores
    return house.put(model, case.data)


def assert_ended(house: House, case: Case, model: str) -> None:
    account, version = house.account, identity(case.data)
    house.assert_settled(model)
    assert account.status(case.data, model) is case.outcome
    events = {kind for kind, detail in house.watched.told if _is(detail, model, version)}
    assert events == case.events, "each event was published"
    found = account.registry.model(model)
    before = identity(case.before[-1]) if case.before else None
    assert found.live == (version if case.at is Placement.LIVE else before)
    candidate = found.canary.candidate if found.canary else None
    assert candidate == (version if case.at is Placement.CANDIDATE else None)
    for each in case.retired:
        assert account.status(each, model) is Status.RETIRED


def _is(detail: dict[str, Any], model: str, version: str) -> bool:
    return (detail["model"], detail["version"]) == (model, version)


def replayed(house: House, upload: "Upload") -> None:
    """Lambda tries the event again; then S3 delivers it once more."""
    house.account.onboarding.onboard(upload, patient()[0])
    house.assert_sound(upload.model)
    assert house.account.process(upload).outcome == "GONE"


def swept(house: House, _: "Upload") -> None:
    """The event is lost for good."""
    house.account.sweep()


@pytest.mark.parametrize(
    ("case", "again"),
    [
        *((case, replayed) for case in CASES),
        *((case, swept) for case in ("good", "bad", "unproven", "retention")),
    ],
)
def test_killed_before_any_write_the_next_attempt_completes_it(
    house: House, case: str, again: Callable[[House, "Upload"], None]
) -> None:
    wanted = CASES[case]
    for most in itertools.count(1):
        model, house.watched.runtime.scores = f"m{most}", fakes.SCORES
        upload = prepared(house, wanted, model)
        ended = house.killed(most, partial(house.account.process, upload))
        house.assert_sound(model)
        again(house, upload)
        assert_ended(house, wanted, model)
        if not ended:
            break
    assert most == wanted.writes + 1


def test_killed_in_the_replay_too(house: House) -> None:
    """Each attempt comes one write further than the one before it."""
    upload = prepared(house, CASES["good"], "m")
    for most in itertools.count(1):
        ended = house.killed(most, lambda: house.account.process(upload))
        house.assert_sound("m")
        if not ended:
            break
    assert_ended(house, CASES["good"], "m")


def test_killed_while_it_is_proven_in_both_places(house: House) -> None:
    house.account.infer = house.watched
    for most in itertools.count(1):
        model = f"m{most}"
        upload = house.put(model, GOOD)
        ended = house.killed(most, partial(house.account.process, upload))
        house.assert_sound(model)
        replayed(house, upload)
        house.assert_settled(model)
        assert {*house.account.registry.live(model).proven_in} == {*Place}
        if not ended:
            break
    assert most == CASES["first"].writes + 2, "the function is one more that is asked"


def test_killed_while_the_endpoint_proves_what_the_function_answers(house: House) -> None:
    account = house.account
    account.infer = house.watched
    for most in itertools.count(1):
        model, house.watched.runtime.error = f"m{most}", AWAY
        house.onboarded(model, GOOD)
        assert [*account.registry.live(model).proven_in] == [Place.FUNCTION]
        house.watched.runtime.error = None
        missing, retry = MissingProof(model, identity(GOOD)), patient()[0]
        reached = Reached()
        ended = house.killed(most, lambda: account.onboarding.prove(missing, retry, reached))  # noqa: B023
        house.assert_sound(model)
        account.sweep()
        house.assert_settled(model)
        assert {*account.registry.live(model).proven_in} == {*Place}
        assert account.onboarding.prove(missing, retry, Reached()) is None, "there is nothing to do"
        if not ended:
            break
    assert most == 3, "it asks, and it records"


def test_killed_while_a_head_is_onboarded(house: House) -> None:
    """Its weights are written beside its artifact; the backbone's place proves it."""
    account = house.account
    house.watched.runtime.scores = artifacts.FEATURES
    backbone = artifacts.packed(artifacts.backbone_members())
    house.onboarded("mobilenet", backbone)
    head = heads.artifact(identity(backbone))
    for most in itertools.count(1):
        model = f"m{most}"
        upload = account.put(head, model)
        ended = house.killed(most, partial(account.process, upload))
        version = account.registry.find(model, identity(head))
        assert account.bucket.has_upload(upload) or (version and version.status is Status.READY)
        assert account.onboarding.onboard(upload, patient()[0]).outcome in ("READY", "GONE")
        account.assert_live(head, model)
        stored = account.content(f"heads/{model}/{identity(head)}.npz")
        assert stored == heads.head().to_bytes()
        assert account.process(upload).outcome == "GONE"
        if not ended:
            break
    assert most == 14, "each write came"
