"""Compares reading and validating a 500 MB artifact in onboarding with `gunzip` of the same file.

    python -m benchmarks.onboarding

Both run in separate processes, in turn, from the page cache. Ours reads the file in blocks, as it
reads an S3 body, computes the digest, unpacks and validates; `gunzip` writes to /dev/null. Our time
includes the interpreter's start and the function's imports. Writes its part of docs/benchmarks.md.
"""

import io
import resource
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks import machine
from benchmarks.document import write
from tests.support.inputs import artifacts

ROUNDS = 3
PACKED_SIZE = 500_000_000
WEIGHTS = 518 << 20
"""Bytes of float32 weights that pack to slightly more than PACKED_SIZE."""

STEP = 1 << 22
NAME = "1/variables/variables.data-00000-of-00001"
FILE = Path(__file__).resolve().parent.parent / "build" / "onboarding" / "model.tar.gz"
MEMORY_LIMIT = 256 << 20
MAX_RATIO = 1.5


@dataclass(frozen=True)
class Round:
    """Seconds of both, and our peak resident memory in bytes."""

    gunzip: float
    ours: float
    peak: int


def main() -> None:
    """Runs the benchmark; with a file as argument, runs the measured process."""
    if len(sys.argv) > 1:
        print(_read_and_validate(Path(sys.argv[1])))
        return
    print(machine.describe(), flush=True)
    if not FILE.exists():
        _build(FILE)
    write("onboarding", report(FILE.stat().st_size, [_round(FILE) for _ in range(ROUNDS)]))


def report(size: int, rounds: Sequence[Round]) -> list[str]:
    """Formats medians and the ratio of each round."""
    gunzip, ours = (
        median(each) for each in zip(*((r.gunzip, r.ours) for r in rounds), strict=True)
    )
    peak = max(each.peak for each in rounds)
    spread = " / ".join(f"{each.ours / each.gunzip:.2f}" for each in rounds)
    return [
        f"An artifact of {size / 1e6:,.0f} MB, float32 weights; medians of {len(rounds)} rounds.",
        "",
        "| program | seconds | peak resident memory, MiB |",
        "|---|---|---|",
        f"| `gunzip -c` to /dev/null | {gunzip:.2f} | |",
        f"| read, digested and checked by Facet | {ours:.2f} | {peak / (1 << 20):,.0f} |",
        "",
        f"Ratio **{ours / gunzip:.2f}** (by round: {spread}); target ≤ {MAX_RATIO}, in ≤ "
        f"{MEMORY_LIMIT >> 20} MiB.",
    ]


def _build(file: Path) -> None:
    """Writes a valid artifact whose weights compress as trained ones do, packed by gzip."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("wb") as target:
        packing = subprocess.Popen(["gzip", "-n"], stdin=subprocess.PIPE, stdout=target)
        assert packing.stdin
        with tarfile.open(fileobj=packing.stdin, mode="w|") as tar:
            for name, content in artifacts.members(golden=artifacts.golden()).items():
                member = tarfile.TarInfo(name)
                member.size = WEIGHTS if name == NAME else len(content)
                tar.addfile(member, _Weights() if name == NAME else io.BytesIO(content))
        packing.stdin.close()
        if packing.wait():
            raise SystemExit(f"error: gzip ended with {packing.returncode}")
    if part.stat().st_size < PACKED_SIZE:
        raise SystemExit(f"error: the artifact has only {part.stat().st_size:,} bytes")
    part.rename(file)


class _Weights(io.RawIOBase):
    """An endless stream of normally distributed float32."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._block = b""

    def read(self, size: int = -1, /) -> bytes:
        while len(self._block) < size:
            values = self._random.standard_normal(STEP // 4, dtype=np.float32)
            self._block += (values * np.float32(0.05)).tobytes()
        content, self._block = self._block[:size], self._block[size:]
        return content


def _round(file: Path) -> Round:
    begin = perf_counter()
    subprocess.run(["gunzip", "-c", file], stdout=subprocess.DEVNULL, check=True)
    between = perf_counter()
    command = [sys.executable, "-m", "benchmarks.onboarding", str(file)]
    peak = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    end = perf_counter()
    return Round(between - begin, end - between, peak)


def _read_and_validate(file: Path) -> int:
    """Reads and validates as the function does. Returns the peak resident memory in bytes."""
    from facet.artifact import archive, validation

    import_module("onboard.app")
    with file.open("rb") as body:
        manifest, violations = validation.run(archive.read(body))
    if violations or not manifest:
        raise SystemExit(f"error: {violations}")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
