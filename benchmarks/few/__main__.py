"""What teaching and `image-folder` reach with few images, beside logistic regression and Keras.

    FACET_DATA=DIR python -m benchmarks.few [--sets DIR] [--weights FILE] [--seeds N]

FACET_DATA has `sign_language` and `cifar10_jpeg.zip`; `--sets` is a folder with `clothes` and
`ants-and-bees`: the repositories alexeygrigorev/clothing-dataset-small and
jaddoescad/ants_and_bees. Each has `train/<class>/<image>`; the images of its other folders are the
test images. A set that is absent is left out. A seed draws the training images and is the job's
seed; the test images stay the same.

Teaching and logistic regression are fitted to features that are computed once, so they have more
draws (`DRAWS`). Every other training is a process of its own, whose CPU time is measured. Results
are added to `--results` one by one: run it again to continue, with `--columns` and `--each` to
choose what comes first. Writes its part of docs/benchmarks.md.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

from benchmarks import machine, plots
from benchmarks.document import write
from benchmarks.few.heads import Features, Method, logistic, taught
from benchmarks.few.jobs import Trainer
from benchmarks.few.sets import EACH, ROWS, Image, Row, choose, find, link
from benchmarks.few.tables import COLUMNS, Measured, Result, plot, report
from local.training import REPOSITORY, pack_code

SEEDS = 3
DRAWS = 12
"""Seeds of the columns in `HEADS`, where all images need only one."""

HEADS: Mapping[str, tuple[str, Method]] = {
    "teach": ("mobilenet", taught),
    "teach-sample": ("sample", taught),
    "logistic": ("mobilenet", logistic),
}
"""Columns that are fitted to the features of a backbone."""

SAMPLE = REPOSITORY / "samples" / "backbone.tar.gz"


def main() -> None:
    """Measures what the file of results lacks, and writes the document."""
    options = _options()
    print(machine.describe(), flush=True)
    done = _read(options.results)
    measures = Measures(options.sets, options.weights, options.results.parent / "few")
    for seed, row, column in _planned(options.seeds, options.each, options.columns):
        known = any((each.seed, each.row, each.column) == (seed, row, column) for each in done)
        source = measures.source(row.dataset)
        if known or source is None:
            continue
        images = choose(source, row.each, seed)
        tests = sum(each.test for each in images)
        measured = measures.measure(column, seed, row.dataset, images)
        done.append(Result(row.dataset, row.each, seed, column, tests, *measured))
        with options.results.open("a") as file:
            file.write(json.dumps(asdict(done[-1])) + "\n")
        print(done[-1], flush=True)
    plot(done, plots.FOLDER / "few-images.png")
    write("few", report(done, options.weights.name if options.weights else "Keras's, alpha 1"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=Path, default=Path(), help="a folder with data sets")
    parser.add_argument("--weights", type=Path, help="MobileNet without its top; default: Keras's")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the columns that are jobs")
    parser.add_argument("--columns", nargs="*", choices=COLUMNS, default=[*COLUMNS])
    parser.add_argument("--each", nargs="*", type=int, choices=EACH, default=[*EACH])
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "few.jsonl")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    return options


def _read(file: Path) -> list[Result]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def _planned(seeds: int, each: list[int], columns: list[str]) -> Iterator[tuple[int, Row, str]]:
    """Seeds, rows and columns, with the heads first; then in the order of `each` and `columns`."""
    rows = sorted((row for row in ROWS if row.each in each), key=lambda row: each.index(row.each))
    heads = [column for column in columns if column in HEADS]
    for row in rows:
        for seed in range(1, 1 + (DRAWS if row.each else 1)):
            yield from ((seed, row, column) for column in heads)
    for seed in range(1, 1 + seeds):
        for row in rows:
            yield from ((seed, row, column) for column in columns if column not in HEADS)


class Measures:
    """Measures with the data sets in FACET_DATA and in `sets`; the folder `kept` has what can be
    used again: features, the backbone's artifact, and unpacked images.
    """

    def __init__(self, sets: Path, weights: Path | None, kept: Path) -> None:
        self._sets = sets
        self._weights = weights
        self._kept = kept
        self._kept.mkdir(exist_ok=True)
        self.source: Callable[[str], Path | None] = cache(self._source)
        self._features: Callable[[str, str], Features] = cache(self._features_of)
        self._code = cache(pack_code)

    def measure(self, column: str, seed: int, dataset: str, images: list[Image]) -> Measured:
        """Measures one cell of the table with one draw."""
        if column in HEADS:
            backbone, method = HEADS[column]
            return self._features(dataset, backbone).measure(method, images)
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch) / "data"
            link(images, data)
            trainer = Trainer(self._code(), self._weights)
            return trainer.train(column, seed, data, Path(scratch))

    def _source(self, dataset: str) -> Path | None:
        """The folder of a data set; says so if it is absent."""
        data = Path(os.environ.get("FACET_DATA", ""))
        found = find(dataset, data, self._sets, self._kept)
        if found is None:
            print(f"{dataset}: absent, left out", flush=True)
        return found

    def _features_of(self, dataset: str, backbone: str) -> Features:
        artifact = self._mobilenet() if backbone == "mobilenet" else SAMPLE
        digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
        source = self.source(dataset)
        assert source is not None
        paths = [each.path for each in choose(source, 0, 1)]
        return Features.of(artifact, paths, self._kept / f"{dataset}-{digest[:12]}.npz")

    def _mobilenet(self) -> Path:
        """The artifact that `facet pack` makes of the weights, once."""
        artifact = self._kept / f"{self._weights.stem if self._weights else 'mobilenet'}.tar.gz"
        if not artifact.exists():
            weights = ["--weights", str(self._weights)] if self._weights else []
            words = ["pack", "--backbone", "mobilenet", *weights, "--out", str(artifact), "--yes"]
            subprocess.run([sys.executable, "-m", "cli", *words], check=True)
        return artifact


if __name__ == "__main__":
    main()
