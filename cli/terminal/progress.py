"""Show progress on a terminal, and nothing anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, ProgressColumn
from rich.text import Text

from cli.terminal.output import Output


def bar(output: Output, *columns: ProgressColumn, hidden: bool = False) -> Progress:
    """Make a progress bar that disappears at its end."""
    hidden = hidden or not output.remarks.is_terminal
    return Progress(*columns, console=output.remarks, transient=True, disable=hidden)


@contextmanager
def spinner(output: Output, text: str) -> Iterator[Callable[[str], object]]:
    """Show a spinner beside the text; the yielded function changes the text."""
    if not output.remarks.is_terminal:
        yield lambda _: None
        return
    with output.remarks.status(Text(text)) as status:
        yield lambda new: status.update(Text(new))
