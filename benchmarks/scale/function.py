"""Many models in one environment of the function, asked by one caller as Zipf's law says."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.infer import bucket
from benchmarks.scale import tables
from benchmarks.scale.synthetic_models import Floats, SyntheticModels
from benchmarks.scale.traffic import TOLERANCE, zipf
from benchmarks.serving.load import percentile
from facet.preprocess import Pixels
from infer import app

LOADED = 0.0005
"""Seconds over which the time to find a model is that of a load."""

READ = 0.001
"""Seconds over which the time to find a file is that of a read from S3."""


@dataclass(frozen=True, eq=False)
class Run:
    """For each answer its seconds, and those of reading and loading; memory has the private bytes
    of the models' process once a second.
    """

    memory_mb: int
    seconds: NDArray[np.float64]
    read: NDArray[np.float64]
    load: NDArray[np.float64]
    memory: Sequence[int]
    errors: Sequence[str]


def measure(
    url: str, synthetic: SyntheticModels, pixels: Pixels, memory: int, models: int, seconds: float
) -> Run:
    """Ask for `seconds`. `pixels` is uint8 (images, height, width, channels)."""
    expected = synthetic.expected(range(models))
    rows: list[tuple[float, float, float]] = []
    sizes: list[int] = []
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        variables = bucket.variables(url, Path(folder), memory)
        with mock.patch.dict(os.environ, variables), mock.patch("tempfile.tempdir", folder):
            app.inference.cache_clear()
            inference = app.inference()
            try:
                end = time.monotonic() + seconds
                for number in map(int, zipf(models, 1_000_000, 0)):
                    _ask(synthetic, pixels, expected, number, rows, errors)
                    if time.monotonic() > end - seconds + len(sizes) * 1.0:
                        sizes.append(_private_bytes(inference.process.pid))
                    if time.monotonic() > end:
                        break
            finally:
                inference.close()
                app.inference.cache_clear()
    whole, read, load = (np.array(column) for column in zip(*rows, strict=True))
    return Run(memory, whole, read, load, sizes, errors)


def _ask(
    synthetic: SyntheticModels,
    pixels: Pixels,
    expected: Floats,
    number: int,
    rows: list[tuple[float, float, float]],
    errors: list[str],
) -> None:
    image = len(rows) % len(pixels)
    event = bucket.event(f"m{number}", synthetic.file(number), [pixels[image]])
    began = time.perf_counter()
    answer = app.handler(event, bucket.Context())
    spent = time.perf_counter() - began
    if answer["status"] != 200:
        errors.append(f"m{number}: {answer['response']}")
        return
    rows.append((spent, answer["seconds"]["read"], answer["seconds"]["load"]))
    (scores,) = np.array(answer["response"]["predictions"])
    if not np.abs(scores - expected[number, image]).max() <= TOLERANCE:
        errors.append(f"m{number}: the scores {scores} are not this model's")


def _private_bytes(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line[:7] == "RssAnon") * 1024


def table(runs: Sequence[Run], endpoint: tables.Run) -> list[str]:
    """A row for each run, after one for the endpoint."""
    answers = endpoint.answers
    loading = tables.cold(answers, endpoint.loads)
    new = loading & tables.first(answers)
    parts = [_cell(answers.seconds, part) for part in (~loading, loading & ~new, new)]
    half = endpoint.memory[len(endpoint.memory) // 2 :]
    lines = [
        "| place | requests | warm, p50 / p99, ms | from disk, p50 / p99 | from S3, p50 / p99 "
        "| private memory in the second half | errors |",
        "|---|---|---|---|---|---|---|",
        f"| local endpoint | {len(loading):,} | {' | '.join(parts)} "
        f"| {tables.least_and_most(each.private for each in half)} | {len(answers.errors)} |",
    ]
    for run in runs:
        read, loaded = run.read > READ, run.load > LOADED
        cells = [
            _cell(run.seconds, ~read & ~loaded),
            _cell(run.seconds, ~read & loaded),
            _cell(run.seconds, read),
        ]
        late = tables.least_and_most(run.memory[len(run.memory) // 2 :])
        lines.append(
            f"| function, {run.memory_mb:,} MB | {len(run.seconds):,} | {' | '.join(cells)} "
            f"| {late} | {len(run.errors)} |"
        )
    return [*lines, *(f"The first error: {run.errors[0]}" for run in runs if run.errors)]


def _cell(seconds: NDArray[np.float64], part: NDArray[np.bool_]) -> str:
    if not part.any():
        return "none"
    p50, p99 = (percentile((seconds[part] * 1e3).tolist(), share) for share in (0.5, 0.99))
    return f"{p50:.2f} / {p99:.2f} ({part.mean():.1%})"
