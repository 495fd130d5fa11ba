"""Training through the state machine: the outcomes of good jobs and of every kind of bad job."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.moto.aws import client
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT
from tests.support.trainer import Trainer, artifact

CAT = next((ROOT / "samples/images/cifar").glob("cat*")).read_bytes()


@pytest.fixture(scope="module")
def live(trainer: Trainer) -> str:
    """The live version of model `steady`, before the failing jobs."""
    good = trainer.dataset("good", artifact("good", 0.9))
    report = trainer.train("first", {"model": "steady", "dataset": good})["steady"]
    assert report["outcome"] == "READY"
    return str(report["version"])


def test_jobs_end_with_their_expected_outcomes(trainer: Trainer) -> None:
    good, low = artifact("one", 0.9), artifact("two", 0.5)
    wrong = artifact("three", 0.9, golden="truck")
    message = subscribed(trainer)
    reports = trainer.train(
        "mixed",
        {"model": "fine", "dataset": trainer.dataset("fine", good)},
        {"model": "broken", "dataset": trainer.dataset("no-images")},
        {"model": "low", "dataset": trainer.dataset("low", low)},
        {"model": "wrong", "dataset": trainer.dataset("wrong", wrong)},
        concurrency=4,
    )
    outcomes = {model: report["outcome"] for model, report in reports.items()}
    assert outcomes == {
        "fine": "READY",
        "broken": "FAILED",
        "low": "BELOW_MINIMUM",
        "wrong": "REJECTED",
    }
    assert reports["fine"]["version"] == trainer.live("fine")
    assert reports["fine"]["metrics"] == {"validation_accuracy": 0.9}
    assert "error: channel train has no images" in reports["broken"]["reason"]
    assert "0.5000 is below the minimum 0.7500" in reports["low"]["reason"]
    assert "golden-label" in reports["wrong"]["reason"]
    assert [trainer.live(model) for model in ("broken", "low", "wrong")] == [None] * 3
    assert message()["counts"] == {"READY": 1, "FAILED": 1, "BELOW_MINIMUM": 1, "REJECTED": 1}
    answer = httpx.post(
        f"{trainer.address.url}/models/fine/predict",
        headers={"x-api-key": trainer.address.api_key},
        content=CAT,
        timeout=LONG,
    )
    assert answer.json()["predictions"][0]["label"] == "cat"
    wait_until(lambda: trainer.executed and trainer.executed[-1].name == "mixed")


def subscribed(trainer: Trainer) -> Callable[[], dict[str, Any]]:
    """Returns a function that waits for the message about the next execution's end."""
    sqs, sns = (client(name, trainer.address) for name in ("sqs", "sns"))
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=trainer.address.topic_arn, Protocol="sqs", Endpoint=arn["QueueArn"])

    def message() -> dict[str, Any]:
        (received,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        content: dict[str, Any] = json.loads(json.loads(received["Body"])["Message"])
        return content

    return message


def test_describe_training_job_matches_sagemaker(trainer: Trainer, live: str) -> None:
    report = trainer.train("described", {"model": "seen", "dataset": "good"})["seen"]
    job = trainer.sagemaker.describe_training_job(TrainingJobName=report["training_job"])
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert metrics == {
        "train:loss": pytest.approx(0.5),
        "train:accuracy": pytest.approx(0.8),
        "validation:loss": pytest.approx(0.6),
        "validation:accuracy": pytest.approx(0.7),
        "epoch:seconds": pytest.approx(0.1),
    }
    artifact_key = job["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3]
    stored = trainer.s3.get_object(Bucket=trainer.address.bucket, Key=artifact_key)["Body"].read()
    assert hashlib.sha256(stored).hexdigest()[:12] == report["version"]
    listed = trainer.sagemaker.list_training_jobs(NameContains="seen-described")
    assert [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]] == [
        report["training_job"]
    ]
    assert live


def test_a_worse_model_is_published_only_with_allow_worse(trainer: Trainer, live: str) -> None:
    worse = {"model": "steady", "dataset": trainer.dataset("worse", artifact("worse", 0.8))}
    report = trainer.train("worse", worse)["steady"]
    assert report["outcome"] == "WORSE"
    assert f"the live version {live} has 0.9000" in report["reason"]
    assert trainer.live("steady") == live
    allowed = trainer.train("allowed", worse | {"model": "other", "allow_worse": True})["other"]
    assert allowed["outcome"] == "READY"


def test_a_stopped_job_is_reported_as_stopped(trainer: Trainer, live: str) -> None:
    execution = trainer.start("stopped", {"model": "steady", "dataset": trainer.dataset("endless")})
    wait_until(lambda: running(trainer, "steady-stopped"))
    name = running(trainer, "steady-stopped")
    trainer.sagemaker.stop_training_job(TrainingJobName=name)
    report = trainer.reports(execution)["steady"]
    assert (report["outcome"], report["training_job"]) == ("STOPPED", name)
    job = trainer.sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Stopped"
    prefix = job["CheckpointConfig"]["S3Uri"].split("/", 3)[3]
    listed = trainer.s3.list_objects_v2(Bucket=trainer.address.bucket, Prefix=prefix)
    assert [each["Key"].rpartition("/")[2] for each in listed["Contents"]] == ["epoch-1"]
    assert trainer.live("steady") == live


def running(trainer: Trainer, prefix: str) -> str | None:
    """The job that has logged `waiting`."""
    return next(
        (job for job, line in trainer.lines if job.startswith(prefix) and line == "waiting"), None
    )


def test_a_job_over_its_maximum_runtime_is_reported_as_stopped(trainer: Trainer, live: str) -> None:
    endless = trainer.dataset("endless")
    job = {"model": "steady", "dataset": endless, "max_runtime": 1}
    report = trainer.train("late", job)["steady"]
    assert (report["outcome"], report["reason"]) == (
        "STOPPED",
        "the training job was stopped: MaxRuntimeExceeded",
    )
    assert trainer.live("steady") == live


def test_a_stopped_execution_stops_its_training_job(trainer: Trainer) -> None:
    execution = trainer.start("gone", {"model": "gone", "dataset": trainer.dataset("endless")})
    wait_until(lambda: running(trainer, "gone-gone"))
    trainer.sfn.stop_execution(executionArn=execution)
    name = running(trainer, "gone-gone")

    def stopped() -> bool:
        job = trainer.sagemaker.describe_training_job(TrainingJobName=name)
        return bool(job["TrainingJobStatus"] == "Stopped")

    wait_until(stopped)
    assert trainer.end(execution)["status"] == "ABORTED"


def test_bad_input_fails_before_anything_starts(trainer: Trainer) -> None:
    before = trainer.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    result = trainer.end(
        trainer.start(
            "bad",
            {"model": "a", "dataset": trainer.dataset("good")},
            {"model": "b", "dataset": "good", "hyperparameters": {"epochs": 0}},
        )
    )
    assert (result["status"], result["error"]) == ("FAILED", "BadInput")
    assert result["cause"].startswith("jobs[1].hyperparameters.epochs 0: ")
    assert trainer.sagemaker.list_training_jobs()["TrainingJobSummaries"] == before


def test_the_log_of_a_training_job_is_kept(trainer: Trainer, live: str) -> None:
    assert live
    (log,) = (trainer.home / "logs/training").glob("steady-first-*.log")
    lines = [line for job, line in trainer.lines if job == log.stem]
    assert log.read_text().splitlines() == lines
    assert lines[0].startswith("epoch=1 loss=0.5 ")
