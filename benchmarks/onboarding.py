"""Onboarding's reading and checks of a 500 MB artifact against `gunzip` of the same file.

    python -m benchmarks.onboarding

Both run in processes of their own, in turn, from the page cache. Ours reads the file in blocks, as
it reads S3's body, digests, unpacks and checks it; `gunzip` writes to /dev/null. Our time includes
the interpreter's start and the function's imports. Writes docs/benchmarks.md's part.
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
from tests.support import artifacts

ROUNDS = 3
PACKED = 500_000_000
WEIGHTS = 518 << 20
"""Bytes of float32 weights that pack to a little over PACKED."""

STEP = 1 << 22
NAME = "1/variables/variables.data-00000-of-00001"
FILE = Path(__file__).resolve().parent.parent / "build" / "onboarding" / "model.tar.gz"
LIMIT = 256 << 20
TIMES = 1.5


@dataclass(frozen=True)
class Round:
    """Seconds of both, and our highest resident memory in bytes."""

    gunzip: float
    ours: float
    peak: int


def main() -> None:
    """Measures, or, asked with a file, is what is measured."""
    if len(sys.argv) > 1:
        print(_onboarded(Path(sys.argv[1])))
        return
    print(machine.describe(), flush=True)
    if not FILE.exists():
        _build(FILE)
    write("onboarding", report(FILE.stat().st_size, [_round(FILE) for _ in range(ROUNDS)]))


def report(size: int, rounds: Sequence[Round]) -> list[str]:
    """The document's lines: medians, and the ratio of each round."""
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
        f"Ratio **{ours / gunzip:.2f}** (by round: {spread}); target ≤ {TIMES}, in ≤ "
        f"{LIMIT >> 20} MiB.",
    ]


def _build(file: Path) -> None:
    """A valid artifact whose weights are as random as trained ones, packed by the system's gzip."""
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
    if part.stat().st_size < PACKED:
        raise SystemExit(f"error: the artifact has {part.stat().st_size:,} bytes only")
    part.rename(file)


class _Weights(io.RawIOBase):
    """Normally distributed float32, without an end."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._block = b""

    def read(self, size: int = -1, /) -> bytes:
        while len(self._block) < size:
            drawn = self._random.standard_normal(STEP // 4, dtype=np.float32)
            self._block += (drawn * np.float32(0.05)).tobytes()
        taken, self._block = self._block[:size], self._block[size:]
        return taken


def _round(file: Path) -> Round:
    begin = perf_counter()
    subprocess.run(["gunzip", "-c", file], stdout=subprocess.DEVNULL, check=True)
    between = perf_counter()
    command = [sys.executable, "-m", "benchmarks.onboarding", str(file)]
    peak = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    end = perf_counter()
    return Round(between - begin, end - between, peak)


def _onboarded(file: Path) -> int:
    """Reads and checks as the function does; the process's highest resident memory in bytes."""
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
