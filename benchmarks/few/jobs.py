"""The columns that are processes of their own: training jobs, and plain Keras."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.few.tables import Measured
from local.training import TrainingJob, run
from training.weights import identify

JOBS: Mapping[str, Mapping[str, str]] = {
    "image-folder": {},
    "gradient": {"backbone": "mobilenet", "method": "gradient"},
    "scratch": {"backbone": "cnn"},
}
"""Hyperparameters of the columns that are training jobs."""


@dataclass(frozen=True)
class Trainer:
    """Trains in a process of its own; `code` is a training job's."""

    code: bytes
    weights: Path | None

    def train(self, column: str, seed: int, data: Path, scratch: Path) -> Measured:
        """Trains with `data/train`, and measures with `data/test`."""
        before = _cpu_seconds()
        if column in JOBS:
            metrics, method = self._job(JOBS[column], seed, data, scratch)
        else:
            metrics, method = {"test_accuracy": self._plain_keras(seed, data)}, ""
        return Measured(
            metrics["test_accuracy"],
            _cpu_seconds() - before,
            method,
            metrics.get("test_calibration_error"),
        )

    def _job(
        self, settings: Mapping[str, str], seed: int, data: Path, scratch: Path
    ) -> tuple[dict[str, float], str]:
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
        chosen = [line.split()[0] for line in lines if line.startswith(("method=", "chosen="))]
        return metrics, chosen[-1].partition("=")[2] if chosen else "gradient"

    def _plain_keras(self, seed: int, data: Path) -> float:
        weights = str(self.weights or "imagenet")
        words = ["benchmarks.few.baselines", data, weights, self._alpha, seed]
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
