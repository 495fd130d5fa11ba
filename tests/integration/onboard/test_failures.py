"""An upload that keeps failing: rejected if the artifact is the cause, kept if the platform is."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facet.artifact.archive import MAX_PACKED
from facet.errors import EndpointUnavailable, RegistryConflict
from facet.registry.attempts import UPLOAD_ITEM, Attempts
from facet.registry.models import Status
from onboard.failures import (
    AT_LAST,
    FAULTS_LAST,
    NO_RESULT,
    NO_RESULT_AFTER,
    SAME_FAILURES,
    SAME_FAULTS,
)
from onboard.uploads import Upload
from tests.support import versions
from tests.support.aws import fakes
from tests.support.aws.fakes import refusal
from tests.support.inputs import artifacts
from tests.support.onboarding import Account

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD = artifacts.artifact(golden=artifacts.golden())
DOWN = refusal("ServiceUnavailable")


@dataclass
class Moody(fakes.Runtime):
    """An endpoint that raises `error` only for the models in `failing`."""

    failing: set[str] = field(default_factory=set)

    def invoke_endpoint(self, **asked: Any) -> dict[str, Any]:
        if asked["TargetModel"].partition("/")[0] in self.failing and self.error:
            raise self.error
        error, self.error = self.error, None
        try:
            return super().invoke_endpoint(**asked)
        finally:
            self.error = error


@dataclass
class Clock:
    """The time, which a test moves."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> str:
        return self.at.isoformat(timespec="milliseconds")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(s3: "S3Client", table: "Table", clock: Clock) -> Account:
    return Account(s3, table, runtime=Moody(failing={"cifar"}), now=clock)


def fail(account: Account, upload: Upload, times: int, error: type[Exception]) -> None:
    for _ in range(times):
        with pytest.raises(error):
            account.process(upload)


def attempts(account: Account) -> list[str]:
    """The items of uploads without a result."""
    items = [str(each["item"]) for each in account.table.scan()["Items"]]
    return [each for each in items if each.startswith(UPLOAD_ITEM)]


def reason(account: Account) -> str:
    (violation,) = account.report(GOOD)["violations"]
    assert violation["code"] == "kept-failing"
    return str(violation["problem"])


def test_an_artifact_on_which_the_code_fails_is_rejected_with_its_error(account: Account) -> None:
    account.runtime.error = OverflowError("timestamp too large")
    upload = account.put(GOOD)
    fail(account, upload, SAME_FAILURES - 1, OverflowError)
    assert account.process(upload).outcome == "REJECTED"
    assert account.assert_rejected(GOOD) == ["kept-failing"]
    assert "OverflowError" in reason(account)
    assert attempts(account) == []


def test_an_artifact_that_cannot_be_validated_is_rejected_too(account: Account) -> None:
    class Broken:
        @property
        def golden_required(self) -> bool:
            raise RecursionError

    account.rules = Broken()  # type: ignore[assignment]
    data = artifacts.artifact()
    upload = account.put(data)
    fail(account, upload, SAME_FAILURES - 1, RecursionError)
    assert account.process(upload).outcome == "REJECTED"
    assert account.assert_rejected(data) == ["kept-failing"]


def test_failures_of_several_kinds_are_not_the_same(account: Account) -> None:
    upload = account.put(GOOD)
    for error in (OverflowError, KeyError) * SAME_FAILURES:
        account.runtime.error = error("x")
        fail(account, upload, 1, error)
    account.runtime.error = None
    assert account.process(upload).outcome == "READY"
    assert attempts(account) == []


def test_a_model_that_the_endpoint_never_answers_for_is_rejected_if_others_are_answered(
    account: Account, clock: Clock
) -> None:
    account.onboard(artifacts.artifact(), "healthy")
    account.runtime.error = DOWN
    upload = account.put(GOOD)
    fail(account, upload, SAME_FAULTS, EndpointUnavailable)  # within an hour it may be the load
    clock.at += FAULTS_LAST
    assert account.process(upload).outcome == "REJECTED"
    assert account.assert_rejected(GOOD) == ["kept-failing"]
    assert f"{SAME_FAULTS + 1} times in the same way: EndpointUnavailable" in reason(account)


def test_an_endpoint_that_answers_for_nobody_rejects_no_upload(
    account: Account, clock: Clock
) -> None:
    account.onboard(artifacts.artifact(), "healthy")
    account.runtime.error, account.runtime.failing = DOWN, {"cifar", "healthy"}
    upload = account.put(GOOD)
    fail(account, upload, SAME_FAULTS + 1, EndpointUnavailable)
    clock.at += 2 * AT_LAST
    fail(account, upload, 1, EndpointUnavailable)
    account.runtime.error = None
    assert account.process(upload).outcome == "READY"


