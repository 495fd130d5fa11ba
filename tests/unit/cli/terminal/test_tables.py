"""Tables fit the terminal, whole words on each line."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from cli.terminal.output import Output
from cli.terminal.tables import plain_table, print_table

METRICS = "validation_accuracy 0.845, validation_loss 0.8893"
HEADS = ("version", "status", "size", "uploaded (UTC)", "metrics")
ROWS = (
    ("3aba53505c7a", "READY", "4.6 MB", "2026-11-28 16:18", METRICS),
    ("439130214ee1", "REJECTED", "812 kB", "2026-11-27 09:01", ""),
)


def printed(width: int) -> list[str]:
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=True, color_system=None, highlight=False
    )
    table = plain_table(*HEADS, whole=frozenset({HEADS[3]}))
    for version, status, size, uploaded, metrics in ROWS:
        table.add_row(version, status, size, uploaded, Text(metrics))
    print_table(Output(results=console), table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_every_word_is_whole_and_no_line_is_longer(width: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for cell in (cell for row in ROWS for cell in row):
        assert all(word in words for word in cell.split())


def test_rows_become_blocks_only_where_a_table_is_too_wide() -> None:
    assert printed(80)[0].split() == ["version", "status", "size", "uploaded", "(UTC)", "metrics"]
    assert printed(60)[:2] == ["version         3aba53505c7a", "status          READY"]
    assert "metrics" in printed(60)[4]
    assert printed(60).count("") == 1, "between the blocks"
    assert [line.split()[0] for line in printed(60)[-4:]] == [*HEADS[:3], "uploaded"]
