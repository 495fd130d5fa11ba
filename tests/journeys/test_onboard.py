"""Uploads to `mme/<model>.tar.gz`: what an ML team does, well and badly."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.journeys.conftest import ROOT, Running

SAMPLE = (ROOT / "samples/cifar.tar.gz").read_bytes()
CAT = next((ROOT / "samples/pictures/cifar").glob("cat*")).read_bytes()

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
    """Uploads artifacts and waits for what becomes of them."""

    def __init__(self, s3: Any, api: httpx.Client, bucket: str) -> None:
        self.s3, self.api, self.bucket = s3, api, bucket

    def drop(self, model: str, artifact: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"mme/{model}.tar.gz", Body=artifact)

    def outcome(self, model: str, artifact: bytes, seconds: float = 60) -> dict[str, Any]:
        """The version's entry once it is no longer pending."""
        wanted, deadline = version_of(artifact), time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.api.get(f"/models/{model}").json()
            for each in answer.get("versions", []):
                if each["version"] == wanted and each["status"] != "PENDING":
                    return dict(each)
            time.sleep(0.1)
        pytest.fail(f"{model} has no outcome: {answer}")

    def live(self, model: str) -> object:
        return self.api.get(f"/models/{model}").json()["live"]

    def keys(self, prefix: str) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return {each["Key"] for each in listed.get("Contents", [])}

    def wait_for_empty_door(self, model: str) -> None:
        key, deadline = f"mme/{model}.tar.gz", time.monotonic() + 20
        while key in self.keys(key) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert key not in self.keys(key)


@pytest.fixture(scope="module")
def uploads(s3: Any, api: httpx.Client, stack: Running) -> Uploads:
    return Uploads(s3, api, stack.address.bucket)


def test_an_upload_is_servable_within_seconds_without_a_restart(
    uploads: Uploads, api: httpx.Client
) -> None:
    artifact = repacked(described_as("second"))
    uploads.drop("second", artifact)
    assert uploads.outcome("second", artifact) | {"status": "READY", "proof": "golden"} == (
        uploads.outcome("second", artifact)
    )
    answer = api.post("/models/second/predict", content=CAT).json()
    assert (answer["model"], answer["version"]) == ("second", version_of(artifact))
    assert answer["predictions"][0]["label"] == "cat"
    uploads.wait_for_empty_door("second")
    assert uploads.keys("mme/second/") == {f"mme/second/{version_of(artifact)}.tar.gz"}


def test_new_bytes_are_a_new_version_and_the_same_bytes_are_none(uploads: Uploads) -> None:
    first, second = repacked(described_as("a")), repacked(described_as("b"))
    for artifact in (first, second):
        uploads.drop("twice", artifact)
        assert uploads.outcome("twice", artifact)["status"] == "READY"
    assert uploads.live("twice") == version_of(second)
    uploads.wait_for_empty_door("twice")
    uploads.drop("twice", first)
    uploads.wait_for_empty_door("twice")
    assert uploads.live("twice") == version_of(second)
    assert len(uploads.keys("mme/twice/")) == 2


def _no_manifest(members: dict[str, bytes]) -> None:
    del members["facet.json"]


def _no_version_folder(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("1/")]:
        del members[name]


def _wrapper_folder(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("1/")]:
        members[f"model/{name}"] = members.pop(name)


def _does_not_load(members: dict[str, bytes]) -> None:
    """On neither runtime: a LiteRT model that alone is broken falls back on its SavedModel."""
    for name in members:
        if name.endswith("model.tflite"):
            members[name] = b"TFL3 but nothing else"
        elif name.endswith("variables.index"):
            members[name] = b"nothing"


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
        (repacked(_other_labels), "golden-label"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_upload_is_rejected_with_its_reasons_and_the_live_model_stays(
    artifact: bytes, code: str, uploads: Uploads, api: httpx.Client
) -> None:
    good = repacked(described_as("steady"))
    uploads.drop("steady", good)
    assert uploads.outcome("steady", good)["status"] == "READY"

    uploads.drop("steady", artifact)
    refused = uploads.outcome("steady", artifact)
    assert refused["status"] == "REJECTED"
    assert code in [each["code"] for each in refused["violations"]]
    assert all(each["problem"] and each["remedy"] for each in refused["violations"])

    place = f"rejected/steady/{version_of(artifact)}"
    kept = uploads.s3.get_object(Bucket=uploads.bucket, Key=f"{place}.tar.gz")["Body"].read()
    report = json.load(uploads.s3.get_object(Bucket=uploads.bucket, Key=f"{place}.json")["Body"])
    assert kept == artifact
    assert report["violations"] == refused["violations"]

    uploads.wait_for_empty_door("steady")
    assert f"mme/steady/{version_of(artifact)}.tar.gz" not in uploads.keys("mme/steady/")
    assert uploads.live("steady") == version_of(good)
    answer = api.post("/models/steady/predict", content=CAT).json()
    assert answer["predictions"][0]["label"] == "cat"


def test_a_model_whose_only_upload_was_rejected_says_so(
    uploads: Uploads, api: httpx.Client
) -> None:
    uploads.drop("hopeless", b"nothing")
    uploads.outcome("hopeless", b"nothing")
    answer = api.post("/models/hopeless/predict", content=CAT)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:facet:problem:no-live-version"
    assert [each["code"] for each in answer.json()["violations"]] == ["not-gzip"]


def test_a_saved_model_without_litert_is_served_by_tensorflow(
    uploads: Uploads, api: httpx.Client
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make tensorflow")

    def without_litert(members: dict[str, bytes]) -> None:
        del members["1/assets.extra/model.tflite"]

    artifact = repacked(without_litert)
    uploads.drop("saved-model", artifact)
    assert uploads.outcome("saved-model", artifact)["status"] == "READY"
    lite = api.post("/models/cifar/predict?top_k=10", content=CAT).json()["predictions"]
    full = api.post("/models/saved-model/predict?top_k=10", content=CAT).json()["predictions"]
    assert [each["label"] for each in lite[:3]] == [each["label"] for each in full[:3]]
    assert lite[0]["score"] == pytest.approx(full[0]["score"], abs=0.001)


def test_good_and_bad_uploads_at_once_are_all_accounted_for(uploads: Uploads) -> None:
    good = {f"crowd-{n}": repacked(described_as(str(n))) for n in range(6)}
    bad = {f"mob-{n}": b"not an archive %d" % n for n in range(6)}
    threads = [threading.Thread(target=uploads.drop, args=each) for each in {**good, **bad}.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [uploads.outcome(*each)["status"] for each in good.items()] == ["READY"] * 6
    assert [uploads.outcome(*each)["status"] for each in bad.items()] == ["REJECTED"] * 6
