"""RunIn=auto: a small model runs in the function, one that needs TensorFlow on the endpoint."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.moto.aws import client
from tests.journeys.conftest import http
from tests.support.inputs import artifacts
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT, Reached, Running, start

IMAGE = next((ROOT / "samples/images/cifar").glob("cat*"))


@pytest.fixture(scope="module")
def automatic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("auto"), "--parameter", "RunIn=auto")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def there(automatic: Running) -> Iterator[Reached]:
    address, s3 = automatic.address, client("s3", automatic.address)
    home = ("--home", str(automatic.home))
    yield Reached(address.url, address.api_key, address.bucket, s3, home)
    s3.close()


def facet(there: Reached, *arguments: str) -> str:
    """What a command prints."""
    program = str(Path(sys.executable).with_name("facet"))
    command = [program, *arguments, *there.options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_litert() -> bytes:
    """The sample `cifar` with its SavedModel alone."""
    with tarfile.open(ROOT / "samples/cifar.tar.gz") as tar:
        members = {each.name: file.read() for each in tar if (file := tar.extractfile(each))}
    del members["1/assets.extra/model.tflite"]
    return artifacts.packed(members)


def ran_in(api: httpx.Client, model: str) -> str:
    """Where the model answered with the right label."""
    answer = api.post(f"/models/{model}/predict", content=IMAGE.read_bytes())
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] == "cat"
    return answer.headers["X-Facet-Ran-In"]


def test_auto_runs_each_model_where_it_can_and_says_where(there: Reached) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make tensorflow")
    with http(there) as api:
        key = "mme/tensorflow-only.tar.gz"
        there.s3.put_object(Bucket=there.bucket, Key=key, Body=without_litert())
        assert ran_in(api, "cifar") == "function"
        wait_until(lambda: api.get("/models/tensorflow-only").json().get("live"))
        assert ran_in(api, "tensorflow-only") == "endpoint"
        for model, first in (("cifar", "function"), ("tensorflow-only", "endpoint")):
            (version,) = api.get(f"/models/{model}").json()["versions"]
            assert version["runs_in"][0] == first
            shown = facet(there, "show", model)
            assert re.search(rf"runs in +{first}\b.* \(proven there", shown), shown
