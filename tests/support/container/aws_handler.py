"""Runs AWS's Python handler of the TensorFlow inference image over a stand-in for its model server.

The handler is AWS's (Apache-2.0), is not part of Facet, and is nowhere downloaded: a test reads it
from the folder that FACET_AWS_HANDLER names, in a clone of aws/deep-learning-containers
`scripts/docker/tensorflow/inference/sagemaker`. It runs in a sandbox, at the paths and with the
packages that it has in the image, and with the command that serve.py there gives it.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import sandbox
from tests.support.processes.environments import environment
from tests.support.processes.waiting import LONG

MODULES = ("python_service.py", "tfs_utils.py", "multi_model_utils.py")
PACKAGES = (
    *("falcon==3.1.0", "gevent==26.5.0", "grpcio==1.81.1"),
    *("gunicorn==26.0.0", "requests==2.34.2", "urllib3==2.7.0"),
)
"""From docker/tensorflow/inference/2.20/cpu/uv.lock."""

WITHOUT_COMPILER = {"FALCON_DISABLE_CYTHON": "1"}
"""falcon 3.1.0 has no wheel for Python 3.12; compiling it takes minutes."""

WAIT = 2  # seconds for a load, SAGEMAKER_TFS_WAIT_TIME_SECONDS; 60 by default
LOCK = 1  # seconds for the lock of loads; 60 in AWS's code
PORTS = "20000-20007"  # of which the handler uses nine tenths, two for each model: room for three

START = f"""
import gevent.monkey, runpy, sys
gevent.monkey.patch_all()
sys.path.insert(0, "/sagemaker")
import multi_model_utils
wait = multi_model_utils.lock.__wrapped__
wait.__defaults__ = (*wait.__defaults__[:2], {LOCK})
runpy.run_path("/sagemaker/python_service.py", run_name="__main__")
"""
"""Shortens the lock's wait, which no setting changes, and starts the handler."""

ARGUMENTS = (
    "-b unix:/run/handler/socket -k gevent --chdir /sagemaker "
    "--workers 1 --threads 1 --log-level info --timeout 30"
)


class AwsHandler:
    """A running handler; `folder` is shared with its sandbox."""

    def __init__(self, http: httpx.Client, folder: Path) -> None:
        self._http = http
        self._folder = folder

    def model(self, name: str, behaviour: str) -> str:
        """Make a model that the stand-in serves in that way; returns its URL for `load`."""
        version = self._folder / "models" / name / "1"
        version.mkdir(parents=True)
        (version.parent / "behaviour").write_text(behaviour)
        return f"/run/handler/models/{name}"

    def memory(self, percent: int) -> None:
        """Set what `free` says of the machine's used memory."""
        (self._folder / "free").write_text(f"Total: 100 {percent} {100 - percent}\n")

    def load(self, name: str, url: str) -> tuple[int, str]:
        """Status and body of `POST /models`."""
        return _answer(self._http.post("/models", json={"model_name": name, "url": url}))

    def unload(self, name: str) -> tuple[int, str]:
        """Status and body of `DELETE /models/{name}`."""
        return _answer(self._http.delete(f"/models/{name}"))

    def invoke(self, name: str, body: Any = None) -> tuple[int, str]:
        """Status and body of `POST /models/{name}/invoke`."""
        content = json.dumps(body or {"instances": [[1.0]]})
        headers = {"Content-Type": "application/json"}
        return _answer(self._http.post(f"/models/{name}/invoke", content=content, headers=headers))


def _answer(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.text


@contextmanager
def aws_handler(folder: Path) -> Iterator[AwsHandler]:
    """Start the handler, or skip the test with what is missing."""
    source = os.environ.get("FACET_AWS_HANDLER")
    if source is None:
        pytest.skip("FACET_AWS_HANDLER does not name the folder of AWS's handler")
    if reason := sandbox.missing():
        pytest.skip(reason)
    python = environment("aws-handler", PACKAGES, WITHOUT_COMPILER)
    shared = folder / "shared"
    shared.mkdir()
    command = [*sandbox.command(*_mounts(Path(source), folder, python)), "python", "-c", START]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *ARGUMENTS.split()], stdout=log, stderr=log)
    try:
        _wait(process, shared / "socket", folder / "log")
        transport = httpx.HTTPTransport(uds=str(shared / "socket"), retries=3)
        with httpx.Client(base_url="http://handler", transport=transport, timeout=LONG) as http:
            assert http.get("/ping").status_code == 200
            yield AwsHandler(http, shared)
    finally:
        process.kill()
        process.wait(10)


def _mounts(source: Path, folder: Path, python: Path) -> list[str]:
    programs = folder / "programs"
    programs.mkdir()
    stub = Path(__file__).with_name("tensorflow_model_server.py")
    for name, script in (
        ("tensorflow_model_server", f'exec {python} /opt/stub.py "$@"'),
        ("free", "cat /run/handler/free"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    modules = [
        part for name in MODULES for part in ("--ro-bind", source / name, f"/sagemaker/{name}")
    ]
    environ = {
        "PATH": f"/opt/programs:{python.parent}:/usr/bin:/bin",
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_SAFE_PORT_RANGE": PORTS,
        "SAGEMAKER_TFS_WAIT_TIME_SECONDS": str(WAIT),
    }
    return [
        *("--tmpfs", "/tmp", "--tmpfs", "/sagemaker", *map(str, modules)),
        *("--ro-bind", str(hosts), "/etc/hosts", "--ro-bind", str(stub), "/opt/stub.py"),
        *("--ro-bind", str(programs), "/opt/programs"),
        *("--ro-bind", str(python.parents[1]), str(python.parents[1])),
        *("--bind", str(folder / "shared"), "/run/handler"),
        *(part for each in environ.items() for part in ("--setenv", *each)),
    ]


def _wait(process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    """Wait until the socket exists: connecting before would leave sockets open in httpx."""
    deadline = time.monotonic() + 60
    while not socket.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise AssertionError(log.read_text())
        time.sleep(0.05)
