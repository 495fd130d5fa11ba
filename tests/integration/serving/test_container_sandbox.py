"""The container runs as it promises: its own files and packages, nothing else, and less may fail.

Without Docker: a sandbox has the files that serving/Dockerfile copies and the packages that it
installs, a read-only root, an unprivileged user, and no network but its own loopback.
"""

import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.container.dockerfile import Image, lay_out
from tests.support.processes import sandbox
from tests.support.processes.environments import environment

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "serving/Dockerfile").read_text()
INSIDE = Path(__file__).with_name("inside_container.py")
MODELS = "/opt/ml/models"
TMP = ("--tmpfs", "/tmp")
BLACK = {"instances": [{"image": {"b64": base64.b64encode(bytes(8 * 8 * 3)).decode()}}]}

Layout = tuple[Image, Path]  # and the Python with its packages


def laid_out(folder: Path, requirements: str, text: str = DOCKERFILE) -> Image:
    return lay_out(text, ROOT, folder / "image", REQUIREMENTS=requirements)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The image that a deploy uses."""
    return _installed(tmp_path_factory.mktemp("full"), "requirements-tensorflow.txt")


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return _installed(tmp_path_factory.mktemp("lite"), "requirements.txt")


def _installed(folder: Path, requirements: str) -> Layout:
    if reason := sandbox.missing():
        pytest.skip(reason)
    image = laid_out(folder, requirements)
    if image.python != f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"the container has Python {image.python}")
    packages = ("--require-hashes", "--requirement", image.requirements)
    return image, environment(f"container-{Path(requirements).stem}", packages)


@pytest.fixture(scope="module")
def outside() -> Iterator[int]:
    """The port of a server outside the sandbox."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        yield port


def run(
    image: Image,
    python: Path,
    models: Path,
    requests: list[tuple[Any, ...]],
    port: int,
    mounts: tuple[str, ...] = TMP,
) -> subprocess.CompletedProcess[str]:
    """Run inside_container.py in the sandbox."""
    code = image.folder / image.workdir.lstrip("/")
    environ = {"PATH": "/opt/python/bin:/usr/bin:/bin", **image.environment}
    command = sandbox.command(
        *("--ro-bind", str(code), image.workdir, "--chdir", image.workdir),
        *("--ro-bind", str(python.parents[1]), "/opt/python"),
        *("--ro-bind", str(models), MODELS, "--ro-bind", str(INSIDE), "/opt/inside.py", *mounts),
        *(part for each in environ.items() for part in ("--setenv", *each)),
    )
    connect = [("127.0.0.1", port), ("192.0.2.1", 443), ("169.254.169.254", 80)]
    plan = {"command": image.command, "requests": requests, "connect": connect}
    return subprocess.run(
        [*command, "python", "/opt/inside.py", json.dumps(plan)],
        capture_output=True,
        text=True,
        timeout=900,
    )


def load(name: str) -> tuple[Any, ...]:
    return "POST", "/models", {"model_name": name, "url": f"{MODELS}/{name}"}


def test_the_container_serves_with_one_writable_folder_and_no_network(
    full: Layout, artifacts: Path, outside: int
) -> None:
    requests = []
    for name in ("classifier", "plain"):
        requests += [load(name), ("GET", f"/models/{name}")]
        requests += [("POST", f"/models/{name}/invoke", BLACK), ("DELETE", f"/models/{name}")]
    done = run(*full, artifacts, [*requests, ("GET", "/models")], outside)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    statuses, bodies = zip(*report["answers"], strict=True)
    assert set(statuses) == {200}, bodies
    assert '"1":"litert"' in bodies[1]
    assert '"1":"tensorflow"' in bodies[5]
    for predicted in (bodies[2], bodies[6]):
        assert json.loads(predicted)["predictions"] == [pytest.approx([0.25] * 4)]
    assert json.loads(bodies[-1]) == {}
    state = f"/tmp/facet-serving-{sandbox.UID}"
    assert report["writable"] == ["/tmp", state]
    assert {str(Path(each).parent) for each in report["written"]} == {state}
    assert report["reached"] == []
    assert (report["user"], report["capabilities"]) == (sandbox.UID, 0)
    assert report["status"] == -signal.SIGTERM  # uvicorn ends with the signal, after the requests
    assert full[0].user not in ("root", "0")
    assert "will not be refused" not in done.stderr


def test_the_container_serves_if_it_can_write_nothing(
    lite: Layout, artifacts: Path, outside: int
) -> None:
    requests = [load("classifier"), ("POST", "/models/classifier/invoke", BLACK), load("plain")]
    done = run(*lite, artifacts, requests, outside, mounts=())
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [status for status, _ in report["answers"]] == [200, 200, 500]
    assert "TensorFlow is not installed here" in report["answers"][2][1]
    assert report["writable"] == []
    assert "models that end the process will not be refused" in done.stderr


@pytest.mark.parametrize("part", ["", "litert/", "runtimes/", "guard/", "rest/"])
def test_a_folder_that_is_not_copied_is_noticed(
    lite: Layout, artifacts: Path, outside: int, tmp_path: Path, part: str
) -> None:
    line = f"COPY serving/{part}*.py /opt/facet/serving/{part}\n"
    assert line in DOCKERFILE
    image = laid_out(tmp_path, "requirements.txt", DOCKERFILE.replace(line, ""))
    done = run(image, lite[1], artifacts, [], outside)
    assert done.returncode != 0
    assert "No module named" in done.stderr
