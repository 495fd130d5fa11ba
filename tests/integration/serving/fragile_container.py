"""The container with a fragile LiteRT: `python fragile_container.py`.

The last bytes of a tflite file say what happens to the process: `ends on load` and `ends on invoke`
(unless all inputs are zero) kill it. `waits for <file>` creates `<file>.waiting` and continues
loading when `<file>` exists.
"""

import os
import runpy
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from serving.litert.weights import WeightCache
from serving.runtimes import litert
from serving.runtimes.runtime import Array

ON_LOAD, ON_INVOKE, WAITS = b"\nends on load", b"\nends on invoke", b"\nwaits for "


class Fragile(litert.LiteRT):
    """A model that obeys the last bytes of its file."""

    def __init__(
        self,
        model: Path,
        threads: int,
        weights: WeightCache | None = None,
        *,
        measured: bool = False,
    ) -> None:
        content = model.read_bytes()
        self._ends = content.endswith(ON_INVOKE)
        if content.endswith(ON_LOAD):
            os.kill(os.getpid(), signal.SIGKILL)
        _, waits, gate = content[-1000:].partition(WAITS)
        if waits:
            Path(f"{gate.decode()}.waiting").touch()
            while not Path(gate.decode()).exists():
                time.sleep(0.01)
        super().__init__(model, threads, weights, measured=measured)

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self._ends and any(each.any() for each in inputs.values()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(signature, inputs)


if __name__ == "__main__":
    litert.LiteRT = Fragile  # type: ignore[misc]
    runpy.run_module("serving", run_name="__main__")
