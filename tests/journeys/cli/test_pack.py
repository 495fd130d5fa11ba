"""A Keras file becomes a live model by the command line alone: `facet pack`, `push`, `predict`."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.support.stacks import Running

FACET = str(Path(sys.executable).with_name("facet"))
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image of each colour, and a network that says which colour an image has most of."""
    mean = keras.layers.GlobalAveragePooling2D()
    scores = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 3)), mean, scores])
    scores.set_weights([10 * np.eye(3), np.zeros(3)])
    model.save(tmp_path / "colours.keras")
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 10), colour).save(tmp_path / f"{name}.png")
    return tmp_path


def facet(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [FACET, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pack_push_predict(stack: Running, folder: Path) -> None:
    home = ("--home", str(stack.home))
    labels = ("--labels", ",".join(COLOURS), "--preprocessing", "unit", "--resize", "bilinear")
    golden = ("--golden", "red.png", "--golden-label", "red")
    facet(folder, "pack", "colours.keras", *labels, *golden, "--model", "colours", "--yes")
    pushed = facet(folder, "push", "model.tar.gz", *home)
    assert pushed.startswith("colours ")
    where = "on the endpoint and in the function"
    assert f": READY (proof: golden {where}), and live\n" in pushed
    answers = json.loads(facet(folder, "predict", "colours", "*.png", "--json", *home))
    said = {each["image"]: each["predictions"][0]["label"] for each in answers["results"]}
    assert said == {f"{name}.png": name for name in COLOURS}
    assert "colours" in facet(folder, "models", *home)
