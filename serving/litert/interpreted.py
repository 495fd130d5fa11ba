"""A model on LiteRT's interpreter, for files that its C API must not open, or cannot.

Its module is imported for the first of them, because few models need it.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.errors import InferenceFailed, LoadFailed
from serving.litert.compiled import NO_REASON
from serving.litert.model_file import STRING, Function, Tensor
from serving.runtimes.runtime import Array

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import SignatureRunner

LONG_REPORT = 10_000  # characters


class Interpreted:
    """One interpreter. Not for use by two threads."""

    def __init__(self, model: Path, threads: int) -> None:
        """Raises LoadFailed."""
        self._load = partial(_load, model, threads)
        self._runners, self.functions = self._load()
        self.mapped = model.stat().st_size
        self._report = ""

    def call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature. Raises InferenceFailed."""
        try:
            outputs: dict[str, Array] = self._runners[signature](**inputs)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise InferenceFailed(f"LiteRT: {self._latest(str(error))}") from error
        return outputs

    def close(self) -> None:
        """Delete the last references to the interpreter, whose destructor frees its memory."""
        self._runners.clear()

    def _latest(self, report: str) -> str:
        """The newest error in an interpreter's report, which accumulates all errors.

        The interpreter is loaded again when its report has become long.
        """
        latest = report.removeprefix(self._report) or NO_REASON
        self._report = report
        if len(report) > LONG_REPORT:
            with suppress(LoadFailed):
                (self._runners, _), self._report = self._load(), ""
        return latest


def _load(model: Path, threads: int) -> tuple[dict[str, "SignatureRunner"], dict[str, Function]]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(model), num_threads=threads)
        interpreter.allocate_tensors()
        names = interpreter.get_signature_list()
        runners = {name: interpreter.get_signature_runner(name) for name in names}
        functions = {name: _function(runner) for name, runner in runners.items()}
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise LoadFailed(f"LiteRT cannot load {model.name}: {str(error) or NO_REASON}") from error
    if not runners:
        raise LoadFailed(
            f"{model.name} has no signature. Convert it from a SavedModel with signatures"
        )
    return runners, functions


def _function(runner: "SignatureRunner") -> Function:
    return Function(0, _tensors(runner.get_input_details()), _tensors(runner.get_output_details()))


def _tensors(details: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    return {name: _tensor(each) for name, each in details.items()}


def _tensor(details: Mapping[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"])
    parameters = details["quantization_parameters"]
    return Tensor(
        STRING if dtype.kind in "OSU" else dtype.name,
        tuple(map(int, details["shape_signature"])),
        parameters["scales"].tolist(),
        parameters["zero_points"].tolist(),
    )
