"""The limit of a runtime: LiteRT without a server. Prints milliseconds of processor time as JSON.

    python -m benchmarks.serving.handlers.bare_litert MODELS CACHE

MODELS has `model-…/1/assets.extra/model.tflite`; CACHE is an empty folder for XNNPACK's weights.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.environment import Environment
from ai_edge_litert.options import CpuOptions, HardwareAccelerator, Options

from serving.artifact import TFLITE

RUNS = 400
"""Answers of a loaded model, of which the median is taken."""


def main() -> None:
    """Measures an answer, and a load with its first answer, over all models."""
    files = sorted(Path(sys.argv[1]).glob(f"model-*/1/{TFLITE}"))
    environment = Environment.create()

    def load(file: Path) -> Callable[[], object]:
        weights = str(Path(sys.argv[2], file.parents[2].name))
        cpu = CpuOptions(num_threads=1, xnnpack_weight_cache_path=weights)
        options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)
        return _runner(CompiledModel.from_file(str(file), environment=environment, options=options))

    for file in files:  # writes the caches
        load(file)()
    loads = _milliseconds(lambda file: load(file)(), files)
    run = load(files[0])
    answers = _milliseconds(lambda _: run(), range(RUNS))
    print(json.dumps({"answer": answers, "load": loads}))


def _runner(model: CompiledModel) -> Callable[[], object]:
    """Computes zeros in the model's only signature, and reads the scores."""
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    ((details),) = model.get_input_tensor_details("serving_default").values()
    (scores,) = model.get_output_tensor_details("serving_default").values()
    zeros = np.zeros([max(size, 1) for size in details["shape"]], details["dtype"])
    count = int(np.prod([max(size, 1) for size in scores["shape"]]))

    def run() -> object:
        inputs[0].write(zeros)
        model.run_by_index(0, inputs, outputs)
        return outputs[0].read(count, scores["dtype"])

    return run


def _milliseconds(work: Callable[[Any], object], over: Iterable[Any]) -> float:
    """The median of this process's processor time."""
    taken = []
    for each in over:
        begun = time.process_time()
        work(each)
        taken.append(time.process_time() - begun)
    return statistics.median(taken) * 1e3


if __name__ == "__main__":
    main()
