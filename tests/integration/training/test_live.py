"""The live version answers the images of a new job, with its own preprocessing and labels."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from facet.specs import InputSpec
from training.dataset import Dataset, ImageSet
from training.evaluate import Evaluation
from training.export.export import ModelInfo, export
from training.live import Comparison, compare

COLOURS = {"blue": (20, 30, 220), "green": (30, 220, 20), "red": (220, 20, 30)}
LABELS = tuple(COLOURS)
OWN = ("red", "green", "blue")
"""The live model's labels: its logits are the means of the channels, in this order."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    spec = InputSpec(tensor="image", encoding="uint8", height=5, width=4, scale=1 / 255)
    image = keras.Input((5, 4, 3))
    network = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image) * 1.0)
    info = ModelInfo("colours", "", OWN, {}, {})
    proof = np.zeros((1, 5, 4, 3), np.uint8)
    export(network, spec, info, proof=proof, folder=folder / "files")
    return packed(folder / "files", folder / "0123456789ab.tar.gz")


def packed(folder: Path, target: Path, **changes: object) -> Path:
    """The artifact of the files in `folder`, with another manifest or, for `1`, without LiteRT."""
    with tarfile.open(target, "w:gz") as tar:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = path.relative_to(folder).as_posix()
            if name.endswith(".tflite") and "lite" in changes:
                continue
            content = path.read_bytes()
            if name == "facet.json":
                own = {key: value for key, value in changes.items() if key != "lite"}
                content = json.dumps(json.loads(content) | own).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target


def data(folder: Path) -> Dataset:
    """Six images, of which the last, a green one, has the label red."""
    classes = np.array([0, 0, 1, 1, 2, 2])
    files = []
    for number, index in enumerate([0, 0, 1, 1, 2, 1]):
        files.append(folder / f"{number}.png")
        Image.new("RGB", (31, 17), COLOURS[LABELS[index]]).save(files[-1])
    images = ImageSet(np.zeros((6, 8, 8, 3), np.uint8), classes, files=tuple(files))
    return Dataset(LABELS, images, images, images)


def answers(*classes: int) -> dict[str, Evaluation]:
    scores = np.log(np.eye(3, dtype=np.float32)[list(classes)] * 0.9 + 0.05)
    return {"test": Evaluation.of(scores, np.array([0, 0, 1, 1, 2, 2]))}


def test_both_models_answer_the_same_images(artifact: Path, tmp_path: Path) -> None:
    """The new one is right about the first two and the last, the live one about all but that."""
    found = compare(artifact, data(tmp_path), answers(0, 0, 0, 0, 0, 2))
    assert found.provenance == {"compared_with": "0123456789ab", "compared_on": "test"}
    assert found.metrics == {
        "live_accuracy": 0.8333,
        "live_balanced_accuracy": 0.8333,
        "live_images": 6,
        "live_correct": 5,
        "live_accuracy_low": 0.4365,
        "live_accuracy_high": 0.9699,
        "only_new_correct": 1,
        "only_live_correct": 3,
    }


def test_validation_images_are_used_if_there_are_no_others(artifact: Path, tmp_path: Path) -> None:
    evaluations = {"validation": answers(0, 0, 1, 1, 2, 1)["test"]}
    found = compare(artifact, data(tmp_path), evaluations)
    assert found.provenance["compared_on"] == "validation"
    assert (found.metrics["only_new_correct"], found.metrics["only_live_correct"]) == (0, 0)


INCOMPARABLE: dict[str, dict[str, Any]] = {
    "has other labels": {"labels": ["red", "green", "violet"], "golden": None},
    "has no LiteRT model": {"lite": False},
    "takes uint8 in LiteRT instead of float32": {
        "input": {"tensor": "image", "height": 5, "width": 4}
    },
    "cannot be loaded by LiteRT": {
        "input": {"tensor": "other", "encoding": "uint8", "height": 5, "width": 4}
    },
    "cannot be run by LiteRT": {"output": {"tensor": "other"}},
}


@pytest.mark.parametrize("reason", INCOMPARABLE)
def test_a_version_that_cannot_answer_is_named_with_the_reason(
    reason: str, artifact: Path, tmp_path: Path
) -> None:
    changed = packed(artifact.parent / "files", tmp_path / "9.tar.gz", **INCOMPARABLE[reason])
    found = compare(changed, data(tmp_path), answers(0, 0, 1, 1, 2, 2))
    assert found.metrics == {}
    assert found.provenance["not_compared"].startswith(f"the live version 9 {reason}")


def test_a_first_version_is_compared_with_nothing(tmp_path: Path) -> None:
    assert compare(None, data(tmp_path), answers(0, 0, 1, 1, 2, 2)) == Comparison()
