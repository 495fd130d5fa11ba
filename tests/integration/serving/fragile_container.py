"""The container, but what a tflite ends with may harm it: `python fragile_container.py`.

`ends on load`, `ends on invoke` (unless all inputs are nought): the process is killed.
`waits for <file>`: loading goes on once that file is there; `<file>.waiting` tells that it began.
"""

import os
import runpy
import signal
import time
from pathlib import Path
from typing import Any

from ai_edge_litert import interpreter

ON_LOAD, ON_INVOKE, WAITS = b"\nends on load", b"\nends on invoke", b"\nwaits for "


class Fragile(interpreter.Interpreter):  # type: ignore[misc]
    """What serves a model."""

    def __init__(self, model_path: str, **options: Any) -> None:
        content = Path(model_path).read_bytes()
        self._ends = content.endswith(ON_INVOKE)
        if content.endswith(ON_LOAD):
            os.kill(os.getpid(), signal.SIGKILL)
        _, waits, gate = content[-1000:].partition(WAITS)
        if waits:
            Path(f"{gate.decode()}.waiting").touch()
            while not Path(gate.decode()).exists():
                time.sleep(0.01)
        super().__init__(model_path=model_path, **options)

    def get_signature_runner(self, signature_key: str | None = None) -> Any:
        """One that may end the process."""
        runner = super().get_signature_runner(signature_key)
        return Ending(runner) if self._ends else runner


class Ending:
    """A signature runner."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def __call__(self, **inputs: Any) -> Any:
        if any(each.any() for each in inputs.values()):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._runner(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


if __name__ == "__main__":
    interpreter.Interpreter = Fragile
    runpy.run_module("serving", run_name="__main__")
