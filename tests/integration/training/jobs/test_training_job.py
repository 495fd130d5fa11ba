"""`training/train.py` in script mode: a separate process that runs the packed sources."""

import contextlib
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from facet import preprocess
from facet.artifact import archive, validation
from facet.features import distance
from facet.heads.maps import averages
from facet.manifest import BackboneManifest, Manifest
from local.training import TrainingFailed, TrainingJob, pack_code, run
from local.training.layout import PROGRAM

HUES = {"green": (60, 200, 60), "red": (200, 60, 60)}


def folders(root: Path, counts: dict[str, int]) -> dict[str, Path]:
    """Channels of noisy images in two colours, of several sizes and formats."""
    random = np.random.default_rng(1)
    for channel, count in counts.items():
        for label, hue in HUES.items():
            (root / channel / label).mkdir(parents=True)
            for number in range(count):
                noise = random.integers(-50, 50, (24 + number, 40, 3))
                image = Image.fromarray((noise + hue).astype(np.uint8))
                suffix = ("jpg", "png", "webp")[number % 3]
                image.save(root / channel / label / f"{number}.{suffix}")
    return {channel: root / channel for channel in counts}


def job(channels: dict[str, Path], **hyperparameters: str) -> TrainingJob:
    small = {"recipe": "cifar10", "epochs": "1", "batch-size": "4", "dense": "8"}
    if "backbone" not in hyperparameters:
        small["width"] = "4"
    return TrainingJob("test", pack_code(), small | hyperparameters, channels)


def history(root: Path) -> dict[str, list[float]]:
    """The measures of each epoch, without durations."""
    document = json.loads((root / "output/data/metrics.json").read_text())
    return {name: values for name, values in document["history"].items() if name != "seconds"}


