"""Small LiteRT files, made with flatbuffers: no TensorFlow is needed."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Change = Callable[[Any], object]
FLOAT32 = schema.TensorType.FLOAT32


def dense(weights: NDArray[np.float32], change: Change | None = None) -> bytes:
    """A model of one layer: `scores` (any number of rows) are `image` times `weights`.

    weights: inputs by outputs.  change: gets the file as a `ModelT`, before it is written.
    """
    inputs, outputs = weights.shape
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    tensors = [
        tensor("image", [-1, inputs], 0),
        tensor("weights", [outputs, inputs], 1),
        tensor("scores", [-1, outputs], 0),
    ]
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.ascontiguousarray(weights.T).view(np.uint8).ravel()
    model.operatorCodes = [schema.OperatorCodeT()]
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model.subgraphs = [schema.SubGraphT()]
    model.subgraphs[0].tensors = tensors
    model.subgraphs[0].inputs, model.subgraphs[0].outputs = [0], [2]
    model.subgraphs[0].operators = [operator]
    model.signatureDefs = [signature("serving_default", {"image": 0}, {"scores": 2})]
    if change:
        change(model)
    return packed(model)


def packed(model: Any) -> bytes:
    """The file of a `ModelT`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(name: str, shape: list[int], buffer: int, dtype: int = FLOAT32) -> Any:
    """A `TensorT`; -1 in its shape is any size."""
    made = schema.TensorT()
    made.name, made.buffer, made.type, made.hasRank = name, buffer, dtype, True
    made.shape, made.shapeSignature = [max(each, 1) for each in shape], shape
    return made


def signature(key: str, inputs: dict[str, int], outputs: dict[str, int], subgraph: int = 0) -> Any:
    """A `SignatureDefT` of tensors by name."""
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = key, subgraph
    made.inputs = [_named(*each) for each in inputs.items()]
    made.outputs = [_named(*each) for each in outputs.items()]
    return made


def _named(name: str, index: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made
