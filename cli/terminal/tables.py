"""Tables without lines."""

from rich.console import Console
from rich.table import Table

from cli.terminal.output import Output

UNFOLDED = 10_000
"""Characters of a line where no terminal sets its width."""


def plain_table(*columns: str, whole: frozenset[str] = frozenset()) -> Table:
    """A table with these heads; the columns in `whole` are folded on no terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    return table


def print_table(output: Output, table: Table) -> None:
    """Folds long cells on a terminal; elsewhere a row is a line, for grep and its like."""
    if output.results.is_terminal:
        output.results.print(table, soft_wrap=False)
    else:
        Console(highlight=False, emoji=False, width=UNFOLDED).print(table)
