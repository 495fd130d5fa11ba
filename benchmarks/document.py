"""Updates docs/benchmarks.md: each benchmark replaces its own part."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def write(part: str, lines: Sequence[str]) -> None:
    """Prints the lines and writes them between the markers of `part`. Raises ValueError without."""
    print("\n".join(lines), flush=True)
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, opening, rest = DOCUMENT.read_text().partition(begin)
    _, closing, after = rest.partition(end)
    if not (opening and closing):
        raise ValueError(f"{DOCUMENT.name} has no markers for the part {part}")
    when = f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine.describe()}."
    text = "\n".join([begin, "", *lines, "", when, "", end])
    DOCUMENT.write_text(before + text + after)
