"""`training/train.py` as script mode runs it: a process of its own, from the packed sources."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from facet import preprocess
from facet.image import decode
from facet.manifest import Manifest
from local.training import TrainingFailed, TrainingJob, pack_code, run

HUES = {"green": (60, 200, 60), "red": (200, 60, 60)}


def folders(root: Path, counts: dict[str, int]) -> dict[str, Path]:
    """Channels of noisy pictures in two colours, of several sizes and formats."""
    random = np.random.default_rng(1)
    for channel, count in counts.items():
        for label, hue in HUES.items():
            (root / channel / label).mkdir(parents=True)
            for number in range(count):
                noise = random.integers(-50, 50, (24 + number, 40, 3))
                picture = Image.fromarray((noise + hue).astype(np.uint8))
                suffix = ("jpg", "png", "webp")[number % 3]
                picture.save(root / channel / label / f"{number}.{suffix}")
    return {channel: root / channel for channel in counts}


def job(channels: dict[str, Path], **hyperparameters: str) -> TrainingJob:
    given = {"recipe": "cifar10", "epochs": "1", "batch-size": "4"} | hyperparameters
    return TrainingJob("test", pack_code(), given, channels)


def test_a_job_makes_an_artifact_that_answers(tmp_path: Path) -> None:
    channels = folders(tmp_path / "data", {"train": 8, "test": 3})
    (channels["train"] / "red" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    lines: list[str] = []
    tarball = run(job(channels, model="lights"), tmp_path / "ml", lines.append)

    with tarfile.open(tarball) as tar:
        assert tar.getnames()[0] == "facet.json"
        assert "1/saved_model.pb" in tar.getnames()
        tar.extractall(tmp_path / "artifact", filter="data")
    artifact = tmp_path / "artifact"
    manifest = Manifest.model_validate_json((artifact / "facet.json").read_bytes())
    assert (manifest.model, manifest.labels) == ("lights", ("green", "red"))
    assert manifest.provenance["pictures"] == "train=14 validation=2 test=6"
    assert str(tmp_path) not in manifest.to_json()

    report = json.loads((tmp_path / "ml/output/data/metrics.json").read_text())
    assert report["metrics"] == manifest.metrics
    assert report["skipped"] == 1
    assert set(manifest.metrics) >= {"validation_accuracy", "test_accuracy"}
    assert any(line.startswith("skipped=red/broken.jpg") for line in lines)
    assert sum(line.startswith("epoch=1 loss=") for line in lines) == 1

    assert manifest.golden
    picture = decode((artifact / manifest.golden.image).read_bytes())
    model = (artifact / "1/assets.extra/model.tflite").read_bytes()
    runner = Interpreter(model_content=model).get_signature_runner(manifest.input.signature)
    pixels = preprocess.apply(manifest.input, picture)[None]
    scores = runner(**{manifest.input.tensor: pixels})[manifest.output.tensor][0]
    assert manifest.labels[scores.argmax()] == manifest.golden.label
    assert scores.max() == pytest.approx(manifest.golden.score, abs=manifest.golden.tolerance)


def test_a_job_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    channels = folders(tmp_path / "data", {"train": 2, "validation": 1})
    (channels["validation"] / "purple").mkdir()
    with pytest.raises(TrainingFailed, match=r"error: .*'purple', which channel 'train' lacks"):
        run(job(channels), tmp_path / "ml", lambda _: None)
    assert not (tmp_path / "ml/model.tar.gz").exists()
