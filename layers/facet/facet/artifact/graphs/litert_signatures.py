"""Reads the signatures of a LiteRT file: what each takes and answers, by name.

No more is read than the limits of `litert` and those below allow.
"""

from facet.artifact.graphs.litert import (
    MAX_SIGNATURES,
    MODEL_SIGNATURES,
    MODEL_SUBGRAPHS,
    SUBGRAPH_TENSORS,
    Buffer,
    Reader,
    opened,
)
from facet.artifact.graphs.saved_model import Signature, TensorSpec

SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_SUBGRAPH = 0, 1, 2, 4
MAP_NAME, MAP_TENSOR = 0, 1
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_SHAPE_SIGNATURE = 0, 1, 7

TYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    5: "string",
    9: "int8",
    10: "float64",
}
"""The members of LiteRT's TensorType that classifiers use, by TensorFlow's names."""

MAX_NAMES = 100
"""Inputs, and outputs, of a signature."""

MAX_DIMENSIONS = 8


def signatures(model: Buffer) -> dict[str, Signature]:
    """The signatures by name. Raises UnreadableLiteRT, TooManyParts."""
    read = opened(model)
    root = read.offset(0)
    found = {}
    for each in read.tables(root, MODEL_SIGNATURES, "signatures", MAX_SIGNATURES):
        number = read.scalar(each, SIGNATURE_SUBGRAPH, "<I")
        subgraph = read.item(root, MODEL_SUBGRAPHS, number)
        found[read.text(each, SIGNATURE_KEY)] = Signature(
            _tensors(read, subgraph, each, SIGNATURE_INPUTS),
            _tensors(read, subgraph, each, SIGNATURE_OUTPUTS),
        )
    return found


def _tensors(read: Reader, subgraph: int, signature: int, field: int) -> dict[str, TensorSpec]:
    return {
        read.text(each, MAP_NAME): _tensor(
            read, read.item(subgraph, SUBGRAPH_TENSORS, read.scalar(each, MAP_TENSOR, "<I"))
        )
        for each in read.tables(signature, field, "tensors of a signature", MAX_NAMES)
    }


def _tensor(read: Reader, tensor: int) -> TensorSpec:
    """Its shape has -1 for a dimension of any size, where the converter kept that."""
    number = read.scalar(tensor, TENSOR_TYPE, "<b")
    for field in (TENSOR_SHAPE_SIGNATURE, TENSOR_SHAPE):
        if shape := tuple(read.numbers(tensor, field, "dimensions", MAX_DIMENSIONS)):
            return TensorSpec(TYPES.get(number, f"type {number}"), shape)
    return TensorSpec(TYPES.get(number, f"type {number}"), None)
