"""Which LiteRT files the C API opens, and which are left to the interpreter."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import LoadFailed
from serving.litert.compiled import Compiled
from serving.litert.interpreted import Interpreted
from serving.litert.model_file import Tensor, Unfit, functions
from serving.runtimes.litert import LiteRT
from tests.support.inputs.lite_models import dense
from tests.support.inputs.unfit_models import UNFIT, at, output_of_an_input

WEIGHTS = np.eye(3, 2, dtype=np.float32)
BASE = dense(WEIGHTS)


def test_reads_the_signatures() -> None:
    (found,) = functions(dense(WEIGHTS)).items()
    assert found[0] == "serving_default"
    assert found[1].inputs == {"image": Tensor("float32", (-1, 3))}
    assert found[1].outputs == {"scores": Tensor("float32", (-1, 2))}


@pytest.mark.parametrize("reason", [*UNFIT])
def test_the_c_api_does_not_open_a_file_that_it_would_misread(reason: str, tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(dense(WEIGHTS, UNFIT[reason]))
    with pytest.raises(Unfit, match=reason):
        Compiled(model, 1)


def test_the_interpreter_serves_what_the_c_api_does_not_open(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(dense(WEIGHTS, output_of_an_input))
    runtime = LiteRT(model, 1)
    image = np.ones((2, 3), np.float32)
    answer = runtime.predict("serving_default", {"image": image})
    runtime.close()
    assert (answer["scores"].tolist(), answer["same"].tolist()) == ([[1, 1]] * 2, [[1] * 3] * 2)


@pytest.mark.parametrize("reason", ["has custom operators", "unknown code", "has no signature"])
def test_what_neither_can_load_fails_with_the_interpreters_reason(
    reason: str, tmp_path: Path
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(dense(WEIGHTS, UNFIT[reason]))
    with pytest.raises(LoadFailed) as failed:
        LiteRT(model, 1)
    with pytest.raises(LoadFailed, match=re.escape(str(failed.value))):
        Interpreted(model, 1)


def test_strings_are_refused_with_the_reason(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(dense(WEIGHTS, at("tensors.0.type", schema.TensorType.STRING)))
    with pytest.raises(LoadFailed, match="tensor image holds strings, but"):
        LiteRT(model, 1)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_damaged_file_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(BASE)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    with suppress(Unfit):
        functions(damaged)
