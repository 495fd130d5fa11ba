"""Run a notebook as `jupyter execute` does, and say which cell runs: run.py NOTEBOOK RESULT."""

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def run(source: Path, result: Path) -> None:
    """Execute the notebook in its folder and write it with its outputs, also after an error."""
    notebook: Any = nbformat.read(source, as_version=4)
    codes = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    start = time.monotonic()

    def begins(cell: Any, cell_index: int) -> None:
        if cell_index in codes:
            first = next(iter(cell.source.splitlines()), "")
            number = codes.index(cell_index) + 1
            say(f"{time.monotonic() - start:5.0f} s  cell {number} of {len(codes)}: {first}")

    place = {"metadata": {"path": str(source.parent)}}
    client = NotebookClient(notebook, timeout=None, resources=place, on_cell_start=begins)
    try:
        client.execute()
    finally:
        nbformat.write(notebook, result)
        say(f"{result} is the notebook with its outputs. Open it with Jupyter or VS Code, or with")
        say(f"    uvx --from jupyterlab jupyter lab {result}")


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
