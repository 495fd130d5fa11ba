"""docs/benchmarks.md: each benchmark replaces its own part of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def write(part: str, lines: Sequence[str]) -> None:
    """Prints a benchmark's lines and puts them between the marks of `part` in the document."""
    print("\n".join(lines), flush=True)
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, found, rest = DOCUMENT.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{DOCUMENT.name} has no part {part}")
    when = f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine.describe()}."
    text = "\n".join([begin, "", *lines, "", when, "", end])
    DOCUMENT.write_text(before + text + after)
