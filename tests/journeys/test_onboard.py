"""Uploads to `mme/<model>.tar.gz`, valid and invalid, until their result is recorded."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from PIL import Image

from facet.registry.models import Mode, Policy
from facet.registry.releases import Releases
from local.moto.aws import client
from tests.support.inputs import artifacts
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ONBOARDING_SECONDS, ROOT, RUN, Reached, Running

SAMPLE = (ROOT / "samples/cifar.tar.gz").read_bytes()
CAT = next((ROOT / "samples/images/cifar").glob("cat*")).read_bytes()

DARK = artifacts.encoded(Image.new("RGB", (40, 30), "black"))
BRIGHT = artifacts.encoded(Image.new("RGB", (40, 30), "white"))

Change = Callable[[dict[str, bytes]], None]


def repacked(change: Change) -> bytes:
    """The sample artifact with its members changed."""
    with tarfile.open(fileobj=io.BytesIO(SAMPLE)) as tar:
        members = {
            each.name: file.read() for each in tar if (file := tar.extractfile(each)) is not None
        }
    change(members)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def described_as(text: str) -> Change:
    """Another description: different bytes, the same model."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["facet.json"])
        members["facet.json"] = json.dumps(manifest | {"description": text}).encode()

    return change


def version_of(artifact: bytes) -> str:
    return hashlib.sha256(artifact).hexdigest()[:12]


