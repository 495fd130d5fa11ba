"""What a head takes in memory, by part, and the processor time to read it and to answer with it.

Each kind of file is measured in a process of its own.
"""

import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.heads.account import separate_process
from benchmarks.heads.traffic import private_bytes
from facet.heads import weights
from facet.heads.familiarity import POINTS, Reference
from facet.heads.weights import Head

WIDTH, LABELS = 512, 10
"""Of a head on the sample backbone."""

HEADS = 10_000
"""That are read and kept, after twice as many that fill what the imports left free."""


@dataclass(frozen=True)
class Measured:
    """Bytes and microseconds of one head; `objects` are the bytes beside its arrays."""

    stored: int
    kept: int
    kernel: int
    centres: int
    objects: int
    read: float
    answer: float


def kinds() -> Mapping[str, Head]:
    """A head as a teaching makes it, and with the numbers of earlier releases."""
    random = np.random.default_rng(1)
    kernel, centres = random.integers(-127, 128, (2, LABELS, WIDTH), np.int8)
    bias, scale = random.random((2, LABELS), np.float32)
    distances = np.sort(random.random(POINTS, np.float32))
    head = Head(kernel.T, bias, Reference(centres, distances), scale / 1000)
    length = np.linalg.norm(centres.astype(np.float32), axis=1, keepdims=True)
    half = Reference((centres / length).astype(np.float16), distances)
    earlier = replace(head, kernel=head.weights.astype(np.float16), reference=half, scale=None)
    return {"int8": head, "float16": earlier}


def measure() -> dict[str, Measured]:
    """Measures each kind."""
    found = {}
    for name, head in kinds().items():
        with separate_process() as other:
            found[name] = other.submit(_measured, head.to_bytes()).result()
    return found


def kept_bytes(content: bytes, *, labels: int, width: int) -> int:
    """Bytes by which this process grows for each head that it reads and keeps."""
    kept = _read(content, labels, width) + _read(content, labels, width)
    before = private_bytes()
    kept += _read(content, labels, width)
    return (private_bytes() - before) // HEADS


def report(found: Mapping[str, Measured]) -> list[str]:
    """The table."""
    rows: Mapping[str, Callable[[Measured], str]] = {
        "its file, kB": lambda each: f"{each.stored / 1e3:.1f}",
        "**in memory, kB**": lambda each: f"**{each.kept / 1e3:.1f}**",
        "of them the weights": lambda each: f"{each.kernel / 1e3:.1f}",
        "the labels' directions, for familiarity": lambda each: f"{each.centres / 1e3:.1f}",
        "objects": lambda each: f"{each.objects / 1e3:.1f}",
        "processor time to read the file, ms": lambda each: f"{each.read:.2f}",
        "processor time of an answer from features, ms": lambda each: f"{each.answer:.3f}",
    }
    lines = [f"| a head of ten labels, {WIDTH} features | {' | '.join(found)} |"]
    lines.append("|---" * (len(found) + 1) + "|")
    for name, value in rows.items():
        lines.append(f"| {name} | {' | '.join(map(value, found.values()))} |")
    return lines


def _read(content: bytes, labels: int, width: int) -> list[Head]:
    return [weights.read(content, labels=labels, width=width) for _ in range(HEADS)]


def _measured(content: bytes) -> Measured:
    kept = kept_bytes(content, labels=LABELS, width=WIDTH)
    began = time.process_time()
    heads = _read(content, LABELS, WIDTH)
    read = time.process_time() - began
    image = np.random.default_rng(2).random((1, WIDTH), np.float32)
    began = time.process_time()
    for each in heads:
        each.answer(image)
    answer = time.process_time() - began
    tracemalloc.start()
    more = _read(content, LABELS, WIDTH)
    traced = tracemalloc.get_traced_memory()[0] // len(more)
    head = more[0]
    return Measured(
        len(content),
        kept,
        head.kernel.nbytes,
        head.reference.centres.nbytes,
        traced - head.nbytes,
        read / len(heads) * 1e3,
        answer / len(heads) * 1e3,
    )
