"""A runtime whose calls are short: noted by the crash guard, limited in time, and of few rows."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from serving.errors import InferenceFailed
from serving.guard.crash_guard import COMPUTING, CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.runtimes.runtime import Array, Runtime

SHARE = 8
"""A call gets as many rows as should take this part of its limit; then only a model that does not
end, or is many times slower than usual, passes the limit."""

UNKNOWN = 8
"""Rows of a call before any has shown how long a row takes."""


class BoundedRuntime:
    """A runtime that divides many rows into calls, by the time that earlier ones took."""

    def __init__(
        self, runtime: Runtime, guard: CrashGuard, limits: TimeLimits, target: str, source: Path
    ) -> None:
        self.kind = runtime.kind
        self.parallel = runtime.parallel
        self.mapped = runtime.mapped
        self.signatures = runtime.signatures
        self._runtime = runtime
        self._cancel = runtime.cancel
        self._note = guard.computing(source)
        self._limits = limits
        self._target = target
        self._source = source
        self._seconds_per_row: dict[str, float] = {}

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The runtime's outputs. Raises BadInput, InferenceFailed."""
        lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
        rows = max(lengths, default=1)
        if rows <= 1 or len(lengths) > 1 or not self.signatures[signature].batchable:
            return self._call(signature, inputs, rows)
        at = self._rows_per_call(signature)
        if rows <= at:
            return self._call(signature, inputs, rows)
        began = self._limits.clock()
        parts = [self._call(signature, _rows(inputs, 0, at), at)]
        if any(array.ndim == 0 or len(array) != at for array in parts[0].values()):
            return self._call(signature, inputs, rows)
        while at < rows:
            if self._limits.clock() - began > self._limits.compute:
                raise InferenceFailed(
                    f"computing {rows} rows took over {self._limits.compute:g} seconds, when "
                    f"{at} were computed. Send fewer at once"
                )
            end = min(rows, at + self._rows_per_call(signature))
            parts.append(self._call(signature, _rows(inputs, at, end), end - at))
            at = end
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _rows_per_call(self, signature: str) -> int:
        """As many as should take a small part of the limit."""
        seconds = self._seconds_per_row.get(signature)
        if seconds is None:
            return UNKNOWN
        return max(1, int(self._limits.compute / SHARE / max(seconds, 1e-6)))

    def _call(self, signature: str, inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
        limits = self._limits
        with (
            self._note(),
            limits.running(COMPUTING, self._target, self._source, self._cancel) as running,
        ):
            outputs = self._runtime.predict(signature, inputs)
        self._seconds_per_row[signature] = (limits.clock() - running.began) / max(rows, 1)
        return outputs

    def cancel(self) -> None:
        """Have calls in other threads fail soon, if the runtime can do that."""
        self._runtime.cancel()

    def close(self) -> None:
        """Give the memory back. No call may follow."""
        self._runtime.close()


def _rows(inputs: Mapping[str, Array], start: int, end: int) -> dict[str, Array]:
    return {name: array[start:end] for name, array in inputs.items()}
