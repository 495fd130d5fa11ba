"""Where the stack's own log goes."""

import logging
from pathlib import Path


def log_to(folder: Path) -> None:
    """Everything into a file, and what went wrong in the stack itself onto the screen, too."""
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=folder / "stack.log", level=logging.INFO)
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("facet: %(message)s"))
    logging.getLogger("local").addHandler(screen)
