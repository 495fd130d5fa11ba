"""The container as a process, with real models in both runtimes."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.artifact import versions
from serving.runtimes.litert import LiteRT
from serving.runtimes.saved_model import SavedModel
from tests.support.processes.waiting import LONG

Pixels = NDArray[np.uint8]
ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]
SAMPLES = Path(__file__).parents[3] / "samples"
BATCHABLE = {"classifier", "plain", "words", "shards"}


def images(count: int) -> Pixels:
    return np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def rows(batch: Pixels) -> list[dict[str, Any]]:
    return [{"image": {"b64": base64.b64encode(each.tobytes()).decode()}} for each in batch]


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container()
    for name in ("classifier", "plain", "several"):
        answer = started.load(name, artifacts / name)
        assert answer.status_code == 200, answer.text
    return started


def test_chooses_the_lightest_runtime(container: ContainerProcess) -> None:
    described = {
        name: container.http.get(f"/models/{name}").json()["model"]
        for name in ("classifier", "plain")
    }
    assert described["classifier"]["runtimes"] == {"1": "litert"}
    assert described["plain"]["runtimes"] == {"1": "tensorflow"}
    assert 0 < described["classifier"]["resident_bytes"] < 20_000_000
    assert "loaded model plain (plain): version 1 on tensorflow" in container.log.read_text()


@pytest.mark.parametrize("count", [1, 3, 17, 2])
def test_both_runtimes_give_the_same_answer(container: ContainerProcess, count: int) -> None:
    instances = rows(images(count))
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


def test_litert_accepts_lists_of_pixels(container: ContainerProcess) -> None:
    batch = images(2)
    as_lists = container.invoke("classifier", {"instances": batch.tolist()})
    as_bytes = container.invoke("classifier", {"instances": rows(batch)})
    assert as_lists.json() == as_bytes.json()


@pytest.fixture
def unload() -> Iterator[ExitStack]:
    """Unloads a test's own models, also when it fails."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_quantised_model_takes_and_gives_real_numbers(
    container: ContainerProcess, artifacts: Path, unload: ExitStack, dtype: str
) -> None:
    name = f"quantised-{dtype}"
    for each in ("floats", name):
        container.load(each, artifacts / each)
        unload.callback(container.http.delete, f"/models/{each}")
    assert container.http.get(f"/models/{name}").json()["model"]["runtimes"] == {"1": "litert"}
    pixels = images(17)
    as_floats: dict[str, Any] = {"instances": pixels.astype(float).tolist()}
    lite = container.invoke(name, as_floats).json()["predictions"]
    full = container.invoke("floats", as_floats).json()["predictions"]
    np.testing.assert_allclose(lite, full, atol=0.15)  # two steps of the output
    columns = container.invoke(name, {"inputs": as_floats["instances"]})
    assert columns.json()["outputs"] == lite
    raw = container.invoke(name, {"instances": rows(pixels)})
    if dtype == "uint8":  # raw bytes are the file's integers, and here those are pixels
        np.testing.assert_allclose(raw.json()["predictions"], lite, atol=0.15)
    else:
        assert raw.status_code == 400


@pytest.mark.parametrize("name", ["classifier", "plain"])
def test_bytes_of_the_wrong_length_are_400(container: ContainerProcess, name: str) -> None:
    answer = container.invoke(name, {"instances": [{"b64": base64.b64encode(b"abc").decode()}]})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert container.invoke(name, {"instances": rows(images(1))}).status_code == 200


def test_several_tensors_and_signatures(container: ContainerProcess) -> None:
    body: dict[str, Any] = {"instances": [{"numbers": [1, 2.5], "word": "cat"}]}
    assert container.invoke("several", body).json() == {
        "predictions": [{"sum": 3.5, "text": "CAT"}]
    }
    body = {"signature_name": "twice", "inputs": {"x": [1, 2]}}
    assert container.invoke("several", body).json() == {"outputs": [2, 4]}
    answer = container.invoke("several", {"signature_name": "twice", "instances": [1.5]})
    assert answer.status_code == 400


def break_lite(source: Path, folder: Path) -> Path:
    """A copy of an artifact whose LiteRT model ends too early."""
    shutil.copytree(source, folder)
    tflite = folder / "1" / "assets.extra" / "model.tflite"
    tflite.write_bytes(tflite.read_bytes()[:500])
    return folder


def test_tensorflow_serves_a_model_that_litert_cannot_load(
    container: ContainerProcess, artifacts: Path, tmp_path: Path
) -> None:
    answer = container.load("half", break_lite(artifacts / "classifier", tmp_path / "half"))
    assert answer.status_code == 200, answer.text
    assert container.http.get("/models/half").json()["model"]["runtimes"] == {"1": "tensorflow"}
    log = container.log.read_text()
    assert "loading model half (half) on TensorFlow instead: LiteRT cannot load model.tflite" in log
    body = {"instances": rows(images(2))}
    assert container.invoke("half", body).json() == container.invoke("plain", body).json()
    assert container.http.delete("/models/half").status_code == 200


def test_names_the_reasons_of_both_runtimes(
    container: ContainerProcess, artifacts: Path, tmp_path: Path
) -> None:
    broken = break_lite(artifacts / "classifier", tmp_path / "both")
    (broken / "1" / "saved_model.pb").write_bytes(b"nonsense")
    answer = container.load("both", broken)
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert "LiteRT cannot load model.tflite" in error
    assert "TensorFlow cannot load the SavedModel" in error
    (broken / "1" / "saved_model.pb").unlink()
    error = container.load("both", broken).json()["error"]
    assert "LiteRT cannot load model.tflite" in error
    assert "TensorFlow" not in error


