"""Where uploads are proven: on the endpoint, in the function, and later where they lack it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from facet.errors import EndpointRemoved, EndpointThrottled
from facet.registry.models import Mode, Place, Policy, RunIn, Status
from onboard.app import parse
from onboard.proof.missing import MissingProof
from onboard.proof.places import Reached
from onboard.retry import RetryPolicy
from onboard.sweep import lacking
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, identity, patient
from tests.support.versions import NOW

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

E, F = Place.ENDPOINT, Place.FUNCTION
LITE, OTHER = (artifacts.with_litert(golden=artifacts.golden(), description=text) for text in "ab")
TENSORFLOW = artifacts.artifact(golden=artifacts.golden())
WRONG = (0.1, 0.8, 0.1)
TOO_LARGE = {"status": 507, "response": {"error": "it needs 3,000 MB", "code": "too-large"}}
AWAY = fakes.refusal("ValidationError")
AWAY.response["Error"]["Message"] = "Endpoint e of account 123456789012 not found."
THROTTLED = ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    """One with an endpoint and a function."""
    return Account(s3, table, infer=fakes.Lambda())


def away(account: Account, error: Exception | None) -> None:
    """Whether there is an endpoint."""
    account.runtime.error = ClientError(AWAY.response, "InvokeEndpoint") if error else None


def places(account: Account, data: bytes = LITE) -> dict[Place, list[str]]:
    """Where a version is proven (no codes), and the codes of why not."""
    version = account.registry.find("cifar", identity(data))
    assert version
    why = {place: [each.code for each in found] for place, found in version.not_proven.items()}
    return {place: list[str]() for place in version.proven_in} | why


def demand(account: Account, run_in: RunIn) -> None:
    """A model with a first version, whose next ones are to run there."""
    assert account.onboard(OTHER) == "READY"
    account.registry.set_run_in("cifar", run_in, NOW)


def test_an_upload_is_proven_in_both_places(account: Account) -> None:
    ticks = iter(range(1000))
    account.clock = lambda: next(ticks) / 100
    assert account.onboard(LITE) == "READY"
    version = account.registry.live("cifar")
    assert places(account) == {E: [], F: []}
    assert version.function_seconds == pytest.approx(0.01)
    assert set(account.infer.asked) == {f"lite/cifar/{version.id}.tflite"}
    assert len(account.infer.asked) == len(account.runtime.asked), "it is the same proof"
    assert account.sweep().unproven == []


def test_without_an_endpoint_an_upload_is_live_at_once(account: Account) -> None:
    away(account, AWAY)
    assert account.onboard(LITE) == "READY"
    account.assert_live(LITE)
    assert places(account) == {F: []}
    assert account.published() == [
        ("ModelReady", identity(LITE)),
        ("ModelPromoted", identity(LITE)),
    ]


def test_without_an_endpoint_a_tensorflow_model_waits_and_says_why(account: Account) -> None:
    away(account, AWAY)
    upload = account.put(TENSORFLOW)
    with pytest.raises(EndpointRemoved, match=r"no LiteRT model.*facet pack") as raised:
        account.process(upload)
    assert "on the endpoint" not in str(raised.value).partition("To use it without")[2]
    assert account.status(TENSORFLOW) is Status.PENDING
    assert places(account, TENSORFLOW) == {F: ["needs-tensorflow"]}
    away(account, None)
    assert account.process(upload).outcome == "READY"
    assert places(account, TENSORFLOW) == {E: [], F: ["needs-tensorflow"]}


def test_a_model_that_does_not_fit_the_function_runs_on_the_endpoint(account: Account) -> None:
    account.infer.answer = TOO_LARGE
    assert account.onboard(LITE) == "READY"
    assert places(account) == {E: [], F: ["too-large-for-function"]}
    (reason,) = account.registry.live("cifar").not_proven[F]
    assert "3,000 MB" in reason.problem
    assert account.sweep().unproven == [], "it is not tried again"


@pytest.mark.parametrize(
    ("data", "answer", "code"),
    [(LITE, TOO_LARGE, "too-large-for-function"), (TENSORFLOW, None, "needs-tensorflow")],
)
def test_where_the_function_is_demanded_it_is_a_violation(
    account: Account, data: bytes, answer: dict[str, Any] | None, code: str
) -> None:
    demand(account, RunIn.FUNCTION)
    account.infer.answer = answer
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data) == [code]
    account.assert_live(OTHER)


def test_the_stacks_own_wish_for_the_function_is_no_demand(account: Account) -> None:
    account.run_in = RunIn.FUNCTION
    assert account.onboard(TENSORFLOW) == "READY"
    assert places(account, TENSORFLOW) == {E: [], F: ["needs-tensorflow"]}


@pytest.mark.parametrize(
    ("run_in", "outcome"),
    [(RunIn.ENDPOINT, "READY"), (RunIn.AUTO, "READY"), (RunIn.FUNCTION, "REJECTED")],
)
def test_a_wrong_answer_rejects_where_the_model_is_to_run_first(
    account: Account, run_in: RunIn, outcome: str
) -> None:
    demand(account, run_in)
    account.infer.scores = WRONG
    assert account.onboard(LITE) == outcome
    assert places(account) == {E: [], F: ["golden-label"]}
    version = account.registry.find("cifar", identity(LITE))
    assert version
    assert version.not_proven[F][0].problem.startswith("the function answers")


def test_a_wrong_answer_of_the_endpoint_rejects_although_the_function_is_right(
    account: Account,
) -> None:
    account.runtime.scores = WRONG
    assert account.onboard(LITE) == "REJECTED"
    assert account.assert_rejected(LITE) == ["golden-label"]


def test_where_the_function_decides_its_wrong_answer_rejects_without_an_endpoint(
    account: Account,
) -> None:
    away(account, AWAY)
    account.run_in = RunIn.FUNCTION
    account.infer.scores = WRONG
    assert account.onboard(LITE) == "REJECTED"
    assert account.assert_rejected(LITE) == ["golden-label"]


@pytest.mark.parametrize("run_in", [RunIn.ENDPOINT, RunIn.AUTO])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"scores": WRONG}, "golden-label"),
        ({"scores": (0.6, 0.3, 0.1)}, "golden-score"),
        ({"answer": {"status": 400, "response": {"error": "no"}}}, "model-failed"),
    ],
)
def test_a_fault_of_the_function_waits_for_an_endpoint_that_is_to_decide(
    account: Account, run_in: RunIn, fault: dict[str, Any], code: str
) -> None:
    away(account, AWAY)
    account.run_in = run_in
    vars(account.infer).update(fault)
    upload = account.put(LITE)
    with pytest.raises(EndpointRemoved, match="the function"):
        account.process(upload)
    assert account.status(LITE) is Status.PENDING
    assert places(account) == {F: [code]}
    away(account, None)
    assert account.process(upload).outcome == "READY"
    assert places(account) == {E: [], F: [code]}


def test_a_slow_function_waits_for_the_endpoint(account: Account) -> None:
    away(account, AWAY)
    ticks = iter(range(0, 100_000, 11))
    account.clock = lambda: next(ticks)
    upload = account.put(LITE)
    with pytest.raises(EndpointRemoved, match=r"took 11\.0 s"):
        account.process(upload)
    assert places(account) == {F: ["too-slow"]}


def test_scores_that_are_none_anywhere_reject_without_an_endpoint(account: Account) -> None:
    away(account, AWAY)
    account.infer.scores = (5.0, 2.0, 1.0)
    assert account.onboard(LITE) == "REJECTED"
    assert "not-probabilities" in account.assert_rejected(LITE)


def test_a_busy_function_proves_later(account: Account) -> None:
    account.infer.error = THROTTLED
    assert account.onboard(LITE) == "READY"
    assert places(account) == {E: []}
    account.infer.error = None
    assert account.sweep().unproven == [f"cifar/{identity(LITE)}.tar.gz"]
    assert places(account) == {E: [], F: []}


@pytest.mark.parametrize("run_in", RunIn)
def test_a_busy_function_without_an_endpoint_is_asked_again(
    account: Account, run_in: RunIn
) -> None:
    away(account, AWAY)
    account.infer.error = THROTTLED
    upload = account.put(LITE)
    account.run_in = run_in
    retry, pauses = patient()
    with pytest.raises(EndpointThrottled):
        account.process(upload, retry)
    assert pauses == [], "it gives back the execution that it holds"
    assert account.content("mme/cifar.tar.gz") == LITE
    account.infer.error = None
    assert account.process(upload).outcome == "READY"


def test_the_endpoint_proves_what_it_lacks_when_it_is_back(account: Account) -> None:
    away(account, AWAY)
    for data in (LITE, OTHER):
        account.onboard(data)
    asked = len(account.runtime.asked)
    assert len(account.sweep().unproven) == 2
    assert places(account) == places(account, OTHER) == {F: []}
    assert len(account.runtime.asked) == asked + 1, "it is asked once whether it is back"
    away(account, None)
    account.sweep()
    assert places(account) == places(account, OTHER) == {F: [], E: []}
    assert account.sweep().unproven == []


def waiting(account: Account, models: int) -> dict[str, Any]:
    """The sweeper's event of versions that the function has proven and the endpoint has not."""
    away(account, AWAY)
    for number in range(models):
        assert account.onboard(LITE, f"m{number}") == "READY"
    sent: list[dict[str, Any]] = []
    account.sweeper(sent.append).sweep(datetime.now(UTC))
    account.runtime.asked.clear()
    return sent[0]


