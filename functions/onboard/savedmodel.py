"""`saved_model.pb` → its serving signatures, with protobuf and without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from onboard import saved_model_pb2 as pb

SERVE_TAG = "serve"
DTYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 7: "string", 9: "int64"}
"""TensorFlow's DataType enum, as far as classifiers meet it."""


class UnreadableSavedModel(Exception):
    """The bytes are no SavedModel, or one that nothing can serve."""


@dataclass(frozen=True)
class TensorSpec:
    """A signature's tensor. `shape` has -1 for a dimension of any size; None is any shape."""

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, by tensor name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def signatures(data: bytes) -> dict[str, Signature]:
    """The signatures of the meta graph tagged `serve`, by name.

    Raises UnreadableSavedModel.
    """
    try:
        parsed = pb.SavedModel.FromString(data)
    except DecodeError as error:
        raise UnreadableSavedModel("it is not a SavedModel protocol buffer") from error
    for graph in parsed.meta_graphs:
        if SERVE_TAG in graph.meta_info_def.tags:
            return {name: _signature(each) for name, each in graph.signature_def.items()}
    raise UnreadableSavedModel(f"it has no meta graph tagged '{SERVE_TAG}'")


def _signature(signature: pb.SignatureDef) -> Signature:
    return Signature(
        {name: _tensor(each) for name, each in signature.inputs.items()},
        {name: _tensor(each) for name, each in signature.outputs.items()},
    )


def _tensor(info: pb.TensorInfo) -> TensorSpec:
    dtype = DTYPES.get(info.dtype, f"type {info.dtype}")
    if info.tensor_shape.unknown_rank:
        return TensorSpec(dtype, None)
    return TensorSpec(dtype, tuple(dim.size for dim in info.tensor_shape.dim))
