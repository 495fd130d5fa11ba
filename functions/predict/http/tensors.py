"""Tensors of the Open Inference Protocol: in JSON, or as binary data after the JSON.

github.com/kserve/open-inference-protocol, and its binary extension as Triton defines it:
docs.nvidia.com/deeplearning/triton-inference-server, "Binary Tensor Data Extension".
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facet.errors import BadRequest
from predict.http import base64_text
from predict.http.request import number

LENGTH = struct.Struct("<I")
"""The length before each element of a BYTES tensor."""

DTYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype("<f4")}
"""The datatypes that the API accepts or returns, besides BYTES."""

TensorData = list[bytes] | NDArray[Any]
"""A list for BYTES, otherwise an array of the tensor's shape."""


class _ProtocolModel(BaseModel):
    """Immutable. Ignores members it does not know, because they are meant for other servers."""

    model_config = ConfigDict(frozen=True)


Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(max_length=200)]
"""Names are part of error messages."""

MAX_TENSORS = 16
"""Inputs, and outputs, of a request. A model has one and two, but may be one of several."""


class InputParameters(_ProtocolModel):
    """`binary_data_size` is the number of bytes of this tensor after the JSON."""

    binary_data_size: Count | None = None


class Input(_ProtocolModel):
    """An input tensor. In JSON, elements of BYTES are base64."""

    name: Name
    shape: tuple[Count, ...] = Field(max_length=8)
    datatype: Name
    parameters: InputParameters = InputParameters()
    data: Any = None


class OutputParameters(_ProtocolModel):
    """How to return an output. `classification` asks for that many labels instead of scores."""

    binary_data: bool | None = None
    classification: Count = 0


class RequestedOutput(_ProtocolModel):
    """An output tensor to return."""

    name: Name
    parameters: OutputParameters = OutputParameters()


class RequestParameters(_ProtocolModel):
    """`binary_data_output` returns outputs as binary data unless an output says otherwise."""

    binary_data_output: bool = False


class InferenceRequest(_ProtocolModel):
    """The JSON of an inference request."""

    id: Name | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: tuple[Input, ...] = Field(max_length=MAX_TENSORS)
    outputs: tuple[RequestedOutput, ...] = Field(default=(), max_length=MAX_TENSORS)


def parse(body: bytes, json_length: str | None) -> tuple[InferenceRequest, dict[str, TensorData]]:
    """Returns the request, and its inputs by name.

    `json_length` is the header Inference-Header-Content-Length. Raises BadRequest.
    """
    length = len(body) if json_length is None else _length(json_length, len(body))
    try:
        request = InferenceRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "The JSON"
        raise BadRequest(f"{place}: {first['msg']}.") from error
    binary, tensors = memoryview(body)[length:], {}
    for tensor in request.inputs:
        if tensor.name in tensors:
            raise BadRequest(f"{tensor.name} is sent twice: put all its images in one tensor.")
        size = tensor.parameters.binary_data_size
        if size is None:
            tensors[tensor.name] = _from_json(tensor)
            continue
        if size > len(binary):
            raise BadRequest(
                f"{tensor.name}: binary_data_size is {size}, but only {len(binary)} bytes follow."
            )
        tensors[tensor.name] = _from_binary(tensor, binary[:size])
        binary = binary[size:]
    if binary:
        raise BadRequest(f"{len(binary)} bytes after the JSON belong to no input.")
    return request, tensors


def _length(text: str, body_length: int) -> int:
    return number("Inference-Header-Content-Length", text, body_length)


def _from_json(tensor: Input) -> TensorData:
    if tensor.datatype == "BYTES":
        elements = enumerate(_flat(tensor.data))
        texts = [_from_base64(f"{tensor.name}[{at}]", each) for at, each in elements]
        return _checked_count(tensor, texts)
    dtype = _dtype(tensor)
    try:
        flat = list(_flat(tensor.data))
        # an array of texts would have the length of the longest for each of them
        if not all(type(each) in (int, float) for each in flat):
            raise ValueError("expected numbers")
        values = np.asarray(flat)
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise ValueError("expected finite numbers")
        if not np.array_equal(values, values.astype(dtype)):
            raise ValueError(f"expected {tensor.datatype}")
        return values.astype(dtype).reshape(tensor.shape)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadRequest(f"{tensor.name}: data does not fit its shape or type: {error}.") from error


