"""The local platform through boto3, with real containers and moto's S3."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from facet.errors import ModelFailed
from facet.manifest import Manifest
from facet.places.endpoint import Endpoint
from tests.integration.serving.endpoints import (
    BUCKET,
    ENDPOINT,
    LARGE,
    Put,
    StartStack,
    alive,
    packed,
    stacks,
)
from tests.support.inputs.artifacts import manifest
from tests.support.processes.waiting import LONG, wait_until
from tests.support.versions import of_target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def start(tmp_path: Path, s3: "S3Client") -> Iterator[StartStack]:
    with stacks(tmp_path, s3) as start:
        yield start


@pytest.fixture
def put(s3: "S3Client", artifacts: Path) -> Put:
    """Put an artifact under mme/ and return its TargetModel."""

    def put_one(name: str, artifact: str = "classifier", content: bytes | None = None) -> str:
        target = f"{name}/0123456789ab.tar.gz"
        data = packed(artifacts / artifact) if content is None else content
        s3.put_object(Bucket=BUCKET, Key=f"mme/{target}", Body=data)
        return target

    return put_one


def test_predicts_and_reports_metrics(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    answers = [stack.invoke(target, Accept="application/json") for _ in range(2)]
    for answer in answers:
        assert len(answer["Body"]["predictions"][0]) == 4
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        assert answer["ContentType"] == "application/json"
    metrics = stack.metrics()
    assert metrics["ModelCacheHit"] == {"SampleCount": 2, "Sum": 1, "Minimum": 0, "Maximum": 1}
    assert metrics["LoadedModelCount"] == 1
    for name in ("ModelLoadingWaitTime", "ModelDownloadingTime", "ModelLoadingTime"):
        assert metrics[name]["SampleCount"] == 1
        assert metrics[name]["Sum"] > 0
    assert metrics["Invocations"]["Sum"] == 2
    assert metrics["InvocationModelErrors"] == {
        "SampleCount": 2,
        "Sum": 0,
        "Minimum": 0,
        "Maximum": 0,
    }
    for name in ("ModelLatency", "OverheadLatency"):
        assert metrics[name]["SampleCount"] == 2
        assert metrics[name]["Minimum"] > 0
    loading = metrics["ModelLoadingWaitTime"]["Sum"]
    assert metrics["OverheadLatency"]["Maximum"] > loading


def test_fifty_requests_on_a_cold_model_are_one_load(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(stack.invoke, [target] * 50))
    assert len({json.dumps(answer["Body"]) for answer in answers}) == 1
    assert stack.loads() == [target]
    metrics = stack.metrics()
    assert metrics["ModelDownloadingTime"]["SampleCount"] == 1
    assert metrics["ModelLoadingTime"]["SampleCount"] == 1
    assert metrics["ModelCacheHit"]["SampleCount"] == 50


def test_custom_attributes_reach_the_container(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    refused = stack.refused(target, CustomAttributes="tfs-model-version=7")
    assert refused["OriginalStatusCode"] == 404
    assert "Servable not found" in refused["OriginalMessage"]
    assert stack.invoke(target, CustomAttributes="tfs-model-version=1")["Body"]["predictions"]


def test_the_containers_log_has_the_id_of_a_failed_request(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    document = manifest(input=manifest()["input"] | {"tensor": "nothing"})
    endpoint = Endpoint(stack.runtime, ENDPOINT)
    image = np.zeros((8, 8, 3), np.uint8)
    version, described = of_target(target), Manifest.model_validate(document)
    with pytest.raises(ModelFailed):
        endpoint.classify(version, described, [image], "7f1c0b7e-3d0b")
    wait_until(lambda: f"({target}) failed on request 7f1c0b7e-3d0b: " in stack.log.read_text())


def test_wrong_requests_are_errors_of_sagemaker(
    start: StartStack, s3: "S3Client", put: Put
) -> None:
    stack = start()
    unknown = stack.refused("x.tar.gz", EndpointName="other")["Error"]
    assert unknown["Code"] == "ValidationError"
    assert unknown["Message"] == "Endpoint other of account 123456789012 not found."
    nameless = stack.refused(None)["Error"]
    assert nameless["Code"] == "ValidationError"
    assert "requires target model header" in nameless["Message"]
    variant = stack.refused("x.tar.gz", TargetVariant="Blue")["Error"]
    assert variant["Code"] == "ValidationError"
    assert "Blue" in variant["Message"]
    page = httpx.post(
        f"{stack.platform.url}/endpoints/{ENDPOINT}/invocations",
        headers={"Origin": "https://a.example"},
        timeout=LONG,
    )
    assert page.status_code == 403
    large = stack.refused("x.tar.gz", b" " * 6_291_457)
    assert large["ResponseMetadata"]["HTTPStatusCode"] == 413
    absent = stack.refused("cifar/0123456789ab.tar.gz")["Error"]
    assert absent["Code"] == "ValidationError"
    assert absent["Message"].startswith(
        f"Failed to download model data(bucket: {BUCKET}, key: mme/cifar/0123456789ab.tar.gz)."
    )
    assert stack.invoke(put("cifar"))["Body"]["predictions"], "the failure was not remembered"
    whole = s3.get_object(Bucket=BUCKET, Key="mme/cifar/0123456789ab.tar.gz")["Body"].read()
    for name, content in {"text": b"no archive", "cut": whole[:-20]}.items():
        broken = stack.refused(put(name, content=content))["Error"]
        assert broken["Code"] == "ValidationError"
        assert "Failed to extract model data archive" in broken["Message"]


def test_errors_of_the_container_are_model_errors(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    refused = stack.refused(target, '{"instances": []}')
    assert refused["Error"]["Code"] == "ModelError"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert refused["OriginalStatusCode"] == 400
    assert json.loads(refused["OriginalMessage"])["error"] == "No values in 'instances' array"
    assert refused["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{ENDPOINT}")
    assert "Received client error (400) from primary" in refused["Error"]["Message"]
    assert stack.refused(target, ContentType="image/jpeg")["OriginalStatusCode"] == 415
    metrics = stack.metrics()
    assert metrics["Invocation4XXErrors"]["Sum"] == metrics["InvocationModelErrors"]["Sum"] == 2
    assert metrics["Invocation5XXErrors"]["Sum"] == 0

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("facet.json"))
    for _ in range(2):
        empty = stack.refused(put("empty", content=buffer.getvalue()))
        assert empty["OriginalStatusCode"] == 404
        assert "Could not find valid base path" in empty["OriginalMessage"]


@pytest.fixture
def no_packed_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model takes 8 MB then; with its weights on disk, one."""
    monkeypatch.setenv("FACET_SERVING_WEIGHT_CACHE", "0")


