import base64
import gzip
import hashlib
import itertools
import json
import mmap
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from facet.errors import (
    EndpointThrottled,
    EndpointUnavailable,
    ModelLoading,
    NoLiveVersion,
    RegistryConflict,
    UnknownModel,
)
from facet.registry.models import Version
from onboard.app import handler
from onboard.bucket import MAX_GOLDEN, Bucket
from onboard.retry import APART, RESERVE
from onboard.uploads import Upload
from onboard.validated import Extracts
from tests.support.aws import fakes
from tests.support.aws.fakes import refusal
from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FLOAT
from tests.support.onboarding import Account, identity, patient

if TYPE_CHECKING:
    pass

GOOD = artifacts.artifact(golden=artifacts.golden())
OTHER = artifacts.artifact(golden=artifacts.golden(), description="another")
CODE = artifacts.packed(artifacts.members() | {"code/inference.py": b"import os"})
WRONG_SCORES = (0.1, 0.8, 0.1)


def test_a_good_artifact_is_ready_and_live(account: Account) -> None:
    outcome = account.process(account.put(GOOD))
    assert (outcome.outcome, outcome.version) == ("READY", identity(GOOD))
    account.assert_live(GOOD)
    version = identity(GOOD)
    assert account.stored() == {f"mme/cifar/{version}.tar.gz", f"golden/cifar/{version}"}
    assert set(account.runtime.asked) == {f"cifar/{identity(GOOD)}.tar.gz"}
    live = account.registry.live("cifar")
    assert (live.size, live.proof) == (len(GOOD), "golden")
    assert live.manifest
    assert live.manifest.golden


def test_the_golden_image_is_kept_beside_the_version(account: Account) -> None:
    account.onboard(GOOD)
    kept = account.s3.get_object(Bucket=fakes.BUCKET, Key=f"golden/cifar/{identity(GOOD)}")
    assert (kept["Body"].read(), kept["ContentType"]) == (artifacts.encoded(), "image/png")


def test_a_golden_image_is_not_kept_if_it_is_too_large_to_be_answered(account: Account) -> None:
    files = artifacts.members(golden=artifacts.golden())
    files["golden.png"] += bytes(MAX_GOLDEN)  # after the image's end
    assert account.onboard(artifacts.packed(files)) == "READY"
    assert not [key for key in account.stored() if key.startswith("golden/")]


def test_the_litert_model_of_the_artifact_is_kept_beside_it(account: Account) -> None:
    data = artifacts.with_litert(golden=artifacts.golden())
    assert account.onboard(data) == "READY"
    version = account.registry.live("cifar")
    account.assert_litert(version)
    key = f"lite/cifar/{version.id}.tflite"
    kept = account.s3.get_object(Bucket=fakes.BUCKET, Key=key, ChecksumMode="ENABLED")
    assert kept["ContentType"] == "application/octet-stream"
    digest = base64.b64decode(kept["ChecksumSHA256"])
    assert digest.hex() == version.litert_sha256 == hashlib.sha256(artifacts.litert()).hexdigest()


def test_without_a_litert_model_the_record_says_so(account: Account) -> None:
    account.onboard(GOOD)
    version = account.registry.live("cifar")
    assert (version.litert_size, version.litert_sha256) == (0, None)
    account.assert_litert(version)


def test_a_rejected_upload_leaves_no_litert_model(account: Account) -> None:
    files = artifacts.members() | {artifacts.LITERT: artifacts.litert(), "code/a.py": b""}
    assert account.onboard(artifacts.packed(files)) == "REJECTED"
    account.runtime.scores = WRONG_SCORES
    assert account.onboard(artifacts.with_litert(golden=artifacts.golden())) == "REJECTED"
    listed = account.s3.list_object_versions(Bucket=fakes.BUCKET, Prefix="lite/")
    assert not [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]


