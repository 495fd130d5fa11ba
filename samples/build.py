"""Rebuilds the sample artifacts from the real data sets with the training code.

    FACET_DATA=DIR python -m samples.build [backbone] [cifar] [sign-language]

`DIR` contains `cifar10_jpeg.zip` and `sign_language/{train,validation,test}/<label>/`.
"""

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.training import REPOSITORY, TrainingFailed, TrainingJob, pack_code, run

BUILD = REPOSITORY / "build"
"""Not in git: CIFAR-10's licence permits us to use its images, not to redistribute them."""


@dataclass(frozen=True)
class Sample:
    """A model that `make run` onboards; `folder` is its data set under FACET_DATA or build/.

    `settings` are the hyperparameters that differ from the recipe's.
    """

    model: str
    recipe: str
    dataset: str
    folder: str
    channels: tuple[str, ...]
    settings: Mapping[str, str]


SAMPLES = (
    Sample(
        "backbone",
        "backbone",
        "CIFAR-10, JPEG copies",
        "cifar10",
        ("train", "test"),
        {},
    ),
    Sample(
        "cifar",
        "cifar10",
        "CIFAR-10, JPEG copies",
        "cifar10",
        ("train", "test"),
        {},
    ),
    # The small CNN from scratch, because the repository has no ImageNet weights.
    Sample(
        "sign-language",
        "image-folder",
        "Sign Language Digits (Mavi 2020)",
        "sign_language",
        ("train", "validation", "test"),
        {
            "backbone": "cnn",
            "width": "24",
            "batch-size": "64",
            "patience": "0",
            "flip": "false",
            "shift": "0.12",
            "rotation": "15",
            "zoom": "0.35",
            "brightness": "50",
            "contrast": "0.6",
            "tint": "30",
        },
    ),
)


def main() -> None:
    """Builds the samples that the command line names, by default all."""
    if not (data := os.environ.get("FACET_DATA")):
        sys.exit("error: set FACET_DATA to the folder with the data sets (samples/README.md).")
    known = {sample.model: sample for sample in SAMPLES}
    if unknown := sorted(set(sys.argv[1:]) - set(known)):
        sys.exit(f"error: unknown sample '{unknown[0]}'; choose from {', '.join(known)}.")
    try:
        for model in sys.argv[1:] or known:
            build(known[model], Path(data))
    except TrainingFailed as error:
        sys.exit(f"error: {error}")


def build(sample: Sample, data: Path) -> Path:
    """Trains one sample in script mode. Returns its artifact, `samples/<model>.tar.gz`."""
    folder = unzipped(data, BUILD) if sample.folder == "cifar10" else data / sample.folder
    job = TrainingJob(
        name=f"sample-{sample.model}",
        code=pack_code(),
        hyperparameters=hyperparameters(sample),
        channels={channel: folder / channel for channel in sample.channels},
    )
    artifact = REPOSITORY / "samples" / f"{sample.model}.tar.gz"
    with tempfile.TemporaryDirectory() as root:
        shutil.move(run(job, Path(root)), artifact)
    print(f"{artifact.relative_to(REPOSITORY)}: {artifact.stat().st_size / 1e6:.1f} MB")
    return artifact


def hyperparameters(sample: Sample) -> Mapping[str, str]:
    """The sample's settings, and the names for the manifest."""
    names = {"recipe": sample.recipe, "model": sample.model, "dataset": sample.dataset}
    return names | dict(sample.settings)


def unzipped(data: Path, target: Path) -> Path:
    """Returns `target/cifar10`, unzipped from `data` the first time."""
    folder = target / "cifar10"
    if not folder.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as partial:
            print("unzipping cifar10_jpeg.zip", flush=True)
            with zipfile.ZipFile(data / "cifar10_jpeg.zip") as archive:
                archive.extractall(partial)
            (Path(partial) / "cifar10").rename(folder)
    return folder


if __name__ == "__main__":
    main()
