"""The recipes on their real data sets, which are not in the repository."""

import json
from pathlib import Path

from local.training import TrainingJob, pack_code, run

WEIGHTS = "mobilenet_7_5_224_tf_no_top.h5"


def test_sign_language_with_a_mobilenet(data: Path, tmp_path: Path) -> None:
    """Uses all three channels, a weights channel, and three images of 12 megapixels."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / WEIGHTS).symlink_to(data / "backbones" / WEIGHTS)
    images = data / "sign_language"
    channels = {name: images / name for name in ("train", "validation", "test")}
    settings = {"recipe": "sign-language", "backbone": "mobilenet", "alpha": "0.75"}
    job = TrainingJob("signs", pack_code(), settings, channels | {"weights": weights})
    run(job, tmp_path / "ml", lambda _: None)
    metrics = json.loads((tmp_path / "ml/output/data/metrics.json").read_text())["metrics"]
    assert metrics["validation_accuracy"] >= 0.97
    assert metrics["test_accuracy"] >= 0.94


def test_twenty_images_of_each_sign(data: Path, tmp_path: Path) -> None:
    """The file of weights names the backbone; a head is computed, in closed form."""
    train = tmp_path / "train"
    for label in sorted((data / "sign_language/train").iterdir()):
        (train / label.name).mkdir(parents=True)
        for image in sorted(label.iterdir())[::8][:20]:  # neighbours are of one hand
            (train / label.name / image.name).symlink_to(image)
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / WEIGHTS).symlink_to(data / "backbones" / WEIGHTS)
    test = data / "sign_language" / "validation"
    channels = {"train": train, "test": test, "weights": weights}
    lines: list[str] = []
    job = TrainingJob("signs", pack_code(), {"recipe": "image-folder"}, channels)
    run(job, tmp_path / "ml", lines.append)
    assert "method=head images_per_class=20" in lines
    metrics = json.loads((tmp_path / "ml/output/data/metrics.json").read_text())["metrics"]
    assert metrics["test_accuracy"] >= 0.8