class Uploads:
    """Uploads artifacts and waits for their results."""

    def __init__(self, s3: Any, api: httpx.Client, bucket: str) -> None:
        self.s3, self.api, self.bucket = s3, api, bucket

    def upload(self, model: str, artifact: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"mme/{model}.tar.gz", Body=artifact)

    def upload_all_at_once(self, uploads: list[tuple[str, bytes]]) -> None:
        threads = [threading.Thread(target=self.upload, args=each) for each in uploads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def published(self, stack: Running) -> set[tuple[str, str, str]]:
        """EventType, model and version of each event on the bus."""
        events = httpx.get(stack.address.events_url, timeout=LONG).json()["events"]
        return {
            (each["detail-type"], each["detail"]["model"], each["detail"]["version"])
            for each in events
            if each["source"] == "facet"
        }

    def undelivered(self, stack: Running) -> int:
        """Messages in the dead-letter queue."""
        sqs = client("sqs", stack.address)
        name: Any = "ApproximateNumberOfMessages"
        found = sqs.get_queue_attributes(
            QueueUrl=stack.address.dead_letter_queue_url, AttributeNames=[name]
        )
        sqs.close()
        return int(found["Attributes"][name])

    def outcome(self, model: str, artifact: bytes) -> dict[str, Any]:
        """The version's entry once it is no longer pending."""
        found: list[dict[str, Any]] = []

        def settled() -> bool:
            listed = self.api.get(f"/models/{model}").json().get("versions", [])
            found[:] = [each for each in listed if each["version"] == version_of(artifact)]
            return bool(found) and found[0]["status"] != "PENDING"

        wait_until(settled, ONBOARDING_SECONDS)
        return found[0]

    def live(self, model: str) -> object:
        return self.api.get(f"/models/{model}").json()["live"]

    def wait_for_live(self, model: str, version: str | None) -> None:
        wait_until(lambda: self.live(model) == version)

    def keys(self, prefix: str) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return {each["Key"] for each in listed.get("Contents", [])}

    def wait_for_upload_removed(self, model: str) -> None:
        wait_until(lambda: not self.keys(f"mme/{model}.tar.gz"))


@pytest.fixture(scope="module")
def uploads(s3: Any, api: httpx.Client, reached: Reached) -> Iterator[Uploads]:
    yield Uploads(s3, api, reached.bucket)
    reached.delete(f"mme/{RUN}-")


def test_an_upload_is_served_within_seconds_without_a_restart(
    uploads: Uploads, api: httpx.Client
) -> None:
    model = f"{RUN}-second"
    artifact = repacked(described_as(model))
    uploads.upload(model, artifact)
    assert uploads.outcome(model, artifact) | {"status": "READY", "proof": "golden"} == (
        uploads.outcome(model, artifact)
    )
    answer = api.post(f"/models/{model}/predict", content=CAT).json()
    assert (answer["model"], answer["version"]) == (model, version_of(artifact))
    assert answer["predictions"][0]["label"] == "cat"
    uploads.wait_for_upload_removed(model)
    assert uploads.keys(f"mme/{model}/") == {f"mme/{model}/{version_of(artifact)}.tar.gz"}


def test_only_new_bytes_make_a_new_version(uploads: Uploads) -> None:
    model = f"{RUN}-twice"
    first, second = repacked(described_as("a")), repacked(described_as("b"))
    for artifact in (first, second):
        uploads.upload(model, artifact)
        assert uploads.outcome(model, artifact)["status"] == "READY"
    assert uploads.live(model) == version_of(second)
    uploads.wait_for_upload_removed(model)
    uploads.upload(model, first)
    uploads.wait_for_upload_removed(model)
    assert uploads.live(model) == version_of(second)
    assert len(uploads.keys(f"mme/{model}/")) == 2


def _no_manifest(members: dict[str, bytes]) -> None:
    del members["facet.json"]


def _no_version_folder(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("1/")]:
        del members[name]


def _wrapper_folder(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("1/")]:
        members[f"model/{name}"] = members.pop(name)


def _does_not_load(members: dict[str, bytes]) -> None:
    """Fails in every runtime: no LiteRT model, and the SavedModel's variables are damaged."""
    for name in list(members):
        if name.endswith("model.tflite"):
            del members[name]
        elif name.endswith("variables.index"):
            members[name] = b"nothing"


def _broken_litert(members: dict[str, bytes]) -> None:
    for name in members:
        if name.endswith("model.tflite"):
            members[name] = b"TFL3 but nothing else"


def _other_labels(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["facet.json"])
    manifest["labels"][0:2] = manifest["labels"][1::-1]
    manifest["golden"]["label"] = manifest["labels"][-1]
    members["facet.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("artifact", "code"),
    [
        (b"this is no archive", "not-gzip"),
        (gzip.compress(b"this is no tar archive" * 100), "not-tar"),
        (SAMPLE[: len(SAMPLE) // 2], "truncated"),
        (repacked(_no_version_folder), "no-version-folder"),
        (repacked(_wrapper_folder), "wrapper-folder"),
        (repacked(_no_manifest), "no-manifest"),
        (repacked(_does_not_load), "model-failed"),
        (repacked(_broken_litert), "litert-unreadable"),
        (repacked(_other_labels), "golden-label"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_upload_is_rejected_with_reasons_and_the_live_version_stays(
    artifact: bytes, code: str, uploads: Uploads, api: httpx.Client
) -> None:
    model = f"{RUN}-steady"
    good = repacked(described_as(model))
    uploads.upload(model, good)
    assert uploads.outcome(model, good)["status"] == "READY"

    uploads.upload(model, artifact)
    rejected = uploads.outcome(model, artifact)
    assert rejected["status"] == "REJECTED"
    assert code in [each["code"] for each in rejected["violations"]]
    assert all(each["problem"] and each["remedy"] for each in rejected["violations"])

    place = f"rejected/{model}/{version_of(artifact)}"
    kept = uploads.s3.get_object(Bucket=uploads.bucket, Key=f"{place}.tar.gz")["Body"].read()
    report = json.load(uploads.s3.get_object(Bucket=uploads.bucket, Key=f"{place}.json")["Body"])
    assert kept == artifact
    assert report["violations"] == rejected["violations"]

    uploads.wait_for_upload_removed(model)
    assert f"mme/{model}/{version_of(artifact)}.tar.gz" not in uploads.keys(f"mme/{model}/")
    assert uploads.live(model) == version_of(good)
    answer = api.post(f"/models/{model}/predict", content=CAT).json()
    assert answer["predictions"][0]["label"] == "cat"


def test_predictions_of_a_model_without_a_live_version_list_the_violations(
    uploads: Uploads, api: httpx.Client
) -> None:
    model = f"{RUN}-hopeless"
    uploads.upload(model, b"nothing")
    uploads.outcome(model, b"nothing")
    answer = api.post(f"/models/{model}/predict", content=CAT)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:facet:problem:no-live-version"
    assert [each["code"] for each in answer.json()["violations"]] == ["not-gzip"]


def test_a_saved_model_without_litert_is_served_by_tensorflow(
    uploads: Uploads, api: httpx.Client
) -> None:
    model = f"{RUN}-saved-model"
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make tensorflow")

    def without_litert(members: dict[str, bytes]) -> None:
        del members["1/assets.extra/model.tflite"]

    artifact = repacked(without_litert)
    uploads.upload(model, artifact)
    assert uploads.outcome(model, artifact)["status"] == "READY"
    lite = api.post("/models/cifar/predict?top_k=10", content=CAT).json()["predictions"]
    full = api.post(f"/models/{model}/predict?top_k=10", content=CAT).json()["predictions"]
    assert [each["label"] for each in lite[:3]] == [each["label"] for each in full[:3]]
    assert lite[0]["score"] == pytest.approx(full[0]["score"], abs=0.001)


def test_thirty_concurrent_uploads_all_get_a_result(
    uploads: Uploads, stack: Running, api: httpx.Client
) -> None:
    """Five models, each with three valid and three invalid artifacts under one key."""
    models = [f"crowd-{n}" for n in range(5)]
    good = [(model, repacked(described_as(f"{model} {n}"))) for model in models for n in range(3)]
    bad = [(model, b"not an archive %d" % n) for model in models for n in range(2)]
    bad += [(model, repacked(_no_manifest)) for model in models]
    uploads.upload_all_at_once(good + bad)
    for model, artifact in good:
        assert uploads.outcome(model, artifact)["status"] == "READY"
    for model, artifact in bad:
        assert uploads.outcome(model, artifact)["status"] == "REJECTED"
        report = f"rejected/{model}/{version_of(artifact)}.json"
        assert uploads.keys(report) == {report}
    for model in models:
        uploads.wait_for_upload_removed(model)
        ready = {version_of(artifact) for name, artifact in good if name == model}
        assert uploads.live(model) in ready
        assert uploads.keys(f"mme/{model}/") == {f"mme/{model}/{each}.tar.gz" for each in ready}
        assert api.post(f"/models/{model}/predict", content=CAT).status_code == 200
    expected = {("ModelReady", model, version_of(each)) for model, each in good}
    expected |= {("ModelRejected", model, version_of(each)) for model, each in bad}
    wait_until(lambda: expected <= uploads.published(stack))
    assert uploads.undelivered(stack) == 0


def test_deleting_the_live_version_makes_the_previous_one_live(
    uploads: Uploads, stack: Running, api: httpx.Client
) -> None:
    first, second = repacked(described_as("successor")), repacked(described_as("to be deleted"))
    for artifact in (first, second):
        uploads.upload("inherited", artifact)
        assert uploads.outcome("inherited", artifact)["status"] == "READY"
    for artifact, successor in ((second, version_of(first)), (first, None)):
        key = f"mme/inherited/{version_of(artifact)}.tar.gz"
        uploads.s3.delete_object(Bucket=uploads.bucket, Key=key)
        uploads.wait_for_live("inherited", successor)
    wait_until(lambda: api.post("/models/inherited/predict", content=CAT).status_code == 409)
    promoted = ("ModelPromoted", "inherited", version_of(first))
    wait_until(lambda: promoted in uploads.published(stack))
    uploads.upload("inherited", second)
    uploads.wait_for_live("inherited", version_of(second))


def fails_on_bright_images(folder: Path) -> bytes:
    """The artifact of build_flawed.py; its golden sample is dark."""
    script = ROOT / "tests/journeys/build_flawed.py"
    subprocess.run(
        [sys.executable, str(script), str(folder / "1")],
        check=True,
        capture_output=True,
        timeout=LONG,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    manifest = artifacts.manifest(golden=artifacts.golden())
    members = {"facet.json": json.dumps(manifest).encode(), "golden.png": DARK}
    for path in sorted((folder / "1").rglob("*")):
        if path.is_file():
            members[str(path.relative_to(folder))] = path.read_bytes()
    return artifacts.packed(members)


def start_canaries(stack: Running, model: str, good_answers: int) -> None:
    """Set the policy: new versions start as a canary with half of the requests."""
    dynamodb = boto3.Session(region_name=stack.address.region).resource(
        "dynamodb",
        endpoint_url=stack.address.endpoint_url,
        aws_access_key_id=stack.address.access_key_id,
        aws_secret_access_key=stack.address.secret_access_key,
    )
    policy = Policy(Mode.CANARY, percent=50, good_answers=good_answers)
    table = dynamodb.Table(stack.address.table)
    Releases(table).set_policy(model, policy, "2026-01-01T00:00:00.000+00:00")
    dynamodb.meta.client.close()


def test_a_canary_with_good_answers_is_promoted(
    uploads: Uploads, stack: Running, api: httpx.Client
) -> None:
    first, second = repacked(described_as("steady")), repacked(described_as("promising"))
    uploads.upload("bird", first)
    assert uploads.outcome("bird", first)["status"] == "READY"
    start_canaries(stack, "bird", good_answers=5)
    uploads.upload("bird", second)
    assert uploads.outcome("bird", second)["status"] == "READY"
    assert uploads.live("bird") == version_of(first)

    def promoted() -> bool:
        assert api.post("/models/bird/predict", content=CAT).status_code == 200
        return uploads.live("bird") == version_of(second)

    wait_until(promoted)
    wait_until(lambda: ("ModelPromoted", "bird", version_of(second)) in uploads.published(stack))


def test_a_failing_canary_is_rolled_back_and_callers_still_get_answers(
    uploads: Uploads, stack: Running, api: httpx.Client, tmp_path: Path
) -> None:
    """The candidate passes its proof, whose golden image is dark, and fails on bright images."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make tensorflow")
    first, flawed = repacked(described_as("sound")), fails_on_bright_images(tmp_path)
    uploads.upload("miner", first)
    assert uploads.outcome("miner", first)["status"] == "READY"
    start_canaries(stack, "miner", good_answers=1000)
    uploads.upload("miner", flawed)
    assert uploads.outcome("miner", flawed)["status"] == "READY"

    def rolled_back() -> bool:
        answer = api.post("/models/miner/predict", content=BRIGHT)
        assert (answer.status_code, answer.json()["version"]) == (200, version_of(first))
        return ("ModelRolledBack", "miner", version_of(flawed)) in uploads.published(stack)

    wait_until(rolled_back)
    assert uploads.live("miner") == version_of(first)