@pytest.mark.usefixtures("no_packed_weights")
def test_unloads_the_least_recently_used_model(start: StartStack, put: Put) -> None:
    stack = start(memory_budget=25_000_000)
    targets = [put(f"model-{number}", "large") for number in range(6)]
    for target in [*targets, targets[0]]:
        assert len(stack.invoke(target, LARGE)["Body"]["predictions"][0]) == 102
    assert stack.loads() == [*targets, targets[0]]
    metrics = stack.metrics()
    assert 1 <= metrics["LoadedModelCount"] <= 3
    assert metrics["ModelUnloadingTime"]["SampleCount"] == 7 - metrics["LoadedModelCount"]
    assert stack.invoke(targets[0], LARGE)
    assert stack.metrics()["ModelCacheHit"]["Sum"] == 1


@pytest.mark.usefixtures("no_packed_weights")
def test_answers_many_clients_with_more_models_than_fit(start: StartStack, put: Put) -> None:
    stack = start(memory_budget=25_000_000)
    targets = [put(f"model-{number}", "large") for number in range(6)]
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda target: stack.invoke(target, LARGE), targets * 6))
    assert len({json.dumps(answer["Body"]) for answer in answers}) == 1
    assert stack.metrics()["LoadedModelCount"] <= 3


def test_a_model_larger_than_the_memory_is_507(start: StartStack, put: Put) -> None:
    stack = start(memory_budget=7_000_000)
    small, large = put("small"), put("large", "large")
    assert stack.invoke(small)
    refused = stack.refused(large, LARGE)
    assert refused["Error"]["Code"] == "ModelError"
    assert refused["OriginalStatusCode"] == 507
    assert "not enough memory to load model" in refused["OriginalMessage"]
    assert stack.invoke(small)


def test_restarts_a_killed_container(start: StartStack, put: Put) -> None:
    stack, target = start(), put("cifar")
    before = stack.invoke(target)["Body"]
    killed = stack.platform.container_pid(ENDPOINT)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert stack.invoke(target)["Body"] == before
    assert stack.platform.container_pid(ENDPOINT) != killed
    assert stack.loads() == [target, target]
    assert stack.metrics()["ModelDownloadingTime"]["SampleCount"] == 1


def test_a_cold_model_that_takes_too_long_is_not_ready(start: StartStack, put: Put) -> None:
    stack, target = start(cold_wait=0.0), put("cifar")
    refused = stack.refused(target)
    assert refused["Error"]["Code"] == "ModelNotReadyException"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
    wait_until(lambda: stack.metrics()["LoadedModelCount"])
    assert stack.invoke(target)["Body"]["predictions"]
    assert stack.loads() == [target]


def test_no_load_is_stopped_before_the_container_gives_it_up(
    start: StartStack, tmp_path: Path
) -> None:
    """A stopped one would be refused for an hour, though the machine may only be slow."""
    given = tmp_path / "environment"
    program = f"import json, os, pathlib, time; path = pathlib.Path({str(given)!r}); "
    program += "path.write_text(json.dumps(dict(os.environ))); time.sleep(600)"
    start(command=(sys.executable, "-c", program))
    wait_until(lambda: given.exists() and given.read_text())
    environment = json.loads(given.read_text())
    limits = ("FACET_SERVING_LOAD_LIMIT", "SAGEMAKER_TFS_WAIT_TIME_SECONDS")
    assert [environment.get(each) for each in limits] == ["300"] * 2


def test_artifacts_survive_a_restart(start: StartStack, put: Put, s3: "S3Client") -> None:
    first, target = start(), put("cifar")
    before = first.invoke(target)["Body"]
    first.close()
    s3.delete_object(Bucket=BUCKET, Key=f"mme/{target}")
    second = start()
    assert second.invoke(target)["Body"] == before
    assert "ModelDownloadingTime" not in second.metrics()


def test_a_port_in_use_is_an_error(start: StartStack) -> None:
    taken = int(start().platform.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        start(port=taken)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2) of Linux")
def test_a_killed_stack_leaves_no_container(tmp_path: Path) -> None:
    program = f"""
import time, boto3, pathlib
from local.endpoint.platform import EndpointConfig, Platform
s3 = boto3.client("s3", region_name="us-east-1")
folder = pathlib.Path({str(tmp_path)!r})
platform = Platform([EndpointConfig("e", "s3://b/mme/", {{}})], s3, folder / "cache",
                    disk_budget=1, memory_budget=1, log_dir=folder)
platform.start()
while platform.container_pid("e") is None:
    time.sleep(0.02)
print(platform.container_pid("e"), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as stack:
        assert stack.stdout is not None
        container = int(stack.stdout.readline())
        assert alive(container)
        stack.kill()
    wait_until(lambda: not alive(container))
