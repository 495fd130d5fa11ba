"""Which LiteRT files the C API opens, and which are left to the interpreter."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

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
from tests.support.inputs.lite_models import dense, signature, tensor

WEIGHTS = np.eye(3, 2, dtype=np.float32)
BASE = dense(WEIGHTS)
Change = Callable[[Any], object]


def test_reads_the_signatures() -> None:
    (found,) = functions(dense(WEIGHTS)).items()
    assert found[0] == "serving_default"
    assert found[1].inputs == {"image": Tensor("float32", (-1, 3))}
    assert found[1].outputs == {"scores": Tensor("float32", (-1, 2))}


def add_metadata(model: Any) -> None:
    model.metadata = [schema.MetadataT()]


def refer_to_a_file(model: Any) -> None:
    """The weights are those of another file: LiteRT's C API opens whichever is named."""
    group, buffer = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, buffer.id, buffer.group, buffer.length = "/etc/passwd", 1, 0, 24
    model.externalBufferGroups, model.externalBuffers = [group], [buffer]
    model.subgraphs[0].tensors[1].externalBuffer = 1


def custom(model: Any) -> None:
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = "moe"


def quantise(**fields: Any) -> Change:
    def change(model: Any) -> None:
        found = model.subgraphs[0].tensors[1].quantization = schema.QuantizationParametersT()
        for name, value in fields.items():
            setattr(found, name, value)

    return change


def at(path: str, value: Any) -> Change:
    """Set an attribute of the file's subgraph: `tensors.1.shape`."""

    def change(model: Any) -> None:
        *steps, last = path.split(".")
        found = model.subgraphs[0]
        for step in steps:
            found = found[int(step)] if step.isdigit() else getattr(found, step)
        setattr(found, last, value)

    return change


def signatures(*each: Any) -> Change:
    return lambda model: setattr(model, "signatureDefs", [*each])


def blocks(model: Any) -> None:
    details = schema.BlockwiseQuantizationT()
    details.scales = details.zeroPoints = 1_000_000
    kind = schema.QuantizationDetails.BlockwiseQuantization
    quantise(details=details, detailsType=kind)(model)


def constant(model: Any) -> None:
    model.buffers += [schema.BufferT()]
    model.buffers[2].data = np.ones(8, np.uint8)
    model.subgraphs[0].tensors += [tensor("labels", [2], 2)]
    model.subgraphs[0].outputs = [2, 3]
    model.signatureDefs[0].outputs += signature("", {}, {"labels": 3}).outputs


def output_of_an_input(model: Any) -> None:
    model.subgraphs[0].outputs = [2, 0]
    model.signatureDefs[0].outputs += signature("", {}, {"same": 0}).outputs


UNFIT = {
    "has weights in other files": refer_to_a_file,
    "has custom operators": custom,
    "metadata have no name": add_metadata,
    "over 8 dimensions": at("tensors.1.shape", [1] * 40),
    "has a state": at("tensors.1.isVariable", True),
    "as many scales as zero points": quantise(scale=[1.0]),
    "quantised in blocks": blocks,
    "unknown code": at("operators.0.opcodeIndex", 7),
    "name each tensor of its subgraph once": signatures(signature("a", {"x": 1}, {"y": 2})),
    "input of it is an output, too": output_of_an_input,
    "output of it is constant": constant,
    "two signatures have one name": signatures(
        *[signature("a", {"image": 0}, {"scores": 2}) for _ in range(2)]
    ),
    "has no signature": signatures(),
    "type 18": at("tensors.0.type", 18),
}


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
