"""How far a training is: a bar on a terminal, a line for each event anywhere."""

import re
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from cli.terminal.formatting import printable
from cli.terminal.output import Output
from cli.terminal.progress import bar

TOLD = re.compile(r"[a-z_]+=\S|error: ")
"""How the lines of training/train.py begin; its libraries and the image write others."""

EPOCH = re.compile(r"epoch=(\d+) ")


class Shown:
    """Hears of a model's training, which takes `epochs` at most. With `--json` it says nothing."""

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
        """What happens now."""
        self._bar.update(self._task, description=f"{self._model}: {text}")
        if not self._output.remarks.is_terminal:
            self._say(text)

    def line(self, text: str) -> None:
        """A line of the training job's log."""
        if not TOLD.match(text):
            return
        if found := EPOCH.match(text):
            done = int(found[1])
            self._bar.update(self._task, completed=done, epoch=f"epoch {done} of {self._epochs}")
        self._say(text)

    def _say(self, text: str) -> None:
        if not self._output.as_json:
            self._output.remark(printable(f"{self._model}: {text}"))
