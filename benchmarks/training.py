"""Compares our training with the article's, side by side in one run.

    FACET_DATA=DIR python -m benchmarks.training [speed] [vgg16] [accuracy] [--epochs N --seeds N…]

It measures images per second with the article's own network, the accuracy reached in the time of
ten of its epochs, and the duration of an epoch of fine-tuning VGG16. Writes its parts of
docs/benchmarks.md.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import mean
from time import perf_counter, process_time

import keras
import numpy as np

from benchmarks import article, machine, plots
from benchmarks.document import write
from facet.recipes import RECIPES, Hyperparameters
from samples.build import BUILD, unzipped
from training.dataset import Dataset, ImageSet, load
from training.evaluate import evaluate
from training.fitting.checkpoint import Checkpoint
from training.fitting.features import extract
from training.fitting.fit import fit
from training.fitting.stream import Examples
from training.fitting.workers import SingleHost
from training.networks import Network, build, spec
from training.trainer import dtype_policy, train

ROUNDS = 3
"""Rounds alternate, so that other load on the machine affects both."""

SPEED_IMAGES = 9600
ARTICLE_EPOCHS = 10
SEEDS = (1, 2, 3)
SIGN_STEPS = 4
SIGN_IMAGES = 96
"""Images on which VGG16's steps are measured; an epoch of 1,712 is extrapolated."""


@dataclass(frozen=True)
class FineTuning:
    """Seconds of an epoch of VGG16 and, once, of its features, for images of `side` pixels."""

    side: int
    epoch: float
    features: float


def main() -> None:
    """Runs the chosen parts and writes them into the document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--epochs", type=int, default=ARTICLE_EPOCHS, help="of the article's CIFAR-10 training"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, metavar="N", help="of our CIFAR-10 training"
    )
    parser.add_argument("parts", nargs="*", help="speed, vgg16, accuracy (default: all)")
    options = parser.parse_args()
    parts = options.parts or ["speed", "vgg16", "accuracy"]
    if not (data := os.environ.get("FACET_DATA")):
        raise SystemExit("error: set FACET_DATA to the folder with the data sets.")
    print(machine.describe(), flush=True)
    signs = Path(data) / "sign_language" / "train"
    with tempfile.TemporaryDirectory() as scratch:
        if "vgg16" in parts:
            write("training-vgg16", _vgg16(signs, Path(scratch)))
        cifar = _cifar(unzipped(Path(data), BUILD), Path(scratch))
        if "speed" in parts:
            write("training-speed", _speed(cifar))
        if "accuracy" in parts:
            write(
                "training-accuracy", _accuracy(cifar, options.epochs, options.seeds, Path(scratch))
            )


def _cifar(folder: Path, scratch: Path) -> Dataset:
    settings = RECIPES["cifar10"].defaults
    channels = {name: folder / name for name in ("train", "test")}
    return load(channels, spec(settings), settings, scratch)


def _train(data: Dataset, settings: Hyperparameters, scratch: Path) -> tuple[Network, list[float]]:
    """Returns the trained network, in float32 as a job exports it, and the epochs' seconds."""
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(dtype_policy(settings))
    network = build(settings, len(data.labels), None)
    history = train(network, data, settings, scratch, Checkpoint(None, ""), SingleHost())
    keras.config.set_dtype_policy("float32")
    final = build(settings, len(data.labels), None)
    final.tail.set_weights(network.tail.get_weights())
    return final, history["seconds"]


def _speed(data: Dataset) -> Sequence[str]:
    """Trains the article's network on part of CIFAR-10 with both pipelines, in turn."""
    drawn = np.random.default_rng(1).permutation(len(data.train))[:SPEED_IMAGES]
    part = ImageSet(data.train.pixels[drawn], data.train.classes[drawn])
    few = ImageSet(part.pixels[:100], part.classes[:100])
    examples = article.Examples(part.pixels, part.classes)
    settings = RECIPES["cifar10"].settings({"backbone": "article-cnn", "epochs": 3})
    theirs, ours = [], []
    for _ in range(ROUNDS):
        trained = article.train_cifar(examples, article.Examples(few.pixels, few.classes), epochs=3)
        theirs.append(trained.images_per_second)
        _, seconds = _train(Dataset(data.labels, part, few, None), settings, Path())
        ours.append(SPEED_IMAGES / min(seconds))
    rates = {
        "the article's pipeline, batch 32": max(theirs),
        f"ours, batch {settings.batch_size}": max(ours),
    }
    plots.bars(
        plots.FOLDER / "training-speed.png", "CIFAR-10, the article's network", "images/s", rates
    )
    rows = [f"| {name} | {rate:,.0f} |" for name, rate in rates.items()]
    spread = " / ".join(f"{our / their:.2f}" for our, their in zip(ours, theirs, strict=True))
    return [
        "| pipeline | images/s |",
        "|---|---|",
        *rows,
        "",
        f"Ratio **{max(ours) / max(theirs):.2f}** (by round: {spread}); target ≥ 2. Rates are "
        "those of the fastest epoch, because other load on the machine only slows training down.",
        "",
        "![images a second](benchmarks/training-speed.png)",
    ]