def test_a_broken_litert_model_without_tensorflow_is_500(
    start_container: StartContainer, artifacts: Path, tmp_path: Path
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('not here')")
    bare = start_container(PYTHONPATH=str(tmp_path))
    answer = bare.load("half", break_lite(artifacts / "classifier", tmp_path / "half"))
    assert answer.status_code == 500
    assert "LiteRT cannot load model.tflite" in answer.json()["error"]
    assert "TensorFlow is not installed here" in answer.json()["error"]


@pytest.mark.parametrize(
    "file",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
)
@pytest.mark.parametrize("what", ["gone", "empty", "short", "nonsense"])
def test_a_broken_saved_model_is_500_and_affects_no_other(
    container: ContainerProcess, artifacts: Path, tmp_path: Path, file: str, what: str
) -> None:
    shutil.copytree(artifacts / "plain", tmp_path / "broken")
    broken = tmp_path / "broken" / "1" / file
    content = broken.read_bytes()
    if what == "gone":
        broken.unlink()
    else:
        parts = {"empty": b"", "short": content[: len(content) // 2], "nonsense": b"\xff" * 999}
        broken.write_bytes(parts[what])
    answer = container.load("broken", tmp_path / "broken")
    assert answer.status_code == 500
    reason = "Model broken cannot be loaded: TensorFlow cannot load the SavedModel: .{5,}"
    assert re.fullmatch(reason, answer.json()["error"])
    for name in ("classifier", "plain"):
        assert container.invoke(name, {"instances": rows(images(1))}).status_code == 200
    assert set(container.http.get("/models").json()) == {"classifier", "plain", "several"}


def test_a_model_that_rejects_inputs_gives_the_reason_each_time(
    container: ContainerProcess, artifacts: Path
) -> None:
    """LiteRT's interpreter repeats all its earlier errors in each new one."""
    container.load("hungry-lite", artifacts / "hungry-lite")
    answers = {container.invoke("hungry-lite", {"instances": [-2]}).text for _ in range(400)}
    assert len(answers) == 1
    assert "LiteRT: " in answers.pop()
    assert container.invoke("hungry-lite", {"instances": [2]}).status_code == 200
    container.http.delete("/models/hungry-lite")


def test_only_signatures_with_any_number_of_rows_are_batchable(artifacts: Path) -> None:
    def batchable(name: str) -> bool:
        (version,) = versions(artifacts / name, name)
        runtime = LiteRT(version.source, 1) if version.lite else SavedModel(version.source, 1)
        (found,) = (each.batchable for each in runtime.signatures.values())
        runtime.close()
        return found

    assert {
        name for name in BATCHABLE | {"hungry", "hungry-lite", "waiting"} if batchable(name)
    } == (BATCHABLE)


def test_a_budget_that_is_too_small_is_507(
    start_container: StartContainer, artifacts: Path
) -> None:
    small = start_container(FACET_SERVING_MEMORY="8000000")
    assert small.load("classifier", artifacts / "classifier").status_code == 200
    answer = small.load("large", artifacts / "large")
    assert answer.status_code == 507
    assert "model large" in answer.json()["error"]
    answer = small.load("plain", artifacts / "plain")
    assert answer.status_code == 507
    assert "plain (TensorFlow itself)" in answer.json()["error"]
    assert small.invoke("classifier", {"instances": rows(images(1))}).status_code == 200


def test_sigterm_answers_the_request_in_flight(
    start_container: StartContainer, artifacts: Path
) -> None:
    stopped = start_container()
    stopped.load("classifier", artifacts / "classifier")
    address = (stopped.http.base_url.host, stopped.http.base_url.port or 0)
    body = str({"instances": images(1).tolist()}).replace("'", '"').encode()
    head = (
        f"POST /models/classifier/invoke HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(address, timeout=LONG) as line:
        line.sendall(head.encode() + body[:100])
        stopped.http.get("/ping")
        stopped.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            stopped.process.wait(0.5)
        line.sendall(body[100:])
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
    stopped.process.wait(LONG)


def test_an_invalid_setting_is_a_one_line_error() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "serving"],
        env={**os.environ, "FACET_SERVING_MEMORY": "2 GB"},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "serving: FACET_SERVING_MEMORY must be a whole number, not '2 GB'\n"


FIRST_ANSWERS = """
import sys
from pathlib import Path
from serving.runtimes.litert import LiteRT
from serving.memory import private_bytes
models = [LiteRT(Path(sys.argv[1]), 1) for _ in range(20)]
before = private_bytes()
for model in models:
    for name, signature in model.signatures.items():
        model.predict(name, {key: each.one() for key, each in signature.inputs.items()})
print(private_bytes() - before)
"""


def test_a_litert_model_has_all_its_memory_once_loaded(tmp_path: Path) -> None:
    """Without a first computation there, 20 of them grow by 600 kB with their first answers."""
    with tarfile.open(SAMPLES / "cifar.tar.gz") as artifact:
        artifact.extractall(tmp_path, filter="data")
    (model,) = tmp_path.rglob("model.tflite")
    ran = subprocess.run(
        [sys.executable, "-c", FIRST_ANSWERS, str(model)],
        check=True,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert int(ran.stdout) < 200_000
