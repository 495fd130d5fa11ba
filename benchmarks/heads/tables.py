"""Tables and plots of a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from benchmarks import plots
from benchmarks.heads import many_heads, whole_models
from benchmarks.heads.teaching import IMAGES, LABELS, Taught
from benchmarks.heads.traffic import AGAIN, COLD, WARM, Answers
from benchmarks.scale import tables as scale
from benchmarks.scale import traffic as scale_traffic
from benchmarks.serving.load import percentile

Mask = NDArray[np.bool_]

READS = ("dynamodb.GetItem", "dynamodb.Query")

BUCKET = 5
"""Seconds of a point of the plot."""


@dataclass(frozen=True, eq=False)
class Asked:
    """All environments of a run together."""

    environments: Sequence[Answers]

    @property
    def notes(self) -> NDArray[np.void]:
        """Every answer."""
        return np.concatenate([each.notes for each in self.environments])

    @property
    def seconds(self) -> float:
        """From the first request to the last."""
        return float(np.ptp(self.notes["at"]))

    @property
    def errors(self) -> list[str]:
        """What was wrong."""
        return [error for each in self.environments for error in each.errors]

    def calls(self, *names: str) -> int:
        """The calls of these operations."""
        return sum(each.calls.get(name, 0) for each in self.environments for name in names)

    @property
    def writes(self) -> int:
        """Calls of DynamoDB that are no reads."""
        every = {name for each in self.environments for name in each.calls}
        return self.calls(*(name for name in every if name[:8] == "dynamodb" and name not in READS))

    @property
    def cpu(self) -> float:
        """The handlers' milliseconds of processor time for a request."""
        return sum(each.cpu for each in self.environments) / len(self.notes) * 1e3

    def late_memory(self) -> str:
        """An environment's least and most MB in the second half."""
        late = [
            size / 1e6
            for each in self.environments
            for _, size in each.memory[len(each.memory) // 2 :]
        ]
        return f"{min(late):,.0f} to {max(late):,.0f} MB"


def requests(heads: many_heads.Run, whole: whole_models.Run) -> list[str]:
    """The latencies of heads, and of whole models, by what had to be read or loaded."""
    asked, others = Asked(heads.environments), Asked(whole.environments)
    loading = loaded(whole)
    kinds = others.notes["kind"]
    rows = {
        "a head, warm": (asked, asked.notes["kind"] == WARM),
        "a head, records read again": (asked, asked.notes["kind"] == AGAIN),
        "a head, cold: records and weights": (asked, asked.notes["kind"] == COLD),
        "a whole model, warm": (others, (kinds == WARM) & ~loading),
        "a whole model, records read again": (others, (kinds != WARM) & ~loading),
        "a whole model, loaded": (others, loading),
    }
    lines = [
        "| requests | share | p50, ms | p99, ms | records and weights, p50 | endpoint, p50 |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [_row(name, of.notes, part) for name, (of, part) in rows.items()]


def loaded(whole: whole_models.Run) -> Mask:
    """Marks the answers whose model was loaded while the request waited."""
    notes = Asked(whole.environments).notes
    answers = scale_traffic.Answers(notes["tenant"], notes["at"], notes["seconds"], [])
    return scale.cold(answers, whole.loads)


def facts(heads: many_heads.Run, whole: whole_models.Run) -> list[str]:
    """Counts, processor time, memory and errors, side by side."""
    asked, others = Asked(heads.environments), Asked(whole.environments)
    of_model = (whole.resident[1] - whole.resident[0]) / max(whole.loaded, 1)

    def both(value: Callable[[Asked], str]) -> tuple[str, str]:
        return value(asked), value(others)

    table = {
        "requests a second": both(lambda of: f"{len(of.notes) / of.seconds:,.0f}"),
        "asked at least once": both(lambda of: f"{len(np.unique(of.notes['tenant'])):,}"),
        "registry reads for a request": both(lambda of: f"{of.calls(*READS) / len(of.notes):.2f}"),
        "registry writes": both(lambda of: f"{of.writes}"),
        "reads from S3 for a request": (
            f"{asked.calls('s3.GetObject') / len(asked.notes):.2f}",
            f"{len(whole.loads) / len(others.notes):.2f} at most, by the endpoint",
        ),
        "loads in the container": ("1, the backbone", f"{len(whole.loads):,}"),
        "ms of the function's processor time for a request": both(lambda of: f"{of.cpu:.2f}"),
        "ms of the container's": (
            f"{heads.container / len(asked.notes) * 1e3:.2f}",
            f"{whole.container / len(others.notes) * 1e3:.2f}",
        ),
        "private memory of an environment, second half": both(Asked.late_memory),
        "resident memory of the container at the end": (
            f"{heads.resident / 1e6:,.0f} MB",
            f"{whole.resident[1] / 1e6:,.0f} MB, {whole.loaded:,} models",
        ),
        "memory of one that is kept": (f"{heads.kept / 1e3:.1f} kB", f"{of_model / 1e3:,.0f} kB"),
        "its file": (f"{heads.stored / 1e3:.1f} kB", f"{whole.stored / 1e3:,.0f} kB"),
        "errors, wrong answers": both(lambda of: f"{len(of.errors)}"),
    }
    lines = ["| measure | heads | whole models |", "|---|---|---|"]
    lines += [f"| {name} | {one} | {other} |" for name, (one, other) in table.items()]
    ratio = of_model / heads.kept
    lines += [
        "",
        f"In memory a head takes **{ratio:.0f}** times less than a whole model of these; target "
        "≥ 200.",
    ]
    return lines + [f"The first error: {of.errors[0]}" for of in (asked, others) if of.errors]


def report(heads: many_heads.Run, whole: whole_models.Run) -> list[str]:
    """Both tables."""
    asked, others = Asked(heads.environments), Asked(whole.environments)
    return [
        f"{heads.heads:,} heads of ten labels, {len(heads.environments)} environments of the "
        f"predict function, {asked.seconds:.0f} seconds, {len(asked.notes):,} requests; "
        f"{whole.models:,} whole models, {others.seconds:.0f} seconds, {len(others.notes):,} "
        "requests.",
        "",
        *requests(heads, whole),
        "",
        *facts(heads, whole),
    ]


def plot(heads: many_heads.Run) -> None:
    """Draws throughput and an environment's memory over time, a panel each."""
    asked = Asked(heads.environments)
    begun = float(asked.notes["at"].min())
    counts, edges = np.histogram(asked.notes["at"] - begun, np.arange(0, asked.seconds + 1, BUCKET))
    memory = heads.environments[0].memory[::BUCKET]
    series = {
        "requests a second": list(zip(edges[1:], counts / np.diff(edges), strict=True)),
        "private memory of an environment, MB": [(at - begun, size / 1e6) for at, size in memory],
    }
    plots.panels(plots.FOLDER / "heads-run.png", f"{heads.heads:,} heads", "seconds", series)


def teachings(taught: Sequence[Taught], job: tuple[float, float]) -> list[str]:
    """Seconds and processor time of a teaching, beside a training job's `job` of a whole model."""
    columns: Mapping[str, Callable[[Taught], float]] = {
        "seconds of the teaching": lambda each: each.teach.seconds,
        "seconds of onboarding": lambda each: each.onboard.seconds,
        "**seconds until it answers**": lambda each: each.seconds,
        "processor seconds, function that teaches": lambda each: each.teach.cpu,
        "processor seconds, onboarding": lambda each: each.onboard.cpu,
        "processor seconds, container": lambda each: each.backbone,
        "**processor seconds in all**": lambda each: each.cpu,
        "reads of the registry": lambda each: each.calls(*READS),
        "writes to it": lambda each: each.calls("dynamodb.") - each.calls(*READS),
        "reads from S3": lambda each: each.calls("s3.GetObject", "s3.HeadObject"),
        "other calls of S3": lambda each: (
            each.calls("s3.") - each.calls("s3.GetObject", "s3.HeadObject")
        ),
    }
    lines = [
        f"{len(taught):,} tenants, one after the other, each with {LABELS} labels and {IMAGES} "
        "images of each.",
        "",
        "| of a tenant | mean | p50 | p99 |",
        "|---|---|---|---|",
    ]
    for name, value in columns.items():
        values = [value(each) for each in taught]
        cells = (mean(values), percentile(values, 0.5), percentile(values, 0.99))
        lines.append(f"| {name} | {' | '.join(f'{each:.2f}' for each in cells)} |")
    seconds, cpu = job
    own = mean(each.cpu for each in taught)
    rate = mean(each.seconds for each in taught)
    return [
        *lines,
        "",
        f"A thousand tenants, at that rate: {rate * 1000 / 60:.0f} minutes one after the other, "
        f"{own * 1000 / 60:.0f} minutes of processor time. Of the images, "
        f"{mean(each.accuracy for each in taught):.1%} are answered rightly when left out.",
        "",
        "A whole model of the first tenant's images, by the recipe `image-folder` from scratch, "
        f"took {seconds:.0f} s and {cpu:.0f} s of processor time: **{cpu / own:.0f}** times as "
        "much. The start of a training job on SageMaker, which takes minutes, is not in it.",
    ]


def plot_teachings(taught: Sequence[Taught], job: tuple[float, float]) -> None:
    """Draws the processor seconds of a head and of a whole model."""
    plots.bars(
        plots.FOLDER / "heads-teaching.png",
        "A tenant of 10 labels and 200 images",
        "processor seconds",
        {"training job, whole model": job[1], "head": median(each.cpu for each in taught)},
    )


def _row(name: str, notes: NDArray[np.void], part: Mask) -> str:
    if not part.any():
        return f"| {name} | 0 % | | | | |"
    some = notes[part]
    p50, p99 = (percentile((some["seconds"] * 1e3).tolist(), share) for share in (0.5, 0.99))
    steps = " | ".join(f"{np.median(some[each]):.2f}" for each in ("registry", "invoke"))
    return f"| {name} | {part.mean():.1%} | {p50:.2f} | {p99:.2f} | {steps} |"