def test_the_disk_space_of_a_litert_model_is_free_after_onboarding(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Extracts] = []
    publish = Bucket.publish

    def remember(bucket: Bucket, upload: Upload, version: Version, extracts: Extracts) -> None:
        published.append(extracts)
        publish(bucket, upload, version, extracts)

    monkeypatch.setattr(Bucket, "publish", remember)
    account.onboard(artifacts.with_litert(golden=artifacts.golden()))
    account.runtime.error = refusal("ModelNotReadyException")
    with pytest.raises(ModelLoading):
        account.onboard(artifacts.with_litert())
    for each in published:
        assert each.litert
        assert isinstance(each.litert.content, mmap.mmap)
        assert each.litert.content.closed
    assert len(published) == 2


def test_without_a_golden_sample_the_proof_is_smoke(account: Account) -> None:
    assert account.onboard(artifacts.artifact()) == "READY"
    assert account.registry.live("cifar").proof == "smoke"


def test_without_an_object_version_the_newest_is_read(account: Account) -> None:
    account.put(GOOD)
    assert account.process(Upload("cifar")).outcome == "READY"
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
    account.runtime.asked.clear()
    assert account.onboard(GOOD) == "UNCHANGED"
    (version,), model = account.registry.versions("cifar"), account.registry.model("cifar")
    assert ([replace(version, again=None)], model) == before
    assert version.again
    assert version.last_upload > version.order
    account.assert_live(GOOD)
    assert not account.runtime.asked


@pytest.mark.parametrize("object_version", [None, "first"])
def test_a_repeated_event_finds_the_upload_gone(
    account: Account, object_version: str | None
) -> None:
    upload = account.put(GOOD)
    account.process(upload)
    again = upload if object_version else Upload("cifar")
    assert account.process(again).outcome == "GONE"
    account.assert_live(GOOD)


REJECTED = {
    "empty": (b"", ["not-gzip"]),
    "text": (b"a text file", ["not-gzip"]),
    "no-tar": (gzip.compress(b"a text file"), ["not-tar"]),
    "cut": (GOOD[:-20], ["truncated"]),
    "no-manifest": (
        artifacts.packed({k: v for k, v in artifacts.members().items() if k != "facet.json"}),
        ["no-manifest"],
    ),
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
    account.runtime.asked.clear()
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data) == codes
    if live:
        account.assert_live(GOOD)
    else:
        with pytest.raises(NoLiveVersion) as caught:
            account.registry.live("cifar")
        assert [each.code for each in caught.value.violations] == codes
    assert not account.runtime.asked, "only what passed the checks reaches the endpoint"


def test_the_report_has_violations_and_times(account: Account) -> None:
    account.onboard(CODE)
    report = account.report(CODE)
    assert report.keys() == {
        "model", "version", "sha256", "size", "uploaded_at", "rejected_at", "violations",
    }  # fmt: skip
    assert (report["model"], report["size"]) == ("cifar", len(CODE))
    assert report["violations"][0].keys() == {"code", "place", "problem", "remedy"}


def test_an_artifact_with_endless_violations_is_rejected_too(account: Account) -> None:
    data = artifacts.packed((f"../{'x' * 200}{at}", b"") for at in range(600))
    assert account.onboard(data) == "REJECTED"
    assert account.assert_rejected(data)[-1] == "more"


def test_a_manifest_as_large_as_they_may_be_is_recorded(account: Account) -> None:
    labels = [f"{at:03}" for at in range(14_000)]
    files = artifacts.members(labels=labels)
    files["1/saved_model.pb"] = artifacts.saved_model(outputs={"scores": (FLOAT, None)})
    account.runtime.scores = (1.0,) + (0.0,) * (len(labels) - 1)
    assert account.onboard(artifacts.packed(files)) == "READY"


def test_eight_bit_scores_of_many_labels_need_not_add_up_to_one(account: Account) -> None:
    labels = [f"{at:03}" for at in range(1_001)]
    files = artifacts.members(labels=labels)
    files["1/saved_model.pb"] = artifacts.saved_model(outputs={"scores": (FLOAT, None)})
    account.runtime.scores = (0.6,) + (0.0,) * (len(labels) - 1)
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