def test_a_hanging_endpoint_does_not_use_up_the_events_time(account: Account) -> None:
    event = waiting(account, models=12)
    account.runtime.error = ReadTimeoutError(endpoint_url="")

    def left() -> float:
        return 900.0 - 65 * len(account.runtime.asked)

    account.send(event, RetryPolicy(left, attempt=65, sleep=lambda _: None))
    assert len({*account.runtime.asked}) > 1, "another model may have been loading only"
    assert len(account.runtime.asked) <= 4, "two models without an answer are enough"
    account.runtime.error = None
    account.sweep()
    assert [*account.registry.unproven("m")] == []


def test_an_endpoint_that_cannot_be_reached_is_asked_for_one_version_only(
    account: Account,
) -> None:
    event = waiting(account, models=3)
    account.runtime.error = EndpointConnectionError(endpoint_url="")
    account.send(event)
    assert len({*account.runtime.asked}) == 1


def test_a_function_that_throttles_is_asked_for_one_version_only(account: Account) -> None:
    account.infer.error = THROTTLED
    for number in range(3):
        assert account.onboard(LITE, f"m{number}") == "READY"
    asked = len(account.infer.asked)
    assert len(account.sweep().unproven) == 3
    assert len(account.infer.asked) == asked + 1


def test_a_later_proof_that_fails_leaves_the_version_ready(account: Account) -> None:
    away(account, AWAY)
    account.onboard(LITE)
    away(account, None)
    account.runtime.scores = WRONG
    account.sweep()
    account.assert_live(LITE)
    assert places(account) == {F: [], E: ["golden-label"]}
    assert account.sweep().unproven == [], "it is not tried again"


