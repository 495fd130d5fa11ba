"""The images of `facet pack --quantize`: which judge, and which set the scales of int8."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.pack.errors import CannotPack
from cli.pack.lite.images import opened
from facet.manifest import Manifest
from facet.specs import InputSpec, OutputSpec
from training.data.layout import SourceError

LABELS = ("a", "b", "c")
MANIFEST = Manifest(
    schema=1,
    labels=LABELS,
    input=InputSpec(tensor="image", height=2, width=3, scale=1 / 255),
    output=OutputSpec(tensor="scores"),
)


def draw(folder: Path, each: int) -> Path:
    for value, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (5, 5), (value, number, 0)).save(folder / label / f"{number}.png")
    return folder


def test_a_data_set_has_channels_for_both(tmp_path: Path) -> None:
    for name, each in (("train", 3), ("validation", 1), ("test", 2)):
        draw(tmp_path / name, each)
    with opened(tmp_path, MANIFEST, examples=True) as images:
        ((pixels, classes),) = images.batches()
        inputs = images.inputs()
    assert images.channel == "test"
    assert pixels.shape == (6, 2, 3, 3)
    assert pixels.dtype == np.uint8
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    assert pixels[:, 0, 0, 0].tolist() == classes.tolist()
    assert len(inputs) == 9
    assert inputs[0].shape == (2, 3, 3)
    assert inputs[0].dtype == np.float32
    assert inputs[-1].max() == pytest.approx(2 / 255), "as the model takes them"


def test_of_one_folder_no_example_judges(tmp_path: Path) -> None:
    draw(tmp_path, 4)
    with opened(tmp_path, MANIFEST, examples=False) as images:
        assert (len(images.judges), len(images.examples), images.channel) == (12, 0, "")
    with opened(tmp_path, MANIFEST, examples=True) as images:
        judges = {each.path for each in images.judges}
        examples = {each.path for each in images.examples}
    assert (len(judges), len(examples), judges & examples) == (6, 6, set())
    with opened(tmp_path, MANIFEST, examples=True) as again:
        assert {each.path for each in again.examples} == examples


def test_folders_must_be_labels(tmp_path: Path) -> None:
    draw(tmp_path, 1)
    (tmp_path / "c").rename(tmp_path / "zebra")
    problem = "none of the model's labels: zebra. Name each folder for a label: a, b, c"
    with pytest.raises(CannotPack, match=problem), opened(tmp_path, MANIFEST, examples=False):
        pass


def test_files_that_are_no_images_are_skipped_unless_all_are(tmp_path: Path) -> None:
    draw(tmp_path / "some", 1)
    (tmp_path / "some/b/broken.png").write_bytes(b"no image")
    with opened(tmp_path / "some", MANIFEST, examples=False) as images:
        ((pixels, _),) = images.batches()
    assert len(pixels) == 3
    (skipped,) = images.skipped
    assert skipped.startswith("b/broken.png: ")
    (tmp_path / "none/a").mkdir(parents=True)
    (tmp_path / "none/a/1.png").write_bytes(b"no image")
    with (
        opened(tmp_path / "none", MANIFEST, examples=False) as images,
        pytest.raises(CannotPack, match=r"none of 1 images can be read; a/1\.png: "),
    ):
        [*images.batches()]


def test_one_image_cannot_be_an_example_and_judge(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "a/1.png")
    with pytest.raises(CannotPack, match="one image"), opened(tmp_path, MANIFEST, examples=True):
        pass


def test_images_outside_of_folders_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "1.png")
    with (
        pytest.raises(SourceError, match="no class folders"),
        opened(tmp_path, MANIFEST, examples=False),
    ):
        pass
