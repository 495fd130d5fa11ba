"""Tables without lines."""

from rich.console import Console
from rich.table import Table

from cli.terminal.output import Output

UNFOLDED = 10_000
"""Line width in characters without a terminal: rows are never folded."""


def plain_table(*columns: str, whole: frozenset[str] = frozenset()) -> Table:
    """Make a table with these headings; columns in `whole` are never folded."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    return table


def print_table(output: Output, table: Table) -> None:
    """Print a table: long cells are folded on a terminal, elsewhere each row is one line."""
    if output.results.is_terminal:
        output.results.print(table, soft_wrap=False)
    else:
        Console(highlight=False, emoji=False, width=UNFOLDED).print(table)