def test_a_job_produces_a_working_artifact(tmp_path: Path) -> None:
    channels = folders(tmp_path / "data", {"train": 8, "test": 3})
    (channels["train"] / "red" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    lines: list[str] = []
    forgiving = {"max-unreadable": "0.1", "validation-share": "0.2"}
    tarball = run(job(channels, model="lights", **forgiving), tmp_path / "ml", lines.append)

    with tarfile.open(tarball) as tar:
        assert tar.getnames()[0] == "facet.json"
        assert "1/saved_model.pb" in tar.getnames()
        tar.extractall(tmp_path / "artifact", filter="data")
    artifact = tmp_path / "artifact"
    manifest = Manifest.model_validate_json((artifact / "facet.json").read_bytes())
    assert (manifest.model, manifest.labels) == ("lights", ("green", "red"))
    assert manifest.provenance["images"] == "train=13 validation=3 test=6"
    assert str(tmp_path) not in manifest.to_json()

    report = json.loads((tmp_path / "ml/output/data/metrics.json").read_text())
    assert report["metrics"] == manifest.metrics
    assert report["skipped"] == 1
    calibration = report["calibration"]
    assert calibration["fitted_on"] == "test"
    assert manifest.metrics["temperature"] == calibration["temperature"]
    for drawn in ("learning_curves", "confusion_validation", "confusion_test", "reliability_test"):
        assert (tmp_path / f"ml/output/data/{drawn}.png").stat().st_size > 5000
    assert set(manifest.metrics) >= {
        "validation_accuracy",
        "test_accuracy",
        "test_calibration_error",
    }
    assert any(line.startswith("skipped=train/red/broken.jpg") for line in lines)
    assert sum(line.startswith("epoch=1 loss=") for line in lines) == 1

    assert manifest.golden
    image = preprocess.decode(manifest.input, (artifact / manifest.golden.image).read_bytes())
    model = (artifact / "1/assets.extra/model.tflite").read_bytes()
    runner = Interpreter(model_content=model).get_signature_runner(manifest.input.signature)
    pixels = preprocess.apply(manifest.input, image)[None]
    scores = runner(**{manifest.input.tensor: pixels})[manifest.output.tensor][0]
    assert manifest.labels[scores.argmax()] == manifest.golden.label
    assert scores.max() == pytest.approx(manifest.golden.score, abs=manifest.golden.tolerance)


def test_the_recipe_backbone_exports_the_convolutions_of_its_network(tmp_path: Path) -> None:
    channels = folders(tmp_path / "data", {"train": 8, "test": 3})
    small = {"recipe": "backbone", "validation-share": "0.2", "model": "eyes"}
    tarball = run(job(channels, **small), tmp_path / "ml", lambda _: None)
    with tarball.open("rb") as content:
        read = archive.read(content)
    manifest, violations = validation.run(read)
    assert violations == []
    assert isinstance(manifest, BackboneManifest)
    assert (manifest.model, manifest.width) == (
        "eyes",
        2 * 2 * 16,
    )  # maps of the last convolution, pooled
    assert "test_accuracy" in manifest.metrics  # of the classifier that it was trained as
    assert read.litert_model
    interpreter = Interpreter(model_content=bytes(read.litert_model.content))
    image = preprocess.decode(manifest.input, read.kept[manifest.golden.image])
    given = {manifest.input.tensor: preprocess.apply(manifest.input, image)[None]}
    golden = np.array(manifest.golden.features, np.float32)
    features = interpreter.get_signature_runner(manifest.input.signature)(**given)
    assert distance(features[manifest.output.tensor][0], golden) < 0.01
    assert manifest.output.maps
    assert (manifest.output.maps.height, manifest.output.maps.rows) == (4, 2)
    answer = interpreter.get_signature_runner(manifest.output.maps.signature)(**given)
    maps = answer[manifest.output.maps.tensor]
    assert distance(averages(manifest.output, maps)[0], golden) < 0.01


def test_a_failed_job_logs_one_error_line(tmp_path: Path) -> None:
    channels = folders(tmp_path / "data", {"train": 2, "validation": 1})
    (channels["validation"] / "purple").mkdir()
    with pytest.raises(TrainingFailed, match=r"error: .*'purple', which channel 'train' lacks"):
        run(job(channels), tmp_path / "ml", lambda _: None)
    assert not (tmp_path / "ml/model.tar.gz").exists()


class Killed(Exception):
    """Simulates the loss of the instance."""


def test_a_killed_job_resumes_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    """After SIGKILL in an epoch, a new instance gets only the checkpoint folder.

    With the other model as the live version, both give the same answers to the held-out images.
    """
    channels = folders(tmp_path / "data", {"train": 12})
    given = job(channels, epochs="4", patience="0", dropout="0.5")
    run(given, tmp_path / "whole", lambda _: None)

    def kill(line: str) -> None:
        if line.startswith("epoch=2 "):
            raise Killed

    with pytest.raises(Killed):
        run(given, tmp_path / "killed", kill)
    shutil.copytree(tmp_path / "killed/checkpoints", tmp_path / "again/checkpoints")
    (tmp_path / "live").mkdir()
    shutil.copy(tmp_path / "whole/model.tar.gz", tmp_path / "live/0123456789ab.tar.gz")
    lines: list[str] = []
    compared = replace(given, channels=channels | {"live": tmp_path / "live"})
    run(compared, tmp_path / "again", lines.append)
    manifest = Manifest.model_validate_json((tmp_path / "again/model/facet.json").read_bytes())
    assert manifest.provenance["compared_with"] == "0123456789ab"
    assert manifest.provenance["held_out"] == "0.1"
    metrics = manifest.metrics
    assert metrics["live_correct"] == metrics["test_correct"]
    assert metrics["live_images"] == metrics["test_images"] > 0
    assert metrics["only_new_correct"] == metrics["only_live_correct"] == 0
    resumed = next(line for line in lines if line.startswith("resumed=1"))
    assert resumed in [f"resumed=1 epochs_done={done}" for done in (1, 2, 3)]
    assert not any(line.startswith("epoch=1 ") for line in lines)
    assert history(tmp_path / "again") == history(tmp_path / "whole")
    weights = "model/1/variables/variables.data-00000-of-00001"
    assert (tmp_path / "again" / weights).read_bytes() == (
        tmp_path / "whole" / weights
    ).read_bytes()


def test_two_hosts_reach_the_losses_of_one(tmp_path: Path) -> None:
    """Without randomness and batch statistics, two half batches equal one batch."""
    channels = folders(tmp_path / "data", {"train": 12, "validation": 4})
    channels["weights"] = tmp_path / "weights"
    channels["weights"].mkdir()
    base = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25
    )
    base.save_weights(channels["weights"] / "mobilenet.weights.h5")
    given = job(
        channels,
        backbone="mobilenet",
        alpha="0.25",
        dropout="0",
        epochs="3",
        patience="0",
        **{"learning-rate": "0.001"},  # a higher one multiplies rounding errors
    )
    run(given, tmp_path / "one", lambda _: None)
    lines: list[str] = []
    tarball = run(replace(given, hosts=2), tmp_path / "two", lines.append)

    assert sum("hosts=2" in line for line in lines) == 2
    single, coordinator = history(tmp_path / "one"), history(tmp_path / "two/algo-1")
    np.testing.assert_allclose(coordinator["val_loss"], single["val_loss"], rtol=1e-4)
    assert not (tmp_path / "two/algo-2/model/facet.json").exists()
    with tarfile.open(tarball) as tar:
        assert tar.getnames()[0] == "facet.json"


def test_a_lost_host_fails_the_job(tmp_path: Path) -> None:
    """The coordinator notices that the other host, which runs another program, has exited."""
    given = replace(job(folders(tmp_path / "data", {"train": 8}), epochs="50"), hosts=2)
    with pytest.raises(TrainingFailed):
        run(given, tmp_path / "ml", _kills_the_second(tmp_path / "ml"))


def _kills_the_second(root: Path) -> Callable[[str], None]:
    def hear(line: str) -> None:
        if line.startswith("epoch=1 "):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    here = (process / "cwd").readlink() == root / "algo-2/code"
                    if here and PROGRAM.encode() in words:
                        os.kill(int(process.name), signal.SIGKILL)

    return hear
