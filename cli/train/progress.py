"""Report a training's progress: a line for each event, and on a terminal a bar of epochs."""

import re
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from cli.terminal.formatting import printable
from cli.terminal.output import Output
from cli.terminal.progress import bar

OWN_LINES = re.compile(r"[a-z_]+=\S|error: ")
"""How lines of training/train.py begin. Lines of libraries and of the image are not printed."""

EPOCH = re.compile(r"epoch=(\d+) ")


class ProgressReporter:
    """Reports a training of at most `epochs` epochs; prints nothing with `--json`."""

    def __init__(self, output: Output, model: str, epochs: int) -> None:
        self._output = output
        self._model = model
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[epoch]}"),
        )
        self._bar = bar(output, *columns, TimeRemainingColumn())
        self._task = self._bar.add_task(model, total=epochs, epoch="")
        self._epochs = epochs

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def stage(self, text: str) -> None:
        """Report what happens now."""
        self._bar.update(self._task, description=f"{self._model}: {text}")
        if not self._output.remarks.is_terminal:
            self._print(text)

    def line(self, text: str) -> None:
        """Report a line of the training job's log."""
        if not OWN_LINES.match(text):
            return
        if found := EPOCH.match(text):
            done = int(found[1])
            self._bar.update(self._task, completed=done, epoch=f"epoch {done} of {self._epochs}")
        self._print(text)

    def _print(self, text: str) -> None:
        if not self._output.as_json:
            self._output.remark(printable(f"{self._model}: {text}"))
