"""LiteRT files that the C API must not open: changes of `lite_models.dense`, by the reason."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.inputs.lite_models import Change, signature, tensor


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


UNFIT: Mapping[str, Change] = {
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