def test_a_version_of_an_earlier_release_gets_the_functions_proof(
    account: Account, table: "Table"
) -> None:
    account.onboard(LITE)
    table.update_item(
        Key={"model": "cifar", "item": f"version#{identity(LITE)}"},
        UpdateExpression="REMOVE litert_size, litert_sha256, proven_in, not_proven, kind",
    )
    account.bucket.delete_stored(f"lite/cifar/{identity(LITE)}.tflite", litert_version(account))
    first = account.sweep()
    assert first.without_litert == [f"cifar/{identity(LITE)}.tar.gz"]
    account.sweep()
    assert places(account) == {E: [], F: []}
    account.assert_litert(account.registry.live("cifar"))


def litert_version(account: Account) -> str:
    key = f"lite/cifar/{identity(LITE)}.tflite"
    return account.s3.head_object(Bucket=fakes.BUCKET, Key=key)["VersionId"]


def test_a_deleted_litert_model_is_stored_and_proven_anew(account: Account) -> None:
    account.infer.answer = TOO_LARGE
    account.onboard(LITE)
    account.infer.answer = None
    account.s3.delete_object(Bucket=fakes.BUCKET, Key=f"lite/cifar/{identity(LITE)}.tflite")
    for _ in range(2):
        account.sweep()
    assert places(account) == {E: [], F: []}


def test_a_version_that_is_retired_meanwhile_is_not_recorded(account: Account) -> None:
    away(account, AWAY)
    account.onboard(LITE)
    account.onboard(OTHER)
    away(account, None)
    version = account.registry.ready("cifar", identity(LITE))
    account.runtime.meanwhile = lambda: account.releases.retire(version, NOW)
    missing = MissingProof("cifar", version.id)
    assert account.onboarding.prove(missing, patient()[0], Reached()) is None
    assert account.status(LITE) is Status.RETIRED


def test_a_candidate_and_its_rollback_need_no_endpoint(account: Account) -> None:
    away(account, AWAY)
    account.onboard(OTHER)
    account.releases.set_policy("cifar", Policy(Mode.CANARY), NOW)
    account.onboard(LITE)
    serving = account.registry.serving("cifar")
    assert serving.candidate
    assert serving.candidate.id == identity(LITE)
    account.releases.rollback("cifar", NOW)
    account.assert_live(OTHER)


def test_the_sweepers_event_has_all_versions(account: Account) -> None:
    away(account, AWAY)
    for data in (LITE, OTHER):
        account.onboard(data)
    sent: list[dict[str, Any]] = []
    account.sweeper(sent.append).sweep(datetime.now(UTC))
    (event,) = sent
    expected = {MissingProof("cifar", identity(data)) for data in (LITE, OTHER)}
    assert {*parse(event)} == expected


def test_more_versions_than_a_run_looks_at_all_get_their_turn(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(account, models=4)
    monkeypatch.setattr(lacking, "MAX_LOOKED_UP", 1)
    for name in ("m0", "m3", "m1", "m2"):
        monkeypatch.setattr("random.choice", lambda all_, name=name: _of(name, all_))
        swept = account.sweeper(lambda _: None).sweep(datetime.now(UTC))
        assert [each.partition("/")[0] for each in swept.unproven] == [name]
    found = [each.model for each in account.registry.unproven("m2")]
    assert found == ["m2", "m3", "m0", "m1"]


def _of(model: str, artifacts: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The artifact of that model."""
    (found,) = [each for each in artifacts if each[0] == model]
    return found
