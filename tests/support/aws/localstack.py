"""LocalStack, a second implementation of AWS beside moto: without Docker, licence or network.

This release starts from its package alone, and needs no token. It has its own CloudFormation, API
Gateway and Step Functions; it has no SageMaker, and runs no Lambda function without Docker.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

ROOT = Path(__file__).parents[3]
PINS = ROOT / ".ci/localstack.txt"
ENVIRONMENT = ROOT / "build/localstack"
PYTHON = "3.13"
ACCOUNT, REGION = "123456789012", "us-east-1"
INSTALLING, STARTING = 600, 300
"""Seconds."""


def install() -> Path:
    """The Python of an environment with the pinned packages; skips where there can be none."""
    found = subprocess.run([ROOT / ".ci/python", PYTHON], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"LocalStack needs Python {PYTHON}")
    python, installed = ENVIRONMENT / "bin/python", ENVIRONMENT / "installed"
    if installed.exists() and installed.read_text() == PINS.read_text():
        return python
    uv = Path(sys.executable).with_name("uv")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    commands: list[list[str | Path]] = [
        [uv, "venv", "--quiet", "--python", found.stdout.strip(), ENVIRONMENT],
        [uv, "pip", "install", "--quiet", "--python", python, "--requirement", PINS],
    ]
    for command in commands:
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=INSTALLING, cwd="/")
        except subprocess.SubprocessError as error:
            pytest.skip(f"LocalStack cannot be installed: {error}")
    shutil.copy(PINS, installed)
    return python


class LocalStack:
    """A running one. It keeps nothing on the disk but what it writes into its folder."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,  # LocalStack reads the account's id from it
            aws_secret_access_key="x",
        )

    def api(self, api: str, stage: str) -> str:
        """A REST API's URL."""
        return f"{self.url}/_aws/execute-api/{api}/{stage}"


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[LocalStack]:
    """One on a free port of this machine, which ends with the block."""
    python = install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "FILESYSTEM_ROOT": str(folder),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        **settings,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "localstack.runtime.main"],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process, url, folder / "log")
            yield LocalStack(url)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it takes ten seconds to end by itself
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/_localstack/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"LocalStack did not start: {log.read_text()[-2000:]}")
