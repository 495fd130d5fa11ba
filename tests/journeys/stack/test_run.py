"""`make run`: what it prints, that it stops clean, and that a second start has lost nothing."""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, Running, command, environment, start

STOP_SECONDS = 8
"""A stop takes one second, and a start several: on a busy machine a stop may take half as long."""

VERSION = r"[0-9a-f]{12}"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    home = tmp_path_factory.mktemp("once")
    return subprocess.run(
        command(home, "--once"),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def test_once_prints_everything_in_order_and_exits(once: subprocess.CompletedProcess[str]) -> None:
    order = [
        r"^starting the stack",
        r"^API +http://127\.0\.0\.1:\d+$",
        r"^API key +\S{20,}$",
        r"^Page +http://127\.0\.0\.1:\d+/#key=\S{20,}$",
        rf"^backbone +{VERSION} +READY$",
        rf"^cifar +{VERSION} +READY$",
        rf"^sign-language +{VERSION} +READY$",
        r"^samples/images/\S+ +→ \S+ +[01]\.\d+ +\d+\.\d ms$",
        r"^curl ",
    ]
    position = 0
    for pattern in order:
        match = re.compile(pattern, re.MULTILINE).search(once.stdout, position)
        assert match, f"{pattern} is not there, or not in its place:\n{once.stdout}{once.stderr}"
        position = match.end()
    assert once.returncode == 0
    assert "serving" not in once.stdout


def test_sample_images_get_the_labels_in_their_names(
    once: subprocess.CompletedProcess[str],
) -> None:
    shown = re.findall(r"samples/images/\S+/(\S+?)-\S+ +→ (\S+)", once.stdout)
    assert len(shown) >= 2
    assert [label for _, label in shown] == [name for name, _ in shown]


def test_the_printed_curl_command_works(stack: Running) -> None:
    line = next(line for line in stack.printed if line.startswith("curl "))
    answer = subprocess.run(
        ["bash", "-c", f"{line} -s --fail"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert '"predictions":[{"label":' in answer.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_second_start_has_the_same_models_and_key(how: signal.Signals, tmp_path: Path) -> None:
    began = time.monotonic()
    first = start(tmp_path)
    started = time.monotonic()
    before = _models(first)
    key = first.address.api_key
    stopping = time.monotonic()
    assert first.stop(how) == (0 if how is signal.SIGINT else -how)
    assert time.monotonic() - stopping < max(STOP_SECONDS, (started - began) / 2)

    second = start(tmp_path)
    try:
        assert second.address.api_key == key
        assert _models(second) == before
    finally:
        assert second.stop() == 0
    assert not (tmp_path / "stack.json").exists()


def test_a_port_in_use_is_a_one_line_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = _run_once(tmp_path, FACET_PORT=str(port))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert f"port {port} is in use" in failed.stderr


def test_a_second_stack_in_the_same_folder_is_a_one_line_error(stack: Running) -> None:
    failed = _run_once(stack.home)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert f"a stack runs already at {stack.address.url} (process " in failed.stderr


def test_a_port_that_is_no_number_is_a_wrong_argument(tmp_path: Path) -> None:
    failed = _run_once(tmp_path, FACET_PORT="eighty")
    assert failed.returncode == 2
    assert "FACET_PORT" in failed.stderr
    assert "'eighty' is not a whole" in failed.stderr


def _run_once(home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(home, "--once"),
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def _models(running: Running) -> object:
    url, headers = f"{running.address.url}/models", {"x-api-key": running.address.api_key}
    return httpx.get(url, headers=headers, timeout=LONG).json()["models"]