@pytest.mark.parametrize(
    "form",
    [
        "%s",
        '{"error": "%s"}',
        '{"title": "400 Bad Request", "description": "{\\"error\\": \\"%s\\"}"}',
    ],
)
def test_the_report_has_the_text_of_the_containers_error(account: Account, form: str) -> None:
    message = form % "Op type not registered"
    account.runtime.error = refusal("ModelError", OriginalStatusCode=400, OriginalMessage=message)
    assert account.onboard(GOOD) == "REJECTED"
    account.assert_rejected(GOOD)
    problem = account.report(GOOD)["violations"][0]["problem"]
    assert "Op type not registered" in problem
    assert "{" not in problem


def test_the_remedy_of_a_model_over_its_time_limit_is_not_to_run_it_elsewhere(
    account: Account,
) -> None:
    text = "Model m/1.tar.gz was stopped: it computed for over 55 seconds, perhaps without end."
    message = json.dumps({"error": text})
    account.runtime.error = refusal("ModelError", OriginalStatusCode=500, OriginalMessage=message)
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == ["model-failed"]
    assert "a loop without end" in account.report(GOOD)["violations"][0]["remedy"]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_containers_message_is_in_the_report(account: Account, status: int) -> None:
    words = "Op type not registered 'MyOp'"
    message = json.dumps({"error": words})
    account.runtime.error = refusal(
        "ModelError", OriginalStatusCode=status, OriginalMessage=message
    )
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


def test_an_archive_that_the_endpoint_cannot_unpack_is_rejected(account: Account) -> None:
    text = 'Failed to extract model data archive from URL "s3://b/k". Please ensure that …'
    account.runtime.error = ClientError(
        {"Error": {"Code": "ValidationError", "Message": text}}, "InvokeEndpoint"
    )
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == ["model-failed"]
    assert "cannot unpack the archive" in account.report(GOOD)["violations"][0]["problem"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refusal("ThrottlingException"), EndpointThrottled),
        (refusal("ModelNotReadyException"), ModelLoading),
        (refusal("ServiceUnavailable"), EndpointUnavailable),
        (refusal("InternalFailure"), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=507), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=503), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=0), EndpointUnavailable),
        (refusal("ModelError", OriginalStatusCode=408), ModelLoading),
        (
            refusal(
                "ModelError",
                OriginalStatusCode=404,
                OriginalMessage='{"error": "Model ab12 is not loaded yet."}',
            ),
            EndpointUnavailable,
        ),
        (ConnectionClosedError(endpoint_url="https://x"), EndpointUnavailable),
        (refusal("AccessDeniedException"), ClientError),
        (refusal("ExpiredTokenException"), ClientError),
        (refusal("ValidationError"), ClientError),
    ],
)
def test_temporary_errors_of_the_endpoint_do_not_reject_an_upload(
    account: Account, error: Exception, raised: type[Exception]
) -> None:
    account.onboard(OTHER)
    upload = account.put(GOOD)
    account.runtime.error = error
    with pytest.raises(raised):
        account.process(upload)
    assert account.content(upload.key) == GOOD
    assert not any(key.startswith("rejected/") for key in account.stored())
    assert account.registry.live("cifar").id == identity(OTHER)

    account.runtime.error = None
    assert account.process(upload).outcome == "READY"
    account.assert_live(GOOD)


FAILED = refusal("ModelError", OriginalStatusCode=500, OriginalMessage='{"error": "no"}')


def test_a_failure_of_the_moment_rejects_no_upload(account: Account) -> None:
    account.runtime.error = FAILED
    retry, pauses = patient()

    def pause(seconds: float) -> None:
        retry.sleep(seconds)
        account.runtime.error = None

    upload = account.put(GOOD)
    assert account.process(upload, replace(retry, sleep=pause)).outcome == "READY"
    assert pauses == [APART]


