"""Tables and a plot of a run."""

import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import plots
from benchmarks.scale.direct import Direct
from benchmarks.scale.traffic import Answers, Plan
from benchmarks.serving.load import percentile

CLOCK = 0.002
"""Tolerance in seconds: the container's log has milliseconds."""

LOADED = r"^(\S+ \S+),(\d{3}) \S+ \S+ loaded model \w+ \(%s\): "
TARGET = r"m(\d+)\.tar\.gz"

Mask = NDArray[np.bool_]


class Memory(NamedTuple):
    """Bytes of a process at a Unix time: with the pages of files that it maps, and without."""

    at: float
    resident: int
    private: int


@dataclass(frozen=True)
class Run:
    """memory: the container's.  metrics: the platform's.

    loads: (model, Unix time).  loaded: models in memory at the end.
    container, endpoint: seconds of processor time of the container and of the local endpoint.
    """

    answers: Answers
    memory: Sequence[Memory]
    metrics: Mapping[str, Mapping[str, float]]
    loads: Sequence[tuple[int, float]]
    loaded: int
    container: float
    endpoint: float

    @property
    def begun(self) -> float:
        """Unix time of the first request."""
        return float(self.answers.sent.min())


def loads_of(log: str, target: str = TARGET) -> list[tuple[int, float]]:
    """(model, Unix time) of every load in the container's log, whose targets have the number."""
    return [
        (int(number), time.mktime(time.strptime(second, "%Y-%m-%d %H:%M:%S")) + int(milli) / 1e3)
        for second, milli, number in re.findall(LOADED % target, log, re.M)
    ]


def cold(answers: Answers, loads: Sequence[tuple[int, float]]) -> Mask:
    """Marks the answers whose model was loaded while the request waited."""
    times: dict[int, list[float]] = {}
    for model, when in sorted(loads):
        times.setdefault(model, []).append(when)
    begins = answers.sent - CLOCK
    ends = answers.sent + answers.seconds + CLOCK
    mask = np.zeros(len(begins), np.bool_)
    for index, model in enumerate(answers.models):
        own = times.get(int(model), [])
        next_load = bisect_left(own, begins[index])
        mask[index] = next_load < len(own) and own[next_load] <= ends[index]
    return mask


def first(answers: Answers) -> Mask:
    """Marks the answers to the first request for each model."""
    order = np.argsort(answers.sent, kind="stable")
    _, index = np.unique(answers.models[order], return_index=True)
    mask = np.zeros(len(order), np.bool_)
    mask[order[index]] = True
    return mask


def report(plan: Plan, run: Run) -> list[str]:
    """Formats two tables: latencies, and facts about the run."""
    answers, loading = run.answers, cold(run.answers, run.loads)
    new = loading & first(answers)
    rows = {
        "warm": ~loading,
        "cold, unpacked on disk": loading & ~new,
        "cold, in S3": new,
        "all": np.ones(len(loading), np.bool_),
    }
    whole = float(np.ptp(answers.sent))
    late = [each for each in run.memory if each.at >= run.begun + plan.seconds / 2]
    hits = run.metrics["ModelCacheHit"]
    hit_share = hits["Sum"] / hits["SampleCount"]
    facts = {
        "requests a second": f"{len(loading) / whole:,.0f}",
        "requests with the model loaded (`ModelCacheHit`)": f"{hit_share:.1%}",
        "loads": f"{len(run.loads):,}",
        "models loaded at the end": f"{run.loaded:,}",
        "the container's private memory in the second half": least_and_most(
            each.private for each in late
        ),
        "with the files that it maps": least_and_most(each.resident for each in late),
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


def least_and_most(sizes: Iterable[int]) -> str:
    """Of sizes in bytes, in MB."""
    megabytes = [size / 1e6 for size in sizes]
    return f"{min(megabytes):,.0f} to {max(megabytes):,.0f} MB"


def shares(run: Run, itself: Direct) -> list[str]:
    """The container itself, and what of each request is the container's and the endpoint's."""
    lines = [
        "| requests | a second | in the second half | p50 / p99, ms | loads | loaded at the end "
        "| errors | ms of the container's processor time | of the endpoint's |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, answers, loads, loaded, container, endpoint in (
        (
            *("through the local endpoint", run.answers),
            *(len(run.loads), run.loaded, run.container, run.endpoint),
        ),
        (
            *("the container itself", itself.answers),
            *(itself.loads, itself.loaded, itself.processor_seconds, None),
        ),
    ):
        count, whole = len(answers.seconds), float(np.ptp(answers.sent))
        late = np.count_nonzero(answers.sent > answers.sent.min() + whole / 2)
        p50, p99 = (percentile(answers.seconds.tolist(), share) * 1e3 for share in (0.5, 0.99))
        share = "" if endpoint is None else f"{endpoint / count * 1e3:.2f}"
        lines.append(
            f"| {name} | {count / whole:,.0f} | {late / (whole / 2):,.0f} | {p50:.2f} / {p99:.2f} "
            f"| {loads:,} | {loaded:,} | {len(answers.errors)} "
            f"| {container / count * 1e3:.2f} | {share} |"
        )
    return [*lines, "", "Target: 2,000 requests a second at the container itself."]


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
        "private memory of the container, MB": [
            (each.at - run.begun, each.private / 1e6) for each in run.memory[::5]
        ],
    }
    plots.panels(plots.FOLDER / "scale-run.png", "10,000 models", "seconds", series)
