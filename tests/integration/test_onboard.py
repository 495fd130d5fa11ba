import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from facet.endpoint import Endpoint
from facet.errors import (
    EndpointThrottled,
    EndpointUnavailable,
    ModelLoading,
    NoLiveVersion,
    RegistryConflict,
)
from facet.registry import Registry, Status
from onboard.app import MisnamedDrop, handler
from onboard.promote import Drop, Onboarding
from tests import artifacts, fakes
from tests.artifacts import FLOAT
from tests.fakes import BUCKET, refusal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD = artifacts.artifact(golden=artifacts.golden())
OTHER = artifacts.artifact(golden=artifacts.golden(), description="another")
CODE = artifacts.packed(artifacts.members() | {"code/inference.py": b"import os"})
WRONG_SCORES = (0.1, 0.8, 0.1)
WRITES = {
    "CopyObject",
    "PutObject",
    "DeleteObject",
    "UpdateItem",
    "PutItem",
    "TransactWriteItems",
}


def identity(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@dataclass
class Account:
    """The bucket, the registry and the endpoint, with what tests ask about them."""

    s3: "S3Client"
    table: "Table"
    runtime: fakes.Runtime

    @property
    def registry(self) -> Registry:
        return Registry(self.table)

    @property
    def onboarding(self) -> Onboarding:
        endpoint = Endpoint(self.runtime, "endpoint")  # type: ignore[arg-type]
        return Onboarding(self.s3, BUCKET, self.registry, endpoint)

    def drop(self, data: bytes, model: str = "cifar") -> Drop:
        put = self.s3.put_object(Bucket=BUCKET, Key=f"mme/{model}.tar.gz", Body=data)
        return Drop(model, put["VersionId"])

    def onboard(self, data: bytes, model: str = "cifar") -> str:
        return self.onboarding.onboard(self.drop(data, model)).outcome

    def stored(self) -> set[str]:
        return {each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def content(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def report(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content(f"rejected/cifar/{identity(data)}.json"))
        return found

    def assert_ready(self, data: bytes) -> None:
        version = self.registry.ready("cifar", identity(data))
        assert version.sha256 == hashlib.sha256(data).hexdigest()
        assert self.content(f"mme/{version.target}") == data
        assert "mme/cifar.tar.gz" not in self.stored()

    def assert_live(self, data: bytes) -> None:
        self.assert_ready(data)
        assert self.registry.live("cifar").id == identity(data)

    def assert_rejected(self, data: bytes) -> list[str]:
        """The codes of its violations."""
        version = self.registry.find("cifar", identity(data))
        assert version
        assert version.status is Status.REJECTED
        assert self.content(f"rejected/cifar/{version.id}.tar.gz") == data
        assert self.report(data)["violations"] == [vars(each) for each in version.violations]
        assert not self.stored() & {"mme/cifar.tar.gz", f"mme/{version.target}"}
        return [each.code for each in version.violations]


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    return Account(s3, table, fakes.Runtime())


def test_a_good_artifact_is_ready_and_live(account: Account) -> None:
    outcome = account.onboarding.onboard(account.drop(GOOD))
    assert (outcome.outcome, outcome.version) == ("READY", identity(GOOD))
    account.assert_live(GOOD)
    assert account.stored() == {f"mme/cifar/{identity(GOOD)}.tar.gz"}
    assert account.runtime.asked == [f"cifar/{identity(GOOD)}.tar.gz"]
    version = account.registry.live("cifar")
    assert (version.size, version.proof) == (len(GOOD), "golden")
    assert version.manifest
    assert version.manifest.golden


def test_without_a_golden_sample_the_proof_is_smoke(account: Account) -> None:
    assert account.onboard(artifacts.artifact()) == "READY"
    assert account.registry.live("cifar").proof == "smoke"


def test_without_an_object_version_the_newest_is_taken(account: Account) -> None:
    account.drop(GOOD)
    assert account.onboarding.onboard(Drop("cifar")).outcome == "READY"
    account.assert_live(GOOD)


def test_a_second_artifact_takes_over_and_the_first_stays_servable(account: Account) -> None:
    account.onboard(GOOD)
    account.onboard(OTHER)
    account.assert_live(OTHER)
    account.assert_ready(GOOD)
    assert account.registry.model("cifar").previous == identity(GOOD)


def test_models_with_the_same_bytes_do_not_meet(account: Account) -> None:
    assert account.onboard(GOOD, "a") == account.onboard(GOOD, "b") == "READY"
    assert account.registry.live("a").target != account.registry.live("b").target


def test_the_same_bytes_twice_change_nothing(account: Account) -> None:
    account.onboard(GOOD)
    before = account.registry.versions("cifar"), account.registry.model("cifar")
    assert account.onboard(GOOD) == "UNCHANGED"
    assert (account.registry.versions("cifar"), account.registry.model("cifar")) == before
    account.assert_live(GOOD)
    assert len(account.runtime.asked) == 1


@pytest.mark.parametrize("object_version", [None, "first"])
def test_an_event_that_comes_twice_finds_the_drop_gone(
    account: Account, object_version: str | None
) -> None:
    drop = account.drop(GOOD)
    account.onboarding.onboard(drop)
    again = drop if object_version else Drop("cifar")
    assert account.onboarding.onboard(again).outcome == "GONE"
    account.assert_live(GOOD)


REJECTED = {
    "empty": (b"", ["not-gzip"]),
    "text": (b"a text file", ["not-gzip"]),
    "no-tar": (gzip.compress(b"a text file"), ["not-tar"]),
    "cut": (GOOD[:-20], ["truncated"]),
    "no-manifest": (artifacts.packed([("1/saved_model.pb", b"")]), ["no-manifest"]),
    "no-folder": (
        artifacts.packed({"facet.json": artifacts.members()["facet.json"]}),
        ["no-version-folder"],
    ),
    "code": (CODE, ["code"]),
    "surrogates": (
        artifacts.packed(artifacts.members() | {"../\udcff": b"x"}),
        ["unsafe-path"],
    ),
}


@pytest.mark.parametrize("live", [False, True], ids=["new", "live"])
@pytest.mark.parametrize(("data", "codes"), REJECTED.values(), ids=REJECTED)
def test_a_bad_artifact_is_rejected_and_the_live_one_stays(
    account: Account, data: bytes, codes: list[str], live: bool
) -> None:
    if live:
        account.onboard(GOOD)
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data) == codes
    if live:
        account.assert_live(GOOD)
    else:
        with pytest.raises(NoLiveVersion) as caught:
            account.registry.live("cifar")
        assert [each.code for each in caught.value.violations] == codes
    assert len(account.runtime.asked) == live, "only what passed the checks reaches the endpoint"


def test_the_report_says_what_and_when(account: Account) -> None:
    account.onboard(CODE)
    report = account.report(CODE)
    assert report.keys() == {
        "model", "version", "sha256", "size", "dropped_at", "rejected_at", "violations",
    }  # fmt: skip
    assert (report["model"], report["size"]) == ("cifar", len(CODE))
    assert report["violations"][0].keys() == {"code", "place", "problem", "remedy"}


def test_an_artifact_with_endless_violations_is_rejected_too(account: Account) -> None:
    data = artifacts.packed((f"../{'x' * 900}{at}", b"") for at in range(600))
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data)[-1] == "more"


def test_a_manifest_as_large_as_they_may_be_is_recorded(account: Account) -> None:
    labels = [f"{at:03}" for at in range(14_000)]
    files = artifacts.members(labels=labels)
    files["1/saved_model.pb"] = artifacts.saved_model(outputs={"scores": (FLOAT, None)})
    account.runtime.scores = (1.0,) + (0.0,) * (len(labels) - 1)
    assert account.onboard(artifacts.packed(files)) == "READY"


@pytest.mark.parametrize(
    ("scores", "codes"),
    [
        (WRONG_SCORES, ["golden-label"]),
        ((0.6, 0.3, 0.1), ["golden-score"]),
        ((0.73, 0.17, 0.1), ["golden-score"]),
        ((7.0, 2.0, 1.0), ["not-probabilities", "golden-score"]),
        ((0.7, -0.1, 0.4), ["not-probabilities"]),
        ((0.7, 0.7, 0.7), ["not-probabilities"]),
        ((0.5, 0.5), ["model-failed"]),
        ((float("nan"), 0.5, 0.5), ["model-failed"]),
    ],
)
def test_a_version_that_the_endpoint_does_not_prove_is_rejected(
    account: Account, scores: tuple[float, ...], codes: list[str]
) -> None:
    account.onboard(OTHER)
    account.runtime.scores = scores
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == codes
    account.assert_live(OTHER)


@pytest.mark.parametrize("scores", [(0.719, 0.181, 0.1), (0.681, 0.219, 0.1)])
def test_a_score_within_the_tolerance_is_proof(account: Account, scores: tuple[float, ...]) -> None:
    account.runtime.scores = scores
    assert account.onboard(GOOD) == "READY"


def test_sigmoid_scores_need_not_add_up(account: Account) -> None:
    account.runtime.scores = (0.9, 0.8, 0.7)
    output = {"tensor": "scores", "activation": "sigmoid"}
    assert account.onboard(artifacts.artifact(output=output)) == "READY"


@pytest.mark.parametrize("status", [0, 400, 404, 408, 500])
def test_what_the_container_says_is_in_the_uploaders_report(account: Account, status: int) -> None:
    words = "Op type not registered 'MyOp'"
    account.runtime.error = refusal("ModelError", OriginalStatusCode=status, OriginalMessage=words)
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == ["model-failed"]
    assert words in account.report(GOOD)["violations"][0]["problem"]


def test_an_input_that_no_request_can_hold_is_rejected(account: Account) -> None:
    spec = {"tensor": "image", "height": 900, "width": 900}
    files = artifacts.members(input=spec)
    files["1/saved_model.pb"] = artifacts.saved_model(inputs={"image": (FLOAT, None)})
    data = artifacts.packed(files)
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data) == ["input-too-large"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refusal("ThrottlingException"), EndpointThrottled),
        (refusal("ModelNotReadyException"), ModelLoading),
        (refusal("ServiceUnavailable"), EndpointUnavailable),
        (refusal("InternalFailure"), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=507), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=503), EndpointUnavailable),
        (ConnectionClosedError(endpoint_url="https://x"), EndpointUnavailable),
        (refusal("AccessDeniedException"), ClientError),
        (refusal("ExpiredTokenException"), ClientError),
        (refusal("ValidationError"), ClientError),
    ],
)
def test_what_says_nothing_of_the_artifact_does_not_reject_it(
    account: Account, error: Exception, raised: type[Exception]
) -> None:
    account.onboard(OTHER)
    drop = account.drop(GOOD)
    account.runtime.error = error
    with pytest.raises(raised):
        account.onboarding.onboard(drop)
    assert account.content(drop.key) == GOOD
    assert not any(key.startswith("rejected/") for key in account.stored())
    assert account.registry.live("cifar").id == identity(OTHER)

    account.runtime.error = None
    assert account.onboarding.onboard(drop).outcome == "READY"
    account.assert_live(GOOD)


