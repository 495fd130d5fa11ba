"""The container as a process, with real models in both runtimes."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]


def pictures(count: int) -> Pixels:
    return np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def rows(batch: Pixels) -> list[dict[str, Any]]:
    return [{"image": {"b64": base64.b64encode(each.tobytes()).decode()}} for each in batch]


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container(SAGEMAKER_TFS_WAIT_TIME_SECONDS="300")
    for name in ("classifier", "plain", "several"):
        answer = started.load(name, artifacts / name)
        assert answer.status_code == 200, answer.text
    return started


def test_the_lightest_runtime_is_chosen(container: ContainerProcess) -> None:
    described = {
        name: container.http.get(f"/models/{name}").json()["model"]
        for name in ("classifier", "plain")
    }
    assert described["classifier"]["runtimes"] == {"1": "litert"}
    assert described["plain"]["runtimes"] == {"1": "tensorflow"}
    assert 0 < described["classifier"]["resident_bytes"] < 20_000_000
    assert "loaded model plain (): version 1 on tensorflow" in container.log.read_text()


@pytest.mark.parametrize("count", [1, 3, 17, 2])
def test_both_runtimes_give_the_same_answer(container: ContainerProcess, count: int) -> None:
    instances = rows(pictures(count))
    body = {"signature_name": "serving_default", "instances": instances}
    lite = container.invoke("classifier", body).json()["predictions"]
    full = container.invoke("plain", body).json()["predictions"]
    assert np.shape(lite) == (count, 4)
    np.testing.assert_allclose(lite, full, atol=1e-5)
    np.testing.assert_allclose(np.sum(lite, axis=1), 1, atol=1e-5)
    columns = {"inputs": {"image": [row["image"] for row in instances]}}
    for name in ("classifier", "plain"):
        np.testing.assert_allclose(
            container.invoke(name, columns).json()["outputs"], full, atol=1e-5
        )


def test_litert_takes_lists_of_pixels_too(container: ContainerProcess) -> None:
    batch = pictures(2)
    as_lists = container.invoke("classifier", {"instances": batch.tolist()})
    as_bytes = container.invoke("classifier", {"instances": rows(batch)})
    assert as_lists.json() == as_bytes.json()


@pytest.mark.parametrize("name", ["classifier", "plain"])
def test_bytes_of_the_wrong_length(container: ContainerProcess, name: str) -> None:
    answer = container.invoke(name, {"instances": [{"b64": base64.b64encode(b"abc").decode()}]})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert container.invoke(name, {"instances": rows(pictures(1))}).status_code == 200


def test_several_tensors_and_signatures(container: ContainerProcess) -> None:
    body: dict[str, Any] = {"instances": [{"numbers": [1, 2.5], "word": "cat"}]}
    assert container.invoke("several", body).json() == {
        "predictions": [{"sum": 3.5, "text": "CAT"}]
    }
    body = {"signature_name": "twice", "inputs": {"x": [1, 2]}}
    assert container.invoke("several", body).json() == {"outputs": [2, 4]}
    answer = container.invoke("several", {"signature_name": "twice", "instances": [1.5]})
    assert answer.status_code == 400


def test_broken_models_name_the_reason_and_harm_no_other(
    container: ContainerProcess, artifacts: Path, tmp_path: Path
) -> None:
    shutil.copytree(artifacts / "classifier", tmp_path / "lite")
    tflite = tmp_path / "lite" / "1" / "assets.extra" / "model.tflite"
    tflite.write_bytes(tflite.read_bytes()[:500])
    answer = container.load("lite", tmp_path / "lite")
    assert answer.status_code == 500
    assert "LiteRT cannot load model.tflite" in answer.json()["error"]
    shutil.copytree(artifacts / "plain", tmp_path / "full")
    (tmp_path / "full" / "1" / "saved_model.pb").write_bytes(b"nonsense")
    answer = container.load("full", tmp_path / "full")
    assert answer.status_code == 500
    assert "TensorFlow cannot load the SavedModel" in answer.json()["error"]
    assert container.invoke("classifier", {"instances": rows(pictures(1))}).status_code == 200
    assert set(container.http.get("/models").json()) == {"classifier", "plain", "several"}


def test_a_budget_too_small_answers_507(start_container: StartContainer, artifacts: Path) -> None:
    small = start_container(FACET_SERVING_MEMORY="8000000")
    assert small.load("classifier", artifacts / "classifier").status_code == 200
    answer = small.load("large", artifacts / "large")
    assert answer.status_code == 507
    assert "model large" in answer.json()["error"]
    answer = small.load("plain", artifacts / "plain")
    assert answer.status_code == 507
    assert "plain (TensorFlow itself)" in answer.json()["error"]
    assert small.invoke("classifier", {"instances": rows(pictures(1))}).status_code == 200


def test_a_stop_answers_the_request_in_flight(
    start_container: StartContainer, artifacts: Path
) -> None:
    stopped = start_container()
    stopped.load("classifier", artifacts / "classifier")
    address = (stopped.http.base_url.host, stopped.http.base_url.port or 0)
    body = str({"instances": pictures(1).tolist()}).replace("'", '"').encode()
    head = (
        f"POST /models/classifier/invoke HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(address, timeout=20) as line:
        line.sendall(head.encode() + body[:100])
        stopped.http.get("/ping")
        stopped.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            stopped.process.wait(0.5)
        line.sendall(body[100:])
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
    stopped.process.wait(20)


def test_a_bad_setting_is_one_clear_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "serving"],
        env={**os.environ, "FACET_SERVING_MEMORY": "2 GB"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "serving: FACET_SERVING_MEMORY must be a whole number, not '2 GB'\n"
