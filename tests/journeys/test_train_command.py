"""`make train`: from a folder of pictures to a model that answers, with a stack of its own."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stacks import ROOT, environment

HUES = {"green": (60, 200, 60), "red": (200, 60, 60)}
QUICK = ["epochs=8", "width=4", "dense=8", "image-size=16", "batch-size=8", "learning-rate=0.01"]


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """A folder of noisy pictures in two colours."""
    random = np.random.default_rng(1)
    for label, hue in HUES.items():
        (tmp_path / "lights" / label).mkdir(parents=True)
        for number in range(30):
            noise = random.integers(-50, 50, (24 + number, 40, 3))
            picture = Image.fromarray((noise + hue).astype(np.uint8))
            picture.save(tmp_path / "lights" / label / f"{number}.png")
    return tmp_path / "lights"


def train(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.train", *arguments, "--home", str(home)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_a_folder_of_pictures_becomes_a_model_that_answers(lights: Path, tmp_path: Path) -> None:
    quick = [word for each in QUICK for word in ("--set", each)]
    done = train(tmp_path / "home", "image-folder", str(lights), "--minimum", "0.8", *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    order = [
        r"^lights: 60 train pictures of 2 classes",
        r"^s3://\S+/datasets/lights/: .*60",
        r"^execution my-lights-",
        r"^channel=train pictures=\d+ skipped=0$",
        r"^epoch=1 loss=",
        r"^exported=1 ",
        r"^my-lights  [0-9a-f]{12}  READY$",
        r"^train/green/\S+ +green +→ green ",
        r"^train/red/\S+ +red +→ red ",
    ]
    position = 0
    for pattern in order:
        match = re.compile(pattern, re.MULTILINE).search(done.stdout, position)
        assert match, f"{pattern} is not there, or not in its place:\n{done.stdout}{done.stderr}"
        position = match.end()


def test_a_training_that_fails_says_why(lights: Path, tmp_path: Path) -> None:
    (lights / "blue").mkdir()
    Image.new("RGB", (30, 30), "blue").save(lights / "blue" / "only.png")
    done = train(tmp_path / "home", "image-folder", str(lights))
    assert done.returncode == 1
    assert "error: Class 'blue' has one picture" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: my-lights was not published: FAILED")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["image-folder", "nowhere"], 1, "nowhere"),
        (["image-folder"], 2, "DATA=DIR"),
        (["cifar10", "lights", "--set", "epochs"], 2, "NAME=VALUE"),
    ],
)
def test_wrong_words_are_one_clear_line(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    done = train(tmp_path, *arguments)
    assert done.returncode == code
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
