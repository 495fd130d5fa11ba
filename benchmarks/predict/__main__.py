"""Compares the predict function's work with the article's client, and measures its cold start.

    python -m benchmarks.predict [speed] [detail] [coldstart]

Writes its parts of docs/benchmarks.md. The images are drawn by code.
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path

from benchmarks import machine
from benchmarks.document import write
from benchmarks.predict import coldstart, speed, synthetic_photo

PARTS = ("speed", "detail", "coldstart")


def main() -> None:
    """Runs the chosen parts, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    parts = parser.parse_args().parts or PARTS
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"unknown part '{unknown[0]}': choose from {', '.join(PARTS)}")
    print(machine.describe(), flush=True)
    if "coldstart" in parts:
        write("predict-coldstart", _coldstart())
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{name}.jpg") for name in speed.IMAGES}
        for name, size in speed.IMAGES.items():
            files[name].write_bytes(synthetic_photo.jpeg(size))
        if "detail" in parts:
            write("predict-detail", speed.detail(files["12 megapixels"].read_bytes()))
        if "speed" in parts:
            write("predict-speed", _speed(files))


def _speed(files: dict[str, Path]) -> list[str]:
    measured = {
        (name, side): speed.measure(files[name], side) for name, side in product(files, speed.SIDES)
    }
    sizes = " and ".join(f"{path.stat().st_size:,}" for path in files.values())
    return [
        *speed.table(measured),
        "",
        f"Milliseconds, medians of {speed.ROUNDS} rounds in turn; the JPEGs have {sizes} bytes. "
        "Targets ≥ 10 times faster, ≥ 5 times smaller.",
    ]


def _coldstart() -> list[str]:
    return [
        *coldstart.table(coldstart.measure()),
        "",
        f"Medians of {coldstart.ROUNDS} rounds in turn, each in a fresh interpreter, whose own "
        "start is not counted; modules are compiled. Target ≤ 1.5.",
    ]


if __name__ == "__main__":
    main()