def test_a_slow_answer_of_the_moment_rejects_no_upload(account: Account) -> None:
    account.clock = ticking(40, 12.3, 1)
    retry, pauses = patient()
    assert account.process(account.put(GOOD), retry).outcome == "READY"
    assert pauses == [APART]


def test_a_model_that_fails_twice_apart_in_time_is_rejected(account: Account) -> None:
    account.runtime.error = FAILED
    retry, pauses = patient()
    assert account.process(account.put(GOOD), retry).outcome == "REJECTED"
    assert account.assert_rejected(GOOD) == ["model-failed"]
    assert pauses == [APART]
    assert len(account.runtime.asked) == 2


def test_a_failure_that_cannot_be_looked_at_again_is_left_to_the_next_attempt(
    account: Account,
) -> None:
    account.runtime.error = FAILED
    upload = account.put(GOOD)
    with pytest.raises(EndpointUnavailable, match="fails again"):
        account.process(upload, patient(RESERVE)[0])
    assert account.content(upload.key) == GOOD
    assert account.process(upload, patient()[0]).outcome == "REJECTED"


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("ModelNotReadyException"),
        ConnectionClosedError(endpoint_url="https://x"),
    ],
)
def test_the_endpoint_is_invoked_again_while_there_is_time(
    account: Account, error: Exception
) -> None:
    account.runtime.error = error
    retry, pauses = patient()

    def pause(seconds: float) -> None:
        retry.sleep(seconds)
        if sum(pauses) > 300:
            account.runtime.error = None

    asking = replace(retry, sleep=pause)
    assert account.process(account.put(GOOD), asking).outcome == "READY"
    assert sum(pauses) > 300
    account.assert_live(GOOD)


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that shows these lengths, one after the other, for what is timed; then 0."""
    lengths = itertools.chain(seconds, itertools.repeat(0))
    times = itertools.accumulate(itertools.chain.from_iterable((0, each) for each in lengths))
    return lambda: next(times)


def test_a_first_answer_that_takes_long_is_a_cold_load(account: Account) -> None:
    account.clock = ticking(40, 0.9)
    assert account.onboard(GOOD) == "READY"
    assert account.runtime.images == [1, 1, 4, 4]


def test_a_slow_model_is_asked_less_often(account: Account) -> None:
    account.clock = ticking(40, 9)
    assert account.onboard(GOOD) == "READY"
    assert account.runtime.images == [1, 1, 2]


def test_a_model_without_a_golden_sample_is_asked_about_a_texture_too(account: Account) -> None:
    assert account.onboard(artifacts.artifact()) == "READY"
    assert account.runtime.images == [1, 1, 1, 4, 4]


@pytest.mark.parametrize("golden", [artifacts.golden(), None])
@pytest.mark.parametrize(
    ("scores", "code"),
    [
        (lambda number, count: [(0.7 - number / 20, 0.2, 0.1 + number / 20)] * count, "repeatable"),
        (lambda _, count: [(0.7 - (count - 1) / 50, 0.2, 0.1 + (count - 1) / 50)] * count, "batch"),
        (lambda _, count: [(0.7 - i / 50, 0.2, 0.1 + i / 50) for i in range(count)], "batch"),
    ],
)
def test_a_model_whose_answer_depends_on_more_than_the_image_is_rejected(
    account: Account, golden: dict[str, Any] | None, scores: Any, code: str
) -> None:
    data = artifacts.artifact(golden=golden, description=code)
    account.runtime.rows = scores
    assert account.onboard(data) == "REJECTED"
    expected = {"repeatable": "not-repeatable", "batch": "batch-dependent"}[code]
    assert account.assert_rejected(data) == [expected]


def test_a_model_that_answers_single_images_only_is_recorded_as_such(account: Account) -> None:
    account.runtime.rows = lambda _, count: [fakes.SCORES] * min(count, 1)
    assert account.onboard(GOOD) == "READY"
    assert account.registry.live("cifar").max_batch_size == 1
    assert account.onboard(OTHER) == "READY"
    account.runtime.rows = None
    assert account.onboard(artifacts.artifact(description="several")) == "READY"
    assert account.registry.live("cifar").max_batch_size is None


def test_a_loaded_model_that_takes_long_is_rejected(account: Account) -> None:
    account.clock = ticking(40, 12.3)
    assert account.onboard(GOOD) == "REJECTED"
    assert account.assert_rejected(GOOD) == ["too-slow"]
    assert "12.3 s" in account.report(GOOD)["violations"][0]["problem"]


def test_a_rejected_artifact_may_be_tried_again(account: Account) -> None:
    account.runtime.scores = WRONG_SCORES
    assert account.onboard(GOOD) == "REJECTED"
    account.runtime.scores = fakes.SCORES
    assert account.onboard(GOOD) == "READY"
    account.assert_live(GOOD)
    assert account.registry.live("cifar").violations == ()


def test_a_newer_upload_waits_for_its_own_event(account: Account) -> None:
    first, second = account.put(GOOD), account.put(OTHER)
    assert account.process(first).version == identity(GOOD)
    assert account.content(first.key) == OTHER
    assert account.registry.live("cifar").id == identity(GOOD)
    assert account.process(second).version == identity(OTHER)
    account.assert_live(OTHER)


def test_a_newer_upload_survives_the_rejection_of_an_older_one(account: Account) -> None:
    first, second = account.put(CODE), account.put(GOOD)
    assert account.process(first).outcome == "REJECTED"
    assert account.content(f"rejected/cifar/{identity(CODE)}.tar.gz") == CODE
    assert account.content(first.key) == GOOD
    assert account.process(second).outcome == "READY"
    account.assert_rejected(CODE)
    account.assert_live(GOOD)


def test_an_upload_in_parts_is_as_new_as_its_end(account: Account) -> None:
    """S3 dates it to its beginning; a small upload came and went meanwhile."""
    began_first, meanwhile = account.put(GOOD), account.put(OTHER)
    times = (f"2026-01-01T12:{minute}:00+00:00" for minute in (30, 15))
    for upload, ended in zip((began_first, meanwhile), times, strict=True):
        assert account.process(replace(upload, uploaded_at=ended)).outcome == "READY"
    account.assert_live(GOOD)


def test_events_out_of_order_leave_the_newest_upload_live(account: Account) -> None:
    first, second = account.put(GOOD), account.put(OTHER)
    hours = {first.object_version: 1, second.object_version: 2}

    def put_hours_between(parsed: dict[str, Any], **_: Any) -> None:
        hour = hours[parsed["VersionId"]]
        parsed["LastModified"] = datetime(2026, 1, 1, hour, tzinfo=UTC)

    account.s3.meta.events.register("after-call.s3.GetObject", put_hours_between)
    assert account.process(second).outcome == "READY"
    assert account.process(first).outcome == "READY"
    account.s3.meta.events.unregister("after-call.s3.GetObject", put_hours_between)
    account.assert_live(OTHER)
    account.assert_ready(GOOD)


def test_the_same_event_twice_at_once(account: Account) -> None:
    upload = account.put(GOOD)
    account.runtime.meanwhile = lambda: account.process(upload)
    assert account.process(upload, patient()[0]).outcome == "GONE"
    account.assert_live(GOOD)


def test_without_time_for_another_attempt_a_conflict_is_left_to_lambda(account: Account) -> None:
    upload = account.put(GOOD)
    account.runtime.meanwhile = lambda: account.process(upload)
    with pytest.raises(RegistryConflict):
        account.process(upload)
    account.assert_live(GOOD)


def test_the_same_bytes_in_two_uploads_at_once(account: Account) -> None:
    first, second = account.put(GOOD), account.put(GOOD)
    account.runtime.meanwhile = lambda: account.process(second)
    assert account.process(first, patient()[0]).outcome == "UNCHANGED"
    account.assert_live(GOOD)
    assert account.published().count(("ModelReady", identity(GOOD))) == 1


def test_two_versions_at_once_for_one_model(account: Account) -> None:
    """The later upload overtakes the earlier one, between its reading and writing of the model."""
    first, second = account.put(OTHER), account.put(GOOD)
    events = account.table.meta.client.meta.events

    def overtake(**_: Any) -> None:
        events.unregister("before-call.dynamodb.TransactWriteItems", overtake)
        assert account.process(second, patient()[0]).outcome == "READY"

    events.register("before-call.dynamodb.TransactWriteItems", overtake)
    assert account.process(first, patient()[0]).outcome == "READY"
    account.assert_live(GOOD)
    account.assert_ready(OTHER)
    promoted = [version for kind, version in account.published() if kind == "ModelPromoted"]
    assert promoted == [identity(GOOD)]


def test_a_rejection_by_another_delivery_of_the_event_stays(account: Account) -> None:
    upload = account.put(GOOD)

    def refused_elsewhere() -> None:
        account.runtime.scores = WRONG_SCORES
        assert account.process(upload).outcome == "REJECTED"
        account.runtime.scores = fakes.SCORES

    account.runtime.meanwhile = refused_elsewhere
    assert account.process(upload, patient()[0]).outcome == "GONE"
    assert account.assert_rejected(GOOD) == ["golden-label"]


def test_bytes_that_another_upload_failed_with_are_proven_again(
    account: Account,
) -> None:
    first, second = account.put(GOOD), account.put(GOOD)

    def refused_elsewhere() -> None:
        account.runtime.scores = WRONG_SCORES
        assert account.process(second).outcome == "REJECTED"
        account.runtime.scores = fakes.SCORES

    account.runtime.meanwhile = refused_elsewhere
    assert account.process(first, patient()[0]).outcome == "READY"
    account.assert_live(GOOD)


def test_a_late_failure_does_not_take_back_what_was_proven_meanwhile(account: Account) -> None:
    upload = account.put(GOOD)

    def proven_elsewhere() -> None:
        account.process(upload)
        account.runtime.scores = WRONG_SCORES

    account.runtime.meanwhile = proven_elsewhere
    with pytest.raises(ClientError, match="CopyObject"):
        account.process(upload, patient()[0])
    account.assert_live(GOOD)


def put_event(*keys: str, version: str | None = None) -> dict[str, Any]:
    described = {"versionId": version} if version else {}
    records = [{"object": {"key": key, **described}} for key in keys]
    head = {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T12:00:00.123Z"}
    return {"Records": [head | {"s3": each} for each in records]}


@pytest.mark.usefixtures("functions")
def test_the_handler_onboards_what_the_event_names(account: Account) -> None:
    upload = account.put(GOOD, "sign-language")
    event = put_event("mme%2Fsign-language.tar.gz", version=upload.object_version)
    answer = json.loads(json.dumps(handler(event, fakes.Context())))  # type: ignore[arg-type]
    assert answer == {
        "outcomes": [
            {
                "model": "sign-language",
                "outcome": "READY",
                "version": identity(GOOD),
                "violations": [],
                "reason": None,
            }
        ]
    }
    assert account.registry.live("sign-language").id == identity(GOOD)


def counted(printed: str) -> list[tuple[str, float, dict[str, str]]]:
    """Name, value and dimensions of each metric among lines of a log."""
    found = []
    for line in map(json.loads, printed.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Facet"
            names = {name for each in directive["Dimensions"] for name in each} - {"service"}
            dimensions = {name: line[name] for name in names}
            for metric in directive["Metrics"]:
                found.append((metric["Name"], sum(line[metric["Name"]]), dimensions))
    return found


@pytest.mark.usefixtures("functions")
def test_the_handler_counts_outcomes_and_violations(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.put(artifacts.packed(artifacts.members() | {"code/a.py": b"", "code/b.py": b""}))
    handler(put_event("mme/cifar.tar.gz"), fakes.Context())  # type: ignore[arg-type]
    assert counted(capsys.readouterr().out) == [
        ("Uploads", 1, {"outcome": "REJECTED"}),
        ("Violations", 2, {"code": "code"}),
    ]


@pytest.mark.usefixtures("functions")
def test_the_handler_counts_what_it_raises(
    account: Account, sagemaker: fakes.SageMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    account.put(GOOD)
    sagemaker.answer = fakes.Answer(status=503, code="ServiceUnavailable", body=b"{}")
    with pytest.raises(EndpointUnavailable):
        handler(put_event("mme/cifar.tar.gz"), fakes.Context())  # type: ignore[arg-type]
    assert counted(capsys.readouterr().out) == [("Uploads", 1, {"outcome": "FAILED"})]


@pytest.mark.usefixtures("functions")
def test_the_handler_raises_so_that_lambda_tries_again(
    account: Account, sagemaker: fakes.SageMaker
) -> None:
    account.put(GOOD)
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
        put_event("mme/"),
        put_event("mme/folder/"),
        put_event("rejected/cifar.tar.gz"),
        put_event("rejected/MyModel/0123456789ab.tar.gz"),
        put_event("rejected/MyModel/0123456789ab.json"),
    ],
)
def test_the_handler_passes_over_everything_else(event: dict[str, Any]) -> None:
    assert handler(event, fakes.Context()) == {"outcomes": []}  # type: ignore[arg-type]


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(
    ("key", "name", "suggested"),
    [
        ("MyModel.tar.gz", "MyModel", "mymodel"),
        ("model (1).tar.gz", "model (1)", "model-1"),
        ("mod\u00e8le.tar.gz", "mod\u00e8le", "modele"),
        ("sub/cats.tar.gz", "sub/cats", "sub-cats"),
        ("cats.tgz", "cats.tgz", "cats"),
        ("cats.v2.tar.gz", "cats.v2", "cats-v2"),
        ("cats.TAR.GZ", "cats.TAR.GZ", "cats"),
        ("a\nb.tar.gz", "a\nb", "a-b"),
        (f"{'c' * 64}.tar.gz", "c" * 64, "c" * 63),
        (".tar.gz", ".tar.gz", "my-model"),
        ("c" * 1000, None, "c" * 63),
    ],
)
def test_an_upload_with_a_name_that_no_model_can_have_is_rejected_like_any_other(
    account: Account, key: str, name: str | None, suggested: str
) -> None:
    key = f"mme/{key}"
    account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=CODE)
    (outcome,) = handler(put_event(quote_plus(key)), fakes.Context())["outcomes"]  # type: ignore[arg-type]
    assert outcome["outcome"] == "REJECTED"
    if name is not None:
        assert outcome["model"] == name
    (version,) = account.registry.versions(outcome["model"])
    assert list(account.registry.misnamed()) == [version]
    assert [each.code for each in version.violations] == ["invalid-name", "code"]
    assert f"mme/{suggested}.tar.gz" in version.violations[0].remedy
    folder = f"rejected/{version.model}/{version.id}"
    assert account.stored() == {f"{folder}.tar.gz", f"{folder}.json"}
    assert account.content(f"{folder}.tar.gz") == CODE
    assert account.registry.models(10) == ([], None)
    with pytest.raises(UnknownModel, match="no model can have this name"):
        account.registry.model(version.model)


@pytest.mark.usefixtures("functions")
def test_nothing_that_onboarding_writes_is_an_upload(account: Account) -> None:
    """S3 sends an event for each object below mme/."""
    written = []
    for key in ("mme/cifar.tar.gz", "mme/MyModel.tar.gz"):
        account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=GOOD)
        handler(put_event(key), fakes.Context())  # type: ignore[arg-type]
        written += [each for each in account.stored() if each != key]
    assert len(written) >= 3
    for key in written:
        assert handler(put_event(quote_plus(key)), fakes.Context()) == {"outcomes": []}  # type: ignore[arg-type]
