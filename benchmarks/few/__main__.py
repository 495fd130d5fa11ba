"""What `image-folder` reaches with few images, beside plain logistic regression and plain Keras.

    FACET_DATA=DIR python -m benchmarks.few [--sets DIR] [--weights FILE] [--seeds N]

FACET_DATA has `sign_language`; `--sets` is a folder with `clothes` and `ants-and-bees`: the
repositories alexeygrigorev/clothing-dataset-small and jaddoescad/ants_and_bees. Each has
`train/<class>/<image>`; the images of its other folders are the test images. A set that is absent
is left out. A seed draws the training images and is the job's seed; the test images stay the same.

Each training is a process of its own, whose CPU time is measured. Results are added to `--results`
one by one: run it again to continue. Writes its part of docs/benchmarks.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from benchmarks import machine, plots
from benchmarks.document import write
from benchmarks.few.sets import ROWS, Row, draw
from benchmarks.few.tables import COLUMNS, Result, plot, report
from local.training import REPOSITORY, TrainingJob, pack_code, run
from training.weights import identify

JOBS: Mapping[str, Mapping[str, str]] = {
    "image-folder": {},
    "gradient": {"backbone": "mobilenet", "method": "gradient"},
    "scratch": {"backbone": "cnn"},
}
"""Hyperparameters of the columns that are training jobs; the others are `baselines`."""

SEEDS = 3
SLOW = ("scratch", "keras")
"""Columns that take most of the time and are far from the best: they come last."""


def main() -> None:
    """Runs what the file of results lacks, and writes the document."""
    options = _options()
    print(machine.describe(), flush=True)
    sources = dict(_sources(options.sets))
    done = _read(options.results)
    trainer = Trainer(pack_code(), options.weights)
    for seed, row, column in _planned(options.seeds):
        known = any((each.seed, each.row, each.column) == (seed, row, column) for each in done)
        if known or row.dataset not in sources:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch) / "data"
            images = draw(sources[row.dataset], row.each, seed, data)
            trained = trainer.train(column, seed, data, Path(scratch))
        done.append(Result(row.dataset, row.each, seed, column, images, *trained))
        with options.results.open("a") as file:
            file.write(json.dumps(asdict(done[-1])) + "\n")
        print(done[-1], flush=True)
    plot(done, plots.FOLDER / "few-images.png")
    write("few", report(done, options.weights.name if options.weights else "Keras's, alpha 1"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=Path, default=Path(), help="a folder with data sets")
    parser.add_argument("--weights", type=Path, help="MobileNet without its top; default: Keras's")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "few.jsonl")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    return options


def _sources(sets: Path) -> Iterator[tuple[str, Path]]:
    """The folders of the data sets; prints which are absent."""
    for name in dict.fromkeys(row.dataset for row in ROWS):
        own = Path(os.environ.get("FACET_DATA", "")) / name.replace("-", "_")
        found = next((each for each in (own, sets / name) if (each / "train").is_dir()), None)
        if found:
            yield name, found
        else:
            print(f"{name}: absent, left out", flush=True)


def _read(file: Path) -> list[Result]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def _planned(seeds: int) -> list[tuple[int, Row, str]]:
    every = product(range(1, seeds + 1), ROWS, COLUMNS)
    return sorted(every, key=lambda planned: planned[2] in SLOW)


@dataclass(frozen=True)
class Trainer:
    """Trains in a process of its own; `code` is a training job's."""

    code: bytes
    weights: Path | None

    def train(self, column: str, seed: int, data: Path, scratch: Path) -> tuple[float, float, str]:
        """Returns the accuracy on `data/test`, the CPU seconds, and the job's method."""
        before = _cpu_seconds()
        if column in JOBS:
            accuracy, method = self._job(JOBS[column], seed, data, scratch)
        else:
            accuracy, method = self._baseline(column, seed, data), ""
        return accuracy, _cpu_seconds() - before, method

    def _job(
        self, settings: Mapping[str, str], seed: int, data: Path, scratch: Path
    ) -> tuple[float, str]:
        channels = {name: data / name for name in ("train", "test")}
        if self.weights and settings.get("backbone") != "cnn":
            channels["weights"] = scratch / "weights"
            channels["weights"].mkdir()
            (channels["weights"] / self.weights.name).symlink_to(self.weights.resolve())
        given = {"recipe": "image-folder", "seed": str(seed), **settings}
        if self.weights and settings.get("backbone") == "mobilenet":
            given["alpha"] = str(self._alpha)
        lines: list[str] = []
        run(TrainingJob("few", self.code, given, channels), scratch / "ml", lines.append)
        metrics = json.loads((scratch / "ml/output/data/metrics.json").read_text())["metrics"]
        chosen = [line.split()[0] for line in lines if line.startswith("method=")]
        return metrics["test_accuracy"], chosen[0].partition("=")[2] if chosen else "gradient"

    def _baseline(self, column: str, seed: int, data: Path) -> float:
        weights = str(self.weights or "imagenet")
        words = ["benchmarks.few.baselines", column, data, weights, self._alpha, seed]
        command = [sys.executable, "-m", *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        return float(done.stdout)

    @property
    def _alpha(self) -> float:
        found = identify(self.weights) if self.weights else {}
        return float(str((found or {}).get("alpha", 1.0)))


def _cpu_seconds() -> float:
    """User and system time of all processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