def test_without_another_model_an_upload_is_rejected_after_a_day(
    account: Account, clock: Clock
) -> None:
    account.runtime.error = DOWN
    upload = account.put(GOOD)
    fail(account, upload, SAME_FAULTS + 1, EndpointUnavailable)
    clock.at += AT_LAST
    assert account.process(upload).outcome == "REJECTED"


def test_an_event_that_cannot_be_published_rejects_nothing(account: Account, clock: Clock) -> None:
    account.events.error = "ThrottlingException"
    upload = account.put(GOOD)
    fail(account, upload, SAME_FAULTS + 1, ClientError)
    clock.at += AT_LAST
    fail(account, upload, 1, ClientError)
    assert account.status(GOOD) is Status.READY


def test_attempts_that_end_without_a_word_are_counted(account: Account, clock: Clock) -> None:
    """The function was ended from outside: out of memory, or of time."""
    upload = account.put(GOOD)
    for _ in range(NO_RESULT):
        Attempts(account.table).begin("cifar", upload.object_version or "", clock())
    clock.at += NO_RESULT_AFTER
    assert account.process(upload).outcome == "REJECTED"
    assert "out of memory or time" in reason(account)


def test_an_object_in_an_archive_is_rejected_and_named(account: Account) -> None:
    answer = account.s3.put_object(
        Bucket=fakes.BUCKET, Key="mme/cifar.tar.gz", Body=GOOD, StorageClass="GLACIER"
    )
    result = account.process(Upload("cifar", answer["VersionId"]))
    assert (result.outcome, [each.code for each in result.violations]) == (
        "REJECTED",
        ["unreadable"],
    )
    (version,) = account.registry.versions("cifar")
    assert account.stored() == {f"rejected/cifar/{version.id}.json"}


@pytest.mark.parametrize(("size", "outcome"), [(MAX_PACKED, "READY"), (MAX_PACKED + 1, "REJECTED")])
def test_an_upload_that_s3_cannot_copy_is_rejected_unread(
    account: Account, size: int, outcome: str
) -> None:
    def enlarge(parsed: dict[str, Any], **_: object) -> None:
        parsed["ContentLength"] = size

    upload = account.put(GOOD)
    account.runtime.failing.clear()
    account.s3.meta.events.register("after-call.s3.GetObject", enlarge)
    try:
        result = account.process(upload)
    finally:
        account.s3.meta.events.unregister("after-call.s3.GetObject", enlarge)
    assert result.outcome == outcome
    if outcome == "REJECTED":
        assert [each.code for each in result.violations] == ["upload-too-large"]
        assert "5,368,709,121 bytes" in result.violations[0].problem
        assert account.stored() == {f"rejected/cifar/{result.version}.json"}
        assert attempts(account) == []


def test_a_record_that_the_registry_cannot_hold_is_the_artifacts_fault(account: Account) -> None:
    """Each number has 3 characters in the manifest, and 12 when it is written again."""
    metrics = {f"m{at}": 1e9 for at in range(19_500)}
    files = artifacts.members(metrics=metrics)
    files["facet.json"] = files["facet.json"].replace(b": 1000000000.0", b":1e9")
    data = artifacts.packed(files)
    assert account.onboard(data) == "REJECTED"
    assert "manifest-too-large" in account.assert_rejected(data)


def canceled(*reasons: str, message: str = "") -> ClientError:
    """What DynamoDB answers if a transaction fails: each write has a reason."""
    return ClientError(
        {
            "Error": {
                "Code": "TransactionCanceledException",
                "Message": "Transaction cancelled, please refer cancellation reasons for specific "
                f"reasons [{', '.join(reasons)}]",
            },
            "CancellationReasons": [
                {"Code": code} if code == "None" else {"Code": code, "Message": message}
                for code in reasons
            ],
        },
        "TransactWriteItems",
    )


def test_a_record_too_large_for_a_transaction_is_the_artifacts_fault(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = account.table.meta.client.transact_write_items

    def too_large(TransactItems: list[Any]) -> object:  # noqa: N803
        if any("manifest" in each.get("Put", {}).get("Item", {}) for each in TransactItems):
            raise canceled(
                "ValidationError",
                "None",
                message="Item size has exceeded the maximum allowed size",
            )
        return write(TransactItems=TransactItems)

    monkeypatch.setattr(account.table.meta.client, "transact_write_items", too_large)
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == ["manifest-too-large"]


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("None", "ConditionalCheckFailed"), RegistryConflict),
        (("TransactionConflict", "None"), RegistryConflict),
        (("TransactionConflict", "ThrottlingError"), ClientError),
        (("ValidationError", "ConditionalCheckFailed"), ClientError),
    ],
)
def test_only_another_writer_is_a_conflict(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    reasons: tuple[str, ...],
    expected: type[Exception],
) -> None:
    def fails(**_: Any) -> None:
        raise canceled(*reasons)

    monkeypatch.setattr(account.table.meta.client, "transact_write_items", fails)
    with pytest.raises(expected):
        account.registry.begin(versions.pending(1))
