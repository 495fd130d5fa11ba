"""deployment/docker.py and build.sh, with a program in Docker's place that records its calls."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from deployment.docker import Docker, require_docker
from deployment.progress import ImageError
from deployment.sources import pack

SOURCES = pack("litert")
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/facet-images:litert-0123"
RECORDER = """#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD"
case "$1 $2" in
    "$FAILING") echo "no daemon" >&2; exit 1;;
    "login "*) cat >> "$RECORD"; echo >> "$RECORD";;
    "buildx build") find . -type f | sort >> "$RECORD";;
esac
"""


class Ecr:
    def get_authorization_token(self) -> Any:
        return {"authorizationData": [{"authorizationToken": "QVdTOnNlY3JldA=="}]}  # AWS:secret


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(RECORDER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    record = tmp_path / "record"
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("FAILING", "")
    return record


def build() -> None:
    require_docker()
    Docker(Ecr()).build(SOURCES, IMAGE)


def test_logs_in_and_pushes_an_image_that_sagemaker_accepts(record: Path) -> None:
    build()
    lines = record.read_text().splitlines()
    registry = IMAGE.partition("/")[0]
    login = lines.index(f"login --username AWS --password-stdin {registry}")
    assert lines[login + 1] == "secret"
    (built,) = (line for line in lines if line.startswith("buildx build "))
    for needed in (
        "--platform linux/amd64 ",
        "--provenance=false --sbom=false ",
        f"--output type=image,name={IMAGE},oci-mediatypes=false,push=true ",
        "--file serving/Dockerfile ",
        "--build-arg REQUIREMENTS=requirements.txt ",
    ):
        assert needed in built
    assert {"./serving/Dockerfile", "./serving/requirements.txt"} <= set(lines)
    assert "./serving/requirements-tensorflow.txt" not in lines


@pytest.mark.parametrize("failing", ["info ", "buildx version", "login --username", "buildx build"])
def test_says_what_failed(
    record: Path, monkeypatch: pytest.MonkeyPatch, failing: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILING", failing)
    with pytest.raises(ImageError) as raised:
        build()
    assert failing.split()[0] in str(raised.value)
    assert "no daemon" in str(raised.value) + capfd.readouterr().err
    assert record.read_text().count("buildx build ") == (failing == "buildx build")


def test_a_machine_without_docker_is_told_of_codebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="without DOCKER=1"):
        build()
