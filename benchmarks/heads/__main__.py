"""Measures heads in memory, asks 100,000 of them on one backbone, and teaches many tenants.

    python -m benchmarks.heads [memory] [traffic] [teaching] [--heads N] [--seconds S] …

The heads get requests by Zipf's law through the predict function's own code; so do whole models,
then. Each answer is compared with the one that only this head or model gives. Tenants are taught
through the code of TeachFunction, and their heads onboarded, until `--teach-seconds` are over.
Writes its parts of docs/benchmarks.md; a run with other options than the documented ones is only
printed, unless `--write` is given. The documented run takes about twelve minutes.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.document import write
from benchmarks.heads import many_heads, memory, tables, teaching, whole_models
from benchmarks.heads.account import account
from benchmarks.serving.process_tree import adopt_orphans
from local.training import TrainingJob, pack_code, run

PARTS = ("memory", "traffic", "teaching")

ENVIRONMENTS = 2
"""Of the predict function: one for each processor."""

FULL = {
    "heads": 100_000,
    "seconds": 240.0,
    "whole": 10_000,
    "whole_seconds": 60.0,
    "tenants": 1_000,
    "teach_seconds": 180.0,
}
JOB = {"recipe": "image-folder", "backbone": "cnn", "seed": "1"}


def main() -> None:
    """Runs the benchmark; writes a full run into the document."""
    options = _options()
    documented = all(getattr(options, name) == value for name, value in FULL.items())
    print(machine.describe(), flush=True)
    adopt_orphans()
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            measure = {"memory": _memory, "traffic": _traffic, "teaching": _teaching}[part]
            measure(options, Path(folder), full=documented or options.write)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="|".join(PARTS))
    for name, value in FULL.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--write", action="store_true", help="write a shorter run, too")
    options = parser.parse_args()
    if unknown := {*options.parts} - {*PARTS}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return options


def _memory(options: argparse.Namespace, folder: Path, *, full: bool) -> None:  # noqa: ARG001
    lines = memory.report(memory.measure())
    if full:
        write("heads-memory", lines)
    else:
        print("\n".join(lines), flush=True)


def _traffic(options: argparse.Namespace, folder: Path, *, full: bool) -> None:
    with account(folder) as (made, process):
        heads = many_heads.measure(
            made, process, folder, options.heads, options.seconds, ENVIRONMENTS
        )
        whole = whole_models.measure(
            made, process, folder, options.whole, options.whole_seconds, ENVIRONMENTS
        )
    lines = tables.report(heads, whole)
    if full:
        tables.plot(heads)
        write("heads", [*lines, "", "![requests and memory](benchmarks/heads-run.png)"])
    else:
        print("\n".join(lines), flush=True)


def _teaching(options: argparse.Namespace, folder: Path, *, full: bool) -> None:
    with account(folder) as (made, process):
        taught = teaching.measure(made, process, folder, options.tenants, options.teach_seconds)
    job = _train(folder)
    lines = tables.teachings(taught, job)
    if full:
        tables.plot_teachings(taught, job)
        write("heads-teaching", [*lines, "", "![a tenant](benchmarks/heads-teaching.png)"])
    else:
        print("\n".join(lines), flush=True)


def _train(folder: Path) -> tuple[float, float]:
    """The seconds and processor seconds of a training job on the first tenant's images."""
    data = folder / "train"
    for path, content in teaching.drawn(0):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(content)
    job = TrainingJob("whole", pack_code(), JOB, {"train": data})
    began, before = time.perf_counter(), _children()
    run(job, folder / "ml", lambda _: None)
    return time.perf_counter() - began, _children() - before


def _children() -> float:
    """Processor seconds of all processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
