"""Copies of LiteRT files whose float16 weights are float32."""

import copy
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.litert import weights
from serving.litert.compiled import SMALLEST, Compiled
from serving.litert.float16 import write_widened
from serving.litert.interpreted import Interpreted
from serving.litert.model_file import functions
from serving.litert.weights import WeightCache
from serving.memory import private_bytes
from tests.support.inputs.lite_models import dense, signature, tensor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="packed weights need Linux")

INPUTS, OUTPUTS = 300, 400
WEIGHTS = np.random.default_rng(3).normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
IMAGE = {"image": np.random.default_rng(4).normal(size=(3, INPUTS)).astype(np.float32)}
Change = Callable[[Any], object]


def half(model: Any) -> None:
    """Store the weights as float16, with an operator that makes them float32."""
    graph, buffer = model.subgraphs[0], model.buffers[1]
    buffer.data = buffer.data.view(np.float32).astype(np.float16).view(np.uint8)
    shape = graph.tensors[1].shape
    graph.tensors += [tensor("half", [*shape], 1, schema.TensorType.FLOAT16)]
    graph.tensors[1].buffer = 0
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    model.operatorCodes += [code]
    operator.opcodeIndex, operator.inputs, operator.outputs = 1, [3], [1]
    graph.operators = [operator, *graph.operators]


def changed(change: Change) -> Change:
    """A change of the file with float16 weights."""

    def both(model: Any) -> None:
        half(model)
        change(model)

    return both


def widened(model: bytes) -> bytes | None:
    written = os.memfd_create("test")
    try:
        return os.pread(written, 1 << 30, 0) if write_widened(model, written) else None
    finally:
        os.close(written)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightCache:
    monkeypatch.setattr(weights, "IN_MEMORY", frozenset())
    return WeightCache(tmp_path / "state" / "weights", None)


def test_a_copy_has_the_same_signatures_and_float32_weights() -> None:
    model = dense(WEIGHTS, half)
    wide = widened(model)
    assert wide is not None
    assert functions(wide) == functions(model)
    read = schema.ModelT.InitFromPackedBuf(wide, 0)
    (graph,) = read.subgraphs
    assert [[*each.inputs] for each in graph.operators] == [[0, 3, -1]]
    assert graph.tensors[3].type == schema.TensorType.FLOAT32
    stored = np.asarray(read.buffers[1].data).view(np.float32).reshape(OUTPUTS, INPUTS)
    assert np.array_equal(stored, WEIGHTS.T.astype(np.float16))


def test_answers_are_the_interpreters_and_the_copy_is_written_once(
    cache: WeightCache, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(dense(WEIGHTS, half))
    assert path.stat().st_size > SMALLEST
    with closing(Interpreted(path, 1)) as interpreted:
        wanted = interpreted.call("serving_default", IMAGE)["scores"]
    folder, found = tmp_path / "state" / "weights", []
    for _ in range(2):
        with closing(Compiled(path, 1, cache)) as engine:
            answer = engine.call("serving_default", IMAGE)["scores"]
            assert answer.tobytes() == wanted.tobytes()
            assert engine.mapped == sum(each.stat().st_size for each in folder.iterdir())
        found.append({each.name: each.stat().st_mtime_ns for each in folder.iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_a_loaded_model_keeps_no_converted_weights(cache: WeightCache, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(dense(WEIGHTS, half))

    def loaded(count: int) -> int:
        for _ in range(count):
            engines.append(Compiled(path, 1, cache))
            engines[-1].call("serving_default", IMAGE)
        return private_bytes()

    engines: list[Compiled] = []
    before = loaded(4)
    assert (loaded(20) - before) / 20 < 0.4 * WEIGHTS.nbytes
    for engine in engines:
        engine.close()


def twice(model: Any) -> None:
    """Give it the same function once more, as a second signature of the same weights."""
    half(model)
    model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
    model.signatureDefs.append(signature("maps", {"image": 0}, {"maps": 2}, subgraph=1))


def test_two_signatures_share_the_copy_and_the_packed_weights(
    cache: WeightCache, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(dense(WEIGHTS, twice))
    with closing(Interpreted(path, 1)) as interpreted:
        wanted = interpreted.call("serving_default", IMAGE)["scores"]
    with closing(Compiled(path, 1, cache)) as engine:
        assert engine.call("serving_default", IMAGE)["scores"].tobytes() == wanted.tobytes()
        assert engine.call("maps", IMAGE)["maps"].tobytes() == wanted.tobytes()
        once = path.stat().st_size + 2 * WEIGHTS.nbytes  # of the copy, and packed
        assert once < engine.mapped < once + 0.2 * WEIGHTS.nbytes


def test_without_room_for_the_copy_the_file_itself_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "IN_MEMORY", frozenset())
    path = tmp_path / "model.tflite"
    path.write_bytes(dense(WEIGHTS, half))
    with (
        closing(Compiled(path, 1, WeightCache(tmp_path / "weights", 1000))) as engine,
        closing(Interpreted(path, 1)) as interpreted,
    ):
        wanted = interpreted.call("serving_default", IMAGE)["scores"]
        assert engine.call("serving_default", IMAGE)["scores"].tobytes() == wanted.tobytes()
        assert engine.mapped == path.stat().st_size


def compute_with_half(model: Any) -> None:
    model.subgraphs[0].operators[1].inputs = [0, 3, -1]


def share_the_bytes(model: Any) -> None:
    model.subgraphs[0].tensors += [tensor("same", [INPUTS * OUTPUTS // 2], 1)]


def give_the_weights(model: Any) -> None:
    model.subgraphs[0].outputs = [2, 1]


def fix_the_order(model: Any) -> None:
    metadata = schema.MetadataT()
    metadata.name, metadata.buffer = "model_control_dependencies", 0
    model.metadata = [metadata]


def make_integers(model: Any) -> None:
    model.subgraphs[0].tensors[1].type = schema.TensorType.INT32


def cut_the_weights(model: Any) -> None:
    model.buffers[1].data = model.buffers[1].data[:-2]


def quantise(model: Any) -> None:
    found = model.subgraphs[0].tensors[3].quantization = schema.QuantizationParametersT()
    found.scale, found.zeroPoint = [0.5], [0]


@pytest.mark.parametrize(
    "change",
    [
        *(compute_with_half, share_the_bytes, give_the_weights, fix_the_order),
        *(make_integers, cut_the_weights, quantise),
    ],
)
def test_a_file_that_is_not_as_the_converter_writes_it_has_no_copy(change: Change) -> None:
    assert widened(dense(WEIGHTS[:8, :4], half)) is not None
    assert widened(dense(WEIGHTS[:8, :4], changed(change))) is None


def test_a_file_without_float16_weights_has_no_copy() -> None:
    assert widened(dense(WEIGHTS)) is None


HALF = dense(WEIGHTS[:8, :4], half)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_damaged_file_is_copied_or_not(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(HALF)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    widened(bytes(damaged))
