"""Measures how fast clients prepare an image, and what reduced decoding costs in accuracy."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from PIL import Image

from benchmarks.predict.clients import CLIENTS, Seconds
from facet.image.decoding import DETAIL
from facet.resizing.fit import PILLOW
from facet.specs import InputSpec

IMAGES = {"12 megapixels": (4032, 3024), "224 x 224": (224, 224)}
SIDES = (224, 32)
ROUNDS = 15
DETAILS = (1, 2, 4)


@dataclass(frozen=True)
class Timing:
    """One client and image: bytes of the body, medians of the steps and in all, in milliseconds."""

    size: int
    steps: Mapping[str, float]
    total: float

    @classmethod
    def of(cls, body: bytes, runs: Sequence[Seconds]) -> "Timing":
        """Computes medians of several runs."""
        steps = {name: 1000 * median(run[name] for run in runs) for name in runs[0]}
        return cls(len(body), steps, 1000 * median(sum(run.values()) for run in runs))


def spec(side: int) -> InputSpec:
    """The input spec of a model that Facet trained on square colour images."""
    return InputSpec(tensor="image", encoding="uint8", height=side, width=side, decode="reduced")


def measure(path: Path, side: int, rounds: int = ROUNDS) -> dict[str, Timing]:
    """Times the clients in turn for `rounds` rounds, after one that does not count."""
    runs: dict[str, list[Seconds]] = {name: [] for name in CLIENTS}
    bodies = {name: client(path, spec(side))[0] for name, client in CLIENTS.items()}
    for _, (name, client) in product(range(rounds), CLIENTS.items()):
        runs[name].append(client(path, spec(side))[1])
    return {name: Timing.of(bodies[name], runs[name]) for name in CLIENTS}


def table(measured: Mapping[tuple[str, int], Mapping[str, Timing]]) -> list[str]:
    """Rows for each (image, side of the input): the article's client, then ours with the ratios."""
    lines = [
        "| JPEG | input | client | decode | preprocess | payload | ms in all | bytes sent |"
        " times faster | times smaller |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (image, side), timings in measured.items():
        first = next(iter(timings.values()))
        for name, each in timings.items():
            steps = " | ".join(f"{each.steps[step]:.2f}" for step in each.steps)
            ratios = f"{first.total / each.total:.1f} | {first.size / each.size:.1f}"
            lines.append(
                f"| {image} | {side} x {side} | {name} | {steps} | {each.total:.2f} "
                f"| {each.size:,} | {ratios if each is not first else '1 | 1'} |"
            )
    return lines


def detail(data: bytes, side: int = SIDES[0]) -> list[str]:
    """The difference in the input's values when the JPEG is decoded at a reduced scale.

    For each filter: the mean, 99th percentile and largest difference, of 255.
    """
    lines = [
        "| decoded at least | as | ms |" + "".join(f" {name} |" for name in PILLOW),
        "|---|---|---|" + "---|" * len(PILLOW),
    ]
    whole, _ = _decoded(data, 0)
    for times in DETAILS:
        reduced, seconds = _decoded(data, times * side)
        differences = [_differences(reduced, whole, side, method) for method in PILLOW.values()]
        scale = f"**{times}x**" if times == DETAIL else f"{times}x"
        width, height = reduced.size
        lines.append(
            f"| {scale} | {width} x {height} | {1000 * seconds:.0f} | "
            + " | ".join(differences)
            + " |"
        )
    return lines


def _decoded(data: bytes, side: int) -> tuple[Image.Image, float]:
    """Decodes to at least `side` pixels each way; also returns the median of five durations."""
    seconds = []
    for _ in range(5):
        began = perf_counter()
        image = Image.open(io.BytesIO(data))
        if side:
            image.draft(None, (side, side))
        image.load()
        seconds.append(perf_counter() - began)
    return image, median(seconds)


def _differences(
    image: Image.Image, other: Image.Image, side: int, method: Image.Resampling
) -> str:
    one, two = (np.asarray(each.resize((side, side), method), int) for each in (image, other))
    differences = np.abs(one - two)
    return f"{differences.mean():.2f} / {np.percentile(differences, 99):.0f} / {differences.max()}"