def _flat(data: Any) -> Iterator[Any]:
    """Yields the elements of nested lists."""
    if not isinstance(data, list):
        yield data
        return
    for each in data:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def _from_base64(name: str, text: object) -> bytes:
    try:
        if not isinstance(text, str):
            raise ValueError("an element is not a string")
        return base64_text.decode(text)
    except ValueError as error:
        raise BadRequest(f"{name}: BYTES in JSON must be base64: {error}.") from error


def _from_binary(tensor: Input, data: memoryview) -> TensorData:
    if tensor.datatype == "BYTES":
        return _checked_count(tensor, _elements(tensor.name, data))
    dtype = _dtype(tensor)
    if len(data) != math.prod(tensor.shape) * dtype.itemsize:
        raise BadRequest(
            f"{tensor.name}: {len(data)} bytes do not fit {tensor.datatype}{tensor.shape}."
        )
    try:
        return np.frombuffer(data, dtype).reshape(tensor.shape)
    except ValueError as error:  # no elements, but dimensions too large for any array
        raise BadRequest(f"{tensor.name}: no array can have the shape {tensor.shape}.") from error


def _elements(name: str, data: memoryview) -> list[bytes]:
    elements = []
    while data:
        if len(data) < LENGTH.size:
            raise BadRequest(f"{name}: the length of an element is cut short.")
        (length,) = LENGTH.unpack_from(data)
        if length > len(data) - LENGTH.size:
            raise BadRequest(f"{name}: an element of {length} bytes is cut short.")
        elements.append(bytes(data[LENGTH.size : LENGTH.size + length]))
        data = data[LENGTH.size + length :]
    return elements


def _checked_count(tensor: Input, elements: list[bytes]) -> list[bytes]:
    if len(elements) != math.prod(tensor.shape):
        raise BadRequest(
            f"{tensor.name}: {len(elements)} elements do not fit the shape {tensor.shape}."
        )
    return elements


def _dtype(tensor: Input) -> np.dtype[Any]:
    if tensor.datatype not in DTYPES:
        raise BadRequest(
            f"{tensor.name}: datatype {tensor.datatype} is not supported; send UINT8 or BYTES."
        )
    return DTYPES[tensor.datatype]


@dataclass(frozen=True)
class OutputTensor:
    """An output tensor: BYTES for a list of texts, FP32 for an array."""

    name: str
    shape: Sequence[int]
    values: list[str] | NDArray[np.float32]
    binary: bool

    @property
    def datatype(self) -> str:
        """The protocol's name of the datatype."""
        return "BYTES" if isinstance(self.values, list) else "FP32"

    def content(self) -> bytes:
        """Returns the tensor as binary data."""
        if isinstance(self.values, list):
            texts = [each.encode() for each in self.values]
            return b"".join(LENGTH.pack(len(each)) + each for each in texts)
        return self.values.astype("<f4").tobytes()

    def document(self) -> dict[str, Any]:
        """Returns the tensor's entry in the JSON, with its data unless `binary`."""
        head = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        if self.binary:
            return head | {"parameters": {"binary_data_size": len(self.content())}}
        if isinstance(self.values, list):
            return head | {"data": self.values}
        return head | {"data": self.values.ravel().tolist()}


def compose(head: dict[str, Any], outputs: Sequence[OutputTensor]) -> tuple[bytes, int | None]:
    """Returns the response's body, and the length of its JSON if binary data follows it."""
    document = orjson.dumps(head | {"outputs": [each.document() for each in outputs]})
    binary = [each.content() for each in outputs if each.binary]
    return b"".join([document, *binary]), len(document) if binary else None
