"""`facet train`: from a folder of images to a model that answers, with the real training code.

`make train` is that with three options.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.stacks import DEPLOYED, ROOT, RUN, Reached, environment

HUES = {"green": (60, 200, 60), "red": (200, 60, 60)}
NETWORK = ["backbone=cnn", "width=4", "dense=8", "image-size=16"]
QUICK = [*NETWORK, "epochs=8", "batch-size=8", "learning-rate=0.01"]

TRAINING_SECONDS = 1800 if DEPLOYED else 900


def quick() -> list[str]:
    """Options for a training that takes seconds."""
    return [word for each in QUICK for word in ("--set", each)]


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """A folder of noisy images in two colours."""
    random = np.random.default_rng(1)
    for label, hue in HUES.items():
        (tmp_path / "lights" / label).mkdir(parents=True)
        for number in range(30):
            noise = random.integers(-50, 50, (24 + number, 40, 3))
            image = Image.fromarray((noise + hue).astype(np.uint8))
            image.save(tmp_path / "lights" / label / f"{number}.png")
    return tmp_path / "lights"


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    facet = [str(Path(sys.executable).with_name("facet")), "train", "--upload", "--ask"]
    return subprocess.run(
        [*facet, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TRAINING_SECONDS,
    )


def test_a_stack_trains_publishes_and_answers(
    api: httpx.Client, reached: Reached, lights: Path
) -> None:
    model = f"{RUN}-lights"
    names = ["--model", model, "--name", model]
    done = train(
        "image-folder", str(lights), *names, "--minimum", "0.8", *quick(), *reached.options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = api.post(
        f"/models/{model}/predict", content=next((lights / "red").iterdir()).read_bytes()
    )
    assert answer.json()["predictions"][0]["label"] == "red"
    reached.delete(f"mme/{model}/", f"datasets/{model}/")


def test_a_folder_of_images_becomes_a_model_that_answers(lights: Path, tmp_path: Path) -> None:
    own = ["--up", "--home", os.path.relpath(tmp_path / "home", ROOT)]
    done = train("image-folder", str(lights), "--minimum", "0.8", *quick(), *own)
    assert done.returncode == 0, done.stdout + done.stderr
    follow_each_other(
        done.stderr,
        r"^started a stack at http://127.0.0.1:",
        r"^lights: 60 train images of 2 classes",
        r"^s3://\S+/datasets/lights/: 60 uploaded",
        r"^lights: execution lights-",
        r"^lights: channel=train images=\d+ skipped=0$",
        r"^lights: epoch=1 loss=",
        r"^lights: exported=1 ",
    )
    follow_each_other(
        done.stdout,
        r"^lights [0-9a-f]{12}: READY, and live$",
        r"^image +label ",
        r"^train/green/\S+ +green ",
        r"^train/red/\S+ +red ",
    )


def follow_each_other(text: str, *patterns: str) -> None:
    position = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(text, position)
        assert match, f"{pattern} is not there, or not in its place:\n{text}"
        position = match.end()


def test_a_data_set_that_cannot_be_trained_on_is_refused_before_the_upload(
    lights: Path, tmp_path: Path
) -> None:
    (lights / "blue").mkdir()
    Image.new("RGB", (30, 30), "blue").save(lights / "blue" / "only.png")
    done = train("image-folder", str(lights), "--up", "--home", str(tmp_path / "home"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: class 'blue' has one image; two are needed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_source_is_one_error_line(tmp_path: Path) -> None:
    done = train("image-folder", "nowhere", "--up", "--home", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: nowhere: no such folder or zip"