def test_a_rejected_artifact_may_be_tried_again(account: Account) -> None:
    account.runtime.scores = WRONG_SCORES
    assert account.onboard(GOOD) == "REJECTED"
    account.runtime.scores = fakes.SCORES
    assert account.onboard(GOOD) == "READY"
    account.assert_live(GOOD)
    assert account.registry.live("cifar").violations == ()


def test_a_newer_drop_is_left_for_its_own_event(account: Account) -> None:
    first, second = account.drop(GOOD), account.drop(OTHER)
    assert account.onboarding.onboard(first).version == identity(GOOD)
    assert account.content(first.key) == OTHER
    assert account.registry.live("cifar").id == identity(GOOD)
    assert account.onboarding.onboard(second).version == identity(OTHER)
    account.assert_live(OTHER)


def test_a_newer_drop_survives_the_rejection_of_an_older_one(account: Account) -> None:
    first, second = account.drop(CODE), account.drop(GOOD)
    assert account.onboarding.onboard(first).outcome == "REJECTED"
    assert account.content(f"rejected/cifar/{identity(CODE)}.tar.gz") == CODE
    assert account.content(first.key) == GOOD
    assert account.onboarding.onboard(second).outcome == "READY"
    account.assert_rejected(CODE)
    account.assert_live(GOOD)


