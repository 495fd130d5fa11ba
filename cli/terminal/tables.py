"""Tables without lines."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Column, Table

from cli.terminal.output import Output

UNFOLDED = 10_000
"""Line width in characters without a terminal: rows are never folded."""

GAP = 2
"""Characters between two columns."""


def plain_table(*columns: str, whole: frozenset[str] = frozenset()) -> Table:
    """Make a table with these headings; columns in `whole` are never folded."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    return table


def print_table(output: Output, table: Table) -> None:
    """Print a table: on a terminal the last column is folded between words, and if that is not
    enough, each row becomes a block with a line for each cell. Elsewhere each row is one line.
    """
    if not output.results.is_terminal:
        Console(highlight=False, emoji=False, width=UNFOLDED).print(table)
    elif _fits(output.results, table):
        output.results.print(table, soft_wrap=False)
    else:
        _print_blocks(output.results, table)


def _fits(console: Console, table: Table) -> bool:
    """Set the columns' widths; return whether all but the last are whole and it folds no word."""
    wide = console.options.update(width=UNFOLDED)
    left = console.width - GAP * (len(table.columns) - 1)
    *others, last = table.columns
    for column in others:
        column.width = max(each.maximum for each in _sizes(console, wide, column))
        left -= column.width
    sizes = list(_sizes(console, wide, last))
    last.width = min(left, max(each.maximum for each in sizes))
    least = max(each.maximum if last.no_wrap else each.minimum for each in sizes)
    return least <= left


def _sizes(console: Console, wide: ConsoleOptions, column: Column) -> Iterator[Measurement]:
    return (Measurement.get(console, wide, each) for each in (column.header, *column.cells))


def _print_blocks(console: Console, table: Table) -> None:
    rows = zip(*(column.cells for column in table.columns), strict=True)
    for number, row in enumerate(rows):
        block = Table.grid(padding=(0, 2), pad_edge=False)
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for column, cell in zip(table.columns, row, strict=True):
            if str(cell):
                block.add_row(column.header, cell)
        if number:
            console.print()
        console.print(block, soft_wrap=False)
