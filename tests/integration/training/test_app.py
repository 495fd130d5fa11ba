"""The handler of the train function, step by step, against moto."""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from facet.errors import Violation
from facet.manifest import Manifest
from facet.registry.models import Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.versions import make_live
from train import app
from train.input import BadInput
from train.quality_gate import NoManifest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("functions")

KEY = "training/monday/cats/job/output/model.tar.gz"
EXECUTION = {"id": "arn:monday", "name": "monday", "started": "2026-09-11T14:02:11.482Z"}
CODE = "code/0123456789ab/sourcedir.tar.gz"
GATE = {"metric": "validation_accuracy", "minimum": 0.5, "allow_worse": False}


def handled(**event: Any) -> dict[str, Any]:
    return app.handler(event, fakes.Context())  # type: ignore[arg-type]


def version(artifact: bytes, status: Status, accuracy: float = 0.9) -> Version:
    digest = hashlib.sha256(artifact).hexdigest()
    return Version(
        model="cats",
        id=digest[:12],
        status=status,
        sha256=digest,
        size=len(artifact),
        uploaded_at="2026-01-01T00:00:00+00:00",
        updated_at="2026-01-01T00:00:00+00:00",
        manifest=Manifest.model_validate(
            artifacts.manifest(metrics={"validation_accuracy": accuracy})
        ),
    )


def trained(s3: "S3Client", accuracy: float) -> bytes:
    artifact = artifacts.artifact(metrics={"validation_accuracy": accuracy})
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=artifact)
    return artifact


def judged() -> dict[str, Any]:
    return handled(step="judge", model="cats", artifact=f"s3://{fakes.BUCKET}/{KEY}", gate=GATE)


def test_plans_with_the_channels_in_the_bucket(s3: "S3Client") -> None:
    for key in (CODE, "datasets/pets/train/cat/1.jpg", "datasets/pets/validation/cat/2.jpg"):
        s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=b"x")
    jobs = [{"model": "cats", "recipe": "image-folder", "dataset": "pets"}]
    made = handled(step="plan", execution=EXECUTION, input={"jobs": jobs}, code=CODE)
    (job,) = made["jobs"]
    assert [each["ChannelName"] for each in job["channels"]] == ["train", "validation"]
    assert job["output"] == {"S3OutputPath": f"s3://{fakes.BUCKET}/training/monday/cats"}
    assert job["hyperparameters"]["sagemaker_region"] == f'"{s3.meta.region_name}"'


def test_plans_with_the_artifact_of_the_live_version(s3: "S3Client", table: "Table") -> None:
    """Unless it is gone: the job would fail."""
    jobs = [{"model": "cats", "recipe": "image-folder", "dataset": "pets"}]
    live = version(b"live", Status.READY)
    make_live(table, replace(live, status=Status.PENDING))
    for key in (CODE, "datasets/pets/train/cat/1.jpg"):
        s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=b"x")
    (job,) = handled(step="plan", execution=EXECUTION, input={"jobs": jobs}, code=CODE)["jobs"]
    assert [each["ChannelName"] for each in job["channels"]] == ["train"]
    s3.put_object(Bucket=fakes.BUCKET, Key=f"mme/cats/{live.id}.tar.gz", Body=b"live")
    (job,) = handled(step="plan", execution=EXECUTION, input={"jobs": jobs}, code=CODE)["jobs"]
    assert [each["ChannelName"] for each in job["channels"]] == ["train", "live"]


def test_rejects_a_missing_data_set(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=CODE, Body=b"x")
    jobs = [{"model": "cats", "recipe": "image-folder", "dataset": "pets"}]
    uri = f"s3://{fakes.BUCKET}/datasets/pets/train/"
    with pytest.raises(BadInput, match=rf"jobs\[0\]\.dataset pets: there is nothing at {uri}; "):
        handled(step="plan", execution=EXECUTION, input={"jobs": jobs}, code=CODE)


def test_the_first_version_only_has_to_reach_the_minimum(s3: "S3Client") -> None:
    artifact = trained(s3, 0.6)
    found = judged()
    assert found["verdict"] == "PUBLISH"
    assert found["version"] == hashlib.sha256(artifact).hexdigest()[:12]
    assert found["metrics"] == {"validation_accuracy": 0.6}


def test_the_copy_source_names_the_object_version_that_was_read(s3: "S3Client") -> None:
    artifact = trained(s3, 0.6)
    source = judged()["copy_source"]
    trained(s3, 0.9)
    s3.copy_object(Bucket=fakes.BUCKET, Key="mme/cats.tar.gz", CopySource=source)
    copied = s3.get_object(Bucket=fakes.BUCKET, Key="mme/cats.tar.gz")["Body"].read()
    assert copied == artifact


def test_a_model_is_compared_with_the_live_version(s3: "S3Client", table: "Table") -> None:
    live = version(b"live", Status.READY, accuracy=0.7)
    make_live(table, replace(live, status=Status.PENDING))
    trained(s3, 0.69)
    found = judged()
    assert found["verdict"] == "WORSE"
    assert f"the live version {live.id} has 0.7000" in found["reason"]
    trained(s3, 0.7)
    assert judged()["verdict"] == "PUBLISH"


def test_a_model_without_a_live_version_can_be_published(
    s3: "S3Client", registry: Registry
) -> None:
    registry.reject(replace(version(b"x", Status.REJECTED), manifest=None))
    trained(s3, 0.6)
    assert judged()["verdict"] == "PUBLISH"


def test_an_invalid_artifact_is_an_error(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=b"nothing")
    with pytest.raises(NoManifest):
        judged()
    with pytest.raises(ValueError, match="not in the bucket"):
        handled(step="judge", model="cats", artifact="s3://elsewhere/x", gate=GATE)


def outcome() -> dict[str, Any]:
    identity = hashlib.sha256(b"x").hexdigest()[:12]
    return handled(step="outcome", model="cats", version=identity)


def test_the_outcome_follows_the_registry(registry: Registry, table: "Table") -> None:
    assert (outcome()["status"], outcome()["live"]) == ("UNKNOWN", False)
    registry.begin(version(b"x", Status.PENDING))
    assert (outcome()["status"], outcome()["live"]) == ("PENDING", False)
    Releases(table).accept(version(b"x", Status.READY))
    assert (outcome()["status"], outcome()["live"]) == ("READY", True)


def test_a_rejection_includes_its_violations(registry: Registry) -> None:
    violation = Violation("golden-label", "golden.png", "it answers dog", "train again")
    registry.reject(replace(version(b"x", Status.REJECTED), violations=(violation,)))
    found = outcome()
    assert found["status"] == "REJECTED"
    assert found["reason"] == "golden-label (golden.png): it answers dog"
    assert found["violations"][0]["remedy"] == "train again"


def test_a_summary_counts_outcomes() -> None:
    jobs = [{"model": name, "outcome": end} for name, end in (("a", "READY"), ("b", "FAILED"))]
    found = handled(step="summary", jobs=[*jobs, jobs[0]])
    assert found == {"jobs": [*jobs, jobs[0]], "counts": {"READY": 2, "FAILED": 1}}
