"""A real training job that is killed: another job continues it, to the same bytes."""

import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from local.storage.state import State
from tests.integration.training.jobs.test_training_jobs import S3, Service, request
from tests.support.processes.waiting import wait_until
from training.package import pack_code

SETTINGS: dict[str, object] = {
    "recipe": "image-folder",
    "backbone": "cnn",
    "model": "lights",
    "dataset": "lights",
    "epochs": 12,
    "width": 4,
    "dense": 4,
    "image-size": 16,
    "batch-size": 8,
    "patience": 0,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The training service with Facet's own code, and noisy images of two colours."""
    random = np.random.default_rng(1)
    with ExitStack() as opened:
        state = State(tmp_path / "state")
        opened.callback(state.close)
        s3 = S3(state)
        s3.put("code/x/sourcedir.tar.gz", pack_code())
        for label, hue in {"green": (60, 200, 60), "red": (200, 60, 60)}.items():
            for number in range(12):
                noise = random.integers(-50, 50, (16, 16, 3))
                png = io.BytesIO()
                Image.fromarray((noise + hue).astype(np.uint8)).save(png, "PNG")
                s3.put(f"datasets/pets/train/{label}/{number}.png", png.getvalue())
        made = Service(tmp_path / "home", state, s3)
        opened.callback(lambda: made.jobs.close())
        yield made


def create(service: Service, name: str, checkpoints: str) -> None:
    given = request(name, "")["HyperParameters"]
    del given["what"]
    values = {each: json.dumps(value) for each, value in SETTINGS.items()}
    service.create(
        name,
        "",
        HyperParameters=given | values,
        CheckpointConfig={"S3Uri": f"s3://bucket/training/e/m/checkpoints/{checkpoints}"},
    )


def kill_job() -> None:
    """Kills the process that trains, a child of this one."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True
    )
    (pid,) = [
        int(pid)
        for pid, parent, command in (line.split(None, 2) for line in listed.stdout.splitlines())
        if int(parent) == os.getpid() and "training/train.py" in command
    ]
    os.kill(pid, signal.SIGKILL)


def artifact(service: Service, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The weights and the LiteRT model of a job, and its manifest without the times.

    A saved_model.pb is another one each time: TensorFlow numbers functions as it pleases.
    """
    packed = service.object(f"training/e/m/{name}/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar}
        contents = {each: file.read() for each, file in files.items() if file}
    manifest = json.loads(contents.pop("facet.json"))
    for each in ("date", "training_seconds"):
        del manifest["provenance"][each]
    same = {each for each in contents if "variables.data" in each or each.endswith(".tflite")}
    assert len(same) == 2
    return {each: contents[each] for each in same}, manifest


def test_a_killed_job_ends_with_the_bytes_of_an_undisturbed_one(service: Service) -> None:
    create(service, "killed", "1")
    wait_until(lambda: any(line.startswith("epoch=2 ") for line in service.lines))
    kill_job()
    assert service.end("killed")["FailureReason"] == (
        "AlgorithmError: killed (out of memory?), exit code: 137"
    )
    service.lines.clear()
    create(service, "continued", "1")
    assert service.end("continued")["TrainingJobStatus"] == "Completed", service.lines
    assert any(line.startswith("resumed=1 epochs_done=") for line in service.lines)
    assert not any(line.startswith("epoch=1 ") for line in service.lines)
    create(service, "undisturbed", "2")
    assert service.end("undisturbed")["TrainingJobStatus"] == "Completed", service.lines
    assert artifact(service, "continued") == artifact(service, "undisturbed")
