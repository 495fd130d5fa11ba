"""The meta graphs of a `saved_model.pb` and their signatures, with protobuf, not TensorFlow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from facet.artifact.graphs import protobuf_wire
from facet.artifact.graphs import saved_model_pb2 as pb

SERVE_TAG = "serve"
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    6: "int8",
    7: "string",
    9: "int64",
    14: "bfloat16",
    19: "float16",
}
"""The members of TensorFlow's DataType enum that classifiers use."""

MAX_GRAPHS = 16
"""Meta graphs of a file; TensorFlow 2 writes one, TensorFlow 1 one for each set of tags."""

MAX_FIELDS = 200_000
"""Fields of a meta graph without its graph. NASNetMobile has 2,400."""

META_GRAPH = pb.SavedModel.META_GRAPHS_FIELD_NUMBER
GRAPH = pb.MetaGraphDef.GRAPH_DEF_FIELD_NUMBER

Parsed = TypeVar("Parsed", bound=Message)


class UnreadableSavedModel(Exception):
    """The bytes are not a SavedModel, or one that nothing can serve."""


@dataclass(frozen=True)
class TensorSpec:
    """A signature's tensor. `shape` has -1 for a dimension of any size; None is any shape."""

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a signature, by tensor name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def signatures(described: pb.MetaGraphDef) -> dict[str, Signature]:
    """The signatures of a meta graph, by name."""
    return {name: _signature(each) for name, each in described.signature_def.items()}


def meta_graphs(data: bytes) -> Iterator[tuple[pb.MetaGraphDef, int, int]]:
    """Every meta graph without its graph, and where all of it begins and ends in `data`.

    Raises UnreadableSavedModel.
    """
    count = 0
    with readable():
        for begin, end in protobuf_wire.parts(data, 0, len(data), META_GRAPH):
            count += 1
            if count > MAX_GRAPHS:
                raise UnreadableSavedModel(f"it has over {MAX_GRAPHS} meta graphs")
            described = protobuf_wire.without(data, begin, end, GRAPH)
            protobuf_wire.check(described, pb.MetaGraphDef, MAX_FIELDS)
            yield parsed(pb.MetaGraphDef, described), begin, end


@contextmanager
def readable() -> Iterator[None]:
    """Turns protobuf_wire.Malformed into UnreadableSavedModel."""
    try:
        yield
    except protobuf_wire.Malformed as error:
        raise UnreadableSavedModel(f"it is not a SavedModel protocol buffer: {error}") from error


def parsed(kind: type[Parsed], data: bytes) -> Parsed:
    """A message that protobuf_wire.check accepted. Raises UnreadableSavedModel."""
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as error:  # ValueError: text that is not UTF-8
        raise UnreadableSavedModel("it is not a SavedModel protocol buffer") from error


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
