"""The container with a fragile LiteRT: `python fragile_container.py`.

The last bytes of a tflite file say what happens to the process: `ends on load` and `ends on invoke`
(unless all inputs are zero) kill it. `waits for <file>` creates `<file>.waiting` and continues
loading when `<file>` exists.
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
    """An interpreter that obeys the last bytes of its file."""

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
        runner = super().get_signature_runner(signature_key)
        return Ending(runner) if self._ends else runner


class Ending:
    """A signature runner that kills the process unless all inputs are zero."""

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