def _accuracy(data: Dataset, epochs: int, seeds: Sequence[int], scratch: Path) -> Sequence[str]:
    """Runs the article's complete training, then our recipe's with each seed."""
    assert data.test is not None
    every = article.Examples(
        np.concatenate([data.train.pixels, data.validation.pixels]),
        np.concatenate([data.train.classes, data.validation.classes]),
    )
    theirs = article.train_cifar(
        every, article.Examples(data.test.pixels, data.test.classes), epochs=epochs
    )
    budget = theirs.processor_seconds / epochs * ARTICLE_EPOCHS
    rows = [
        f"| the article's recipe | {epochs} | {theirs.seconds:,.0f} "
        f"| {theirs.processor_seconds:,.0f} | {theirs.test_accuracy:.4f} |"
    ]
    accuracies, ours = [], []
    for seed in seeds:
        settings = RECIPES["cifar10"].settings({"seed": seed})
        began = process_time()
        network, seconds = _train(data, settings, scratch)
        ours.append(process_time() - began)
        accuracies.append(evaluate(network.exported, network.spec, data.test).accuracy)
        rows.append(
            f"| `cifar10`, seed {seed} | {len(seconds)} | {sum(seconds):,.0f} | {ours[-1]:,.0f} "
            f"| {accuracies[-1]:.4f} |"
        )
        print(rows[-1], flush=True)
    extrapolated = "" if epochs == ARTICLE_EPOCHS else f", extrapolated from {epochs}"
    return [
        "| training | epochs | seconds | seconds of processor time | test accuracy |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"Ours reaches **{mean(accuracies):.4f}**, the mean of {len(seeds)} seeds, and takes "
        f"**{mean(ours) / budget:.2f}** times as much processor time as ten epochs of the "
        f"article's ({budget:,.0f} s{extrapolated}); targets: ≥ 0.85, and ≤ 1.",
    ]


def _vgg16(folder: Path, scratch: Path) -> Sequence[str]:
    """Times a step of the whole network and one from cached features, with random weights."""
    theirs = article.train_signs(article.sign_network(), folder, steps=SIGN_STEPS)
    whole = theirs.extrapolated_epoch_seconds
    ours = [_signs(folder, side, scratch) for side in (224, 128)]
    rows = [
        f"| cached features, {each.side} pixels, batch 32, {dtype_policy(_settings(each.side))} "
        f"| {each.features:,.0f} | {each.epoch:,.0f} | {whole / each.epoch:.1f} |"
        for each in ours
    ]
    bars = {"the article's": whole} | {f"cached, {each.side} pixels": each.epoch for each in ours}
    plots.bars(plots.FOLDER / "training-vgg16.png", "VGG16, 1,712 images", "s per epoch", bars)
    return [
        "| method | computing the features once, s | s per epoch | times faster |",
        "|---|---|---|---|",
        f"| the article's: whole network, 224 pixels, batch 10, float32 | | {whole:,.0f} | 1 |",
        *rows,
        "",
        f"Extrapolated from {SIGN_STEPS} steps and {SIGN_IMAGES} images to 1,712. Target ≥ 10. "
        f"The recipe's default is {RECIPES['sign-language'].defaults.image_size} pixels, because "
        "the images have 100.",
        "",
        "![seconds per epoch](benchmarks/training-vgg16.png)",
    ]


def _settings(side: int) -> Hyperparameters:
    return RECIPES["sign-language"].settings({"image_size": side, "epochs": 2, "patience": 0})


def _signs(folder: Path, side: int, scratch: Path) -> FineTuning:
    settings = _settings(side)
    keras.config.set_dtype_policy(dtype_policy(settings))
    with tempfile.TemporaryDirectory() as weights:
        base = keras.applications.VGG16(include_top=False, weights=None)
        base.save_weights(file := Path(weights) / "vgg16.weights.h5")
        network = build(settings, article.SIGN_LABELS, file)
    with redirect_stdout(StringIO()):
        data = load({"train": folder, "validation": folder}, network.spec, settings, scratch)
    every = len(data.train) // SIGN_IMAGES
    part = ImageSet(data.train.pixels[::every], data.train.classes[::every])
    start = perf_counter()
    features = extract(network, part, settings, scratch / "features.npy", SingleHost())
    feature_seconds = perf_counter() - start
    targets = np.eye(article.SIGN_LABELS, dtype=np.float32)[part.classes]
    examples = Examples(features, targets)
    no_validation = Examples(features[:, :1], targets[:1])
    unchanged = (lambda rows, _: rows,) * 2
    with redirect_stdout(StringIO()):
        history = fit(
            network.tail,
            examples,
            no_validation,
            unchanged,
            settings,
            Checkpoint(None, ""),
            SingleHost(),
        )
    keras.config.set_dtype_policy("float32")
    share = article.SIGN_IMAGES / len(part)
    return FineTuning(side, history["seconds"][1] * share, feature_seconds * share)


if __name__ == "__main__":
    main()
