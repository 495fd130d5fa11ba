"""A stack for as long as something takes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.console import TEMPLATE
from local.logs import log_to
from local.stack import AlreadyRunning, Stack


@contextmanager
def running(home: Path, say: Callable[[str], object]) -> Iterator[None]:
    """While it lasts a stack runs with its state in `home`: the one that does already, or its own.

    Raises UnsupportedTemplate.
    """
    log_to(home / "logs")
    with ExitStack() as opened:
        try:
            stack = opened.enter_context(Stack(TEMPLATE, home))
        except AlreadyRunning:
            pass
        else:
            say(f"started a stack at {stack.address.url}")
        yield
