"""Times the parts of the function's first answer in fresh processes, and a warm answer."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.infer import bucket

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "samples/cifar.tar.gz"
ROUNDS = 9
WARM = 50
"""Answers after the first, of which the median counts."""

FIRST = "first answer, from the start of the imports"

FUNCTION = f"""
import json, sys, time
from statistics import median
began = time.perf_counter()
from infer import app
imported = time.perf_counter()
app.inference()
made = time.perf_counter()
from benchmarks.infer.bucket import Context
event = json.load(sys.stdin)
asked = time.perf_counter()
first = app.handler(event, Context())
answered = time.perf_counter()
assert first["status"] == 200, first
warm = []
for _ in range({WARM}):
    at = time.perf_counter()
    app.handler(event, Context())
    warm.append(time.perf_counter() - at)
app.inference().close()
print(json.dumps({{
    "imports of the function's process": imported - began,
    "S3's client; start of the models' process": made - imported,
    "model from S3": first["seconds"]["read"],
    "load": first["seconds"]["load"],
    "compute": first["seconds"]["compute"],
    "{FIRST}": answered - asked + made - began,
    "warm answer": median(warm),
}}))
"""

MODELS = """
import json, time
began = time.perf_counter()
import infer.process.runner
print(json.dumps({"imports of the models' process, beside the above": time.perf_counter() - began}))
"""


def sample() -> bytes:
    """The LiteRT model of the sample `cifar`."""
    with tarfile.open(SAMPLE) as archive:
        (member,) = (each for each in archive if each.name.endswith(".tflite"))
        found = archive.extractfile(member)
        assert found is not None
        return found.read()


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Medians in seconds. The first round, which compiles, does not count."""
    model = sample()
    event = json.dumps(bucket.event("cifar", model, [np.zeros((32, 32, 3), np.uint8)]))
    runs: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as stored,
        bucket.served(Path(stored), {"cifar": model}) as url,
    ):
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                variables = bucket.variables(url, Path(folder))
                found = {**_run(FUNCTION, event, variables), **_run(MODELS, "", variables)}
            for name, seconds in found.items() if number else ():
                runs.setdefault(name, []).append(seconds)
    return {name: median(seconds) for name, seconds in runs.items()}


def _run(program: str, text: str, variables: Mapping[str, str]) -> dict[str, float]:
    completed = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=REPOSITORY,
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(completed.stdout.splitlines()[-1])
    return found


def table(medians: Mapping[str, float]) -> list[str]:
    """A row for each part, in milliseconds."""
    rows = [f"| {name} | {seconds * 1e3:.1f} |" for name, seconds in medians.items()]
    return ["| part | ms |", "|---|---|", *rows]
