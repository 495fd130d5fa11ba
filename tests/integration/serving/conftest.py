"""Small artifacts, container processes, and moto's S3."""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.support.processes.waiting import LONG, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facet-test"
SERVING = (sys.executable, "-m", "serving", "serve")
BUILDER = Path(__file__).with_name("build_artifacts.py")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that build_artifacts.py fills, once for all workers of pytest-xdist."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed (make tensorflow): no artifacts to serve")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "serving-artifacts"
    with (shared / "serving-artifacts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "several" / "1" / "saved_model.pb").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            subprocess.run(
                [sys.executable, str(BUILDER), str(folder)],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                check=True,
                capture_output=True,
                timeout=LONG,
            )
    return folder


@dataclass
class ContainerProcess:
    """A running `python -m serving`."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=LONG)

    def load(self, name: str, folder: Path) -> httpx.Response:
        return self.http.post("/models", json={"model_name": name, "url": str(folder)})

    def invoke(self, name: str, body: object) -> httpx.Response:
        return self.http.post(f"/models/{name}/invoke", json=body)


StartContainer = Callable[..., ContainerProcess]


@pytest.fixture(scope="module")
def start_container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartContainer]:
    """Starts containers (environment as keywords) and stops them at the end of the module."""
    with contextlib.ExitStack() as opened:

        def start(command: Sequence[str] = SERVING, **environment: str) -> ContainerProcess:
            folder = tmp_path_factory.mktemp("container")
            log = folder / "log"
            settings = {
                "FACET_SERVING_HOST": "127.0.0.1",
                "SAGEMAKER_BIND_TO_PORT": "0",
                "TMPDIR": str(folder),
                "SAGEMAKER_TFS_WAIT_TIME_SECONDS": "600",  # TensorFlow's import may take minutes
                "FACET_SERVING_LOAD_LIMIT": "600",
            }
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **settings, **environment},
                    stdout=output,
                    stderr=output,
                )
            opened.callback(_stop, process)
            container = ContainerProcess(process, _url(process, log), log)
            opened.callback(container.http.close)
            return container

        yield start


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(LONG)


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the container serves: it takes a free port, and says which."""
    found: list[str] = []

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        found.extend(re.findall(r"Uvicorn running on (http://\S+)", log.read_text()))
        return bool(found)

    wait_until(serves)
    return found[0]


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of moto's S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url: str) -> Iterator["S3Client"]:
    """A client of an S3 with the empty bucket BUCKET."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=each["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()