def test_events_out_of_order_leave_the_newest_drop_live(account: Account) -> None:
    first, second = account.drop(GOOD), account.drop(OTHER)
    hours = {first.object_version: 1, second.object_version: 2}

    def put_hours_between(parsed: dict[str, Any], **_: Any) -> None:
        hour = hours[parsed["VersionId"]]
        parsed["LastModified"] = datetime(2026, 1, 1, hour, tzinfo=UTC)

    account.s3.meta.events.register("after-call.s3.GetObject", put_hours_between)
    assert account.onboarding.onboard(second).outcome == "READY"
    assert account.onboarding.onboard(first).outcome == "READY"
    account.s3.meta.events.unregister("after-call.s3.GetObject", put_hours_between)
    account.assert_live(OTHER)
    account.assert_ready(GOOD)


def test_the_same_event_twice_at_once(account: Account) -> None:
    drop = account.drop(GOOD)
    account.runtime.meanwhile = lambda: account.onboarding.onboard(drop)
    with pytest.raises(RegistryConflict):
        account.onboarding.onboard(drop)
    account.assert_live(GOOD)
    assert account.onboarding.onboard(drop).outcome == "GONE"


def test_a_late_failure_does_not_take_back_what_was_proven_meanwhile(account: Account) -> None:
    drop = account.drop(GOOD)

    def proven_elsewhere() -> None:
        account.onboarding.onboard(drop)
        account.runtime.scores = WRONG_SCORES

    account.runtime.meanwhile = proven_elsewhere
    with pytest.raises((RegistryConflict, ClientError)):
        account.onboarding.onboard(drop)
    account.assert_live(GOOD)


