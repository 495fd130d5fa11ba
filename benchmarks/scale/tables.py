"""What the run's figures say: tables and a plot."""

import re
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import plots
from benchmarks.scale.traffic import Answers, Plan
from benchmarks.serving.load import percentile

CLOCK = 0.002
"""Seconds by which the container's log, in milliseconds, may be off."""

LOADED = re.compile(r"^(\S+ \S+),(\d{3}) \S+ \S+ loaded model \w+ \(m(\d+)\.tar\.gz\): ", re.M)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Run:
    """memory: Unix time, and the container's resident bytes.

    metrics: the platform's.  loads: model and Unix time of each.
    """

    answers: Answers
    memory: Sequence[tuple[float, int]]
    metrics: Mapping[str, Mapping[str, float]]
    loads: Sequence[tuple[int, float]]
    loaded: int

    @property
    def begun(self) -> float:
        """Unix time of the first request."""
        return float(self.answers.sent.min())


def loads_of(log: str) -> list[tuple[int, float]]:
    """(model, Unix time) of every load that the container's log tells."""
    return [
        (int(number), time.mktime(time.strptime(second, "%Y-%m-%d %H:%M:%S")) + int(milli) / 1e3)
        for second, milli, number in LOADED.findall(log)
    ]


def cold(answers: Answers, loads: Sequence[tuple[int, float]]) -> Mask:
    """Which answers had their model loaded while they were waited for."""
    times: dict[int, list[float]] = {}
    for model, when in sorted(loads):
        times.setdefault(model, []).append(when)
    begins = answers.sent - CLOCK
    ends = answers.sent + answers.seconds + CLOCK
    found = np.zeros(len(begins), np.bool_)
    for index, model in enumerate(answers.models):
        mine = times.get(int(model), [])
        at = bisect_left(mine, begins[index])
        found[index] = at < len(mine) and mine[at] <= ends[index]
    return found


def first(answers: Answers) -> Mask:
    """Which answers are those of the request that asked for their model first."""
    order = np.argsort(answers.sent, kind="stable")
    _, index = np.unique(answers.models[order], return_index=True)
    found = np.zeros(len(order), np.bool_)
    found[order[index]] = True
    return found


def report(plan: Plan, run: Run) -> list[str]:
    """Two tables."""
    answers, loading = run.answers, cold(run.answers, run.loads)
    new = loading & first(answers)
    rows = {
        "warm": ~loading,
        "cold, unpacked on disk": loading & ~new,
        "cold, in S3": new,
        "all": np.ones(len(loading), np.bool_),
    }
    whole = float(np.ptp(answers.sent))
    late = [size / 1e6 for at, size in run.memory if at >= run.begun + plan.seconds / 2]
    hits = run.metrics["ModelCacheHit"]
    hit_share = hits["Sum"] / hits["SampleCount"]
    facts = {
        "requests a second": f"{len(loading) / whole:,.0f}",
        "models requested": f"{len(np.unique(answers.models)):,}",
        "requests with the model loaded (`ModelCacheHit`)": f"{hit_share:.1%}",
        "loads": f"{len(run.loads):,}",
        "models loaded at the end": f"{run.loaded:,}",
        "the container's resident memory in the second half": f"{min(late):,.0f} to "
        f"{max(late):,.0f} MB",
        "errors, wrong answers": f"{len(answers.errors)}",
    }
    return [
        f"{plan.models:,} models, {plan.clients} clients, {whole:.0f} seconds, {len(loading):,} "
        f"requests, {plan.memory / 1e9:g} GB for loaded models.",
        "",
        "| requests | share | p50, ms | p99, ms |",
        "|---|---|---|---|",
        *(_row(name, answers.seconds, part) for name, part in rows.items()),
        "",
        "| measure | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        *(["", f"The first error: {answers.errors[0]}"] if answers.errors else []),
    ]


def _row(name: str, seconds: NDArray[np.float64], part: Mask) -> str:
    values = (seconds[part] * 1e3).tolist()
    if not values:
        return f"| {name} | 0 % | | |"
    p50, p99 = (percentile(values, share) for share in (0.5, 0.99))
    return f"| {name} | {part.mean():.1%} | {p50:.2f} | {p99:.2f} |"


def plot(plan: Plan, run: Run) -> None:
    """Draws throughput and memory over time, a panel each."""
    counts, edges = np.histogram(run.answers.sent - run.begun, np.arange(0, plan.seconds + 1, 5))
    series = {
        "requests a second": list(zip(edges[1:], counts / np.diff(edges), strict=True)),
        "the container's memory, MB": [
            (at - run.begun, size / 1e6) for at, size in run.memory[::5]
        ],
    }
    plots.panels(plots.FOLDER / "scale-run.png", "10,000 models", "seconds", series)