class Killed(BaseException):
    """The process ended."""


@dataclass
class Fuse:
    """Ends the process right after its nth write. `writes` has those that were done."""

    writes: list[str]
    most: int | None = None

    def __call__(self, model: Any, **_: Any) -> None:
        if model.name in WRITES:
            self.writes.append(model.name)
            if len(self.writes) == self.most:
                raise Killed


@contextmanager
def fused(account: Account, most: int | None = None) -> Iterator[Fuse]:
    fuse = Fuse([], most)
    events = [each.meta.events for each in (account.s3, account.table.meta.client)]
    for each in events:
        each.register("after-call", fuse)
    try:
        yield fuse
    finally:
        for each in events:
            each.unregister("after-call", fuse)


KILLS = {
    "good": (GOOD, fakes.SCORES, 5),
    "bad": (CODE, fakes.SCORES, 5),
    "unproven": (GOOD, WRONG_SCORES, 9),
}


@pytest.mark.parametrize(("data", "scores", "writes"), KILLS.values(), ids=KILLS)
def test_so_many_writes_there_are_to_be_killed_after(
    account: Account, data: bytes, scores: tuple[float, ...], writes: int
) -> None:
    drop, account.runtime.scores = account.drop(data), scores
    with fused(account) as fuse:
        account.onboarding.onboard(drop)
    assert len(fuse.writes) == writes


@pytest.mark.parametrize(
    ("data", "scores", "most"),
    [(data, scores, most + 1) for data, scores, writes in KILLS.values() for most in range(writes)],
)
def test_killed_after_any_write_a_replay_ends_the_same(
    account: Account, data: bytes, scores: tuple[float, ...], most: int
) -> None:
    account.onboard(OTHER)
    drop, account.runtime.scores = account.drop(data), scores
    with fused(account, most), pytest.raises(Killed):
        account.onboarding.onboard(drop)
    account.onboarding.onboard(drop)
    if (data, scores) == (GOOD, fakes.SCORES):
        account.assert_live(GOOD)
        account.assert_ready(OTHER)
    else:
        account.assert_rejected(data)
        account.assert_live(OTHER)


def put_event(*keys: str, version: str | None = None) -> dict[str, Any]:
    described = {"versionId": version} if version else {}
    return {"Records": [{"s3": {"object": {"key": key, **described}}} for key in keys]}


@pytest.mark.usefixtures("functions")
def test_the_handler_onboards_what_the_event_names(account: Account) -> None:
    drop = account.drop(GOOD, "sign-language")
    event = put_event("mme%2Fsign-language.tar.gz", version=drop.object_version)
    answer = json.loads(json.dumps(handler(event, fakes.Context())))  # type: ignore[arg-type]
    assert answer == {
        "outcomes": [
            {
                "model": "sign-language",
                "outcome": "READY",
                "version": identity(GOOD),
                "violations": [],
            }
        ]
    }
    assert account.registry.live("sign-language").id == identity(GOOD)


@pytest.mark.usefixtures("functions")
def test_the_handler_raises_so_that_lambda_tries_again(
    account: Account, sagemaker: fakes.SageMaker
) -> None:
    account.drop(GOOD)
    sagemaker.answer = fakes.Answer(status=429, code="ModelNotReadyException", body=b"{}")
    with pytest.raises(ModelLoading):
        handler(put_event("mme/cifar.tar.gz"), fakes.Context())  # type: ignore[arg-type]
    assert account.content("mme/cifar.tar.gz") == GOOD


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Event": "s3:TestEvent", "Service": "Amazon S3"},
        put_event("mme/cifar/0123456789ab.tar.gz"),
        put_event("mme/cifar.tar.gz.part"),
        put_event("rejected/cifar.tar.gz"),
    ],
)
def test_the_handler_passes_over_everything_else(event: dict[str, Any]) -> None:
    assert handler(event, fakes.Context()) == {"outcomes": []}  # type: ignore[arg-type]


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("name", ["Cifar", "", "c%C3%AFfar", "a.b", "a+b", "a%0Ab", "c" * 64])
def test_an_upload_that_can_be_no_model_is_not_passed_over_in_silence(name: str) -> None:
    with pytest.raises(MisnamedDrop, match="a model's name has the form"):
        handler(put_event(f"mme/{name}.tar.gz"), fakes.Context())  # type: ignore[arg-type]
