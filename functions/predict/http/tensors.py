"""Tensors as the Open Inference Protocol sends them: in JSON, or as bytes behind it.

github.com/kserve/open-inference-protocol, and its binary extension as Triton defines it:
docs.nvidia.com/deeplearning/triton-inference-server, "Binary Tensor Data Extension".
"""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from facet.errors import BadRequest

LENGTH = struct.Struct("<I")
"""Before each element of a BYTES tensor."""

TYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype("<f4")}
"""Those that the API takes or gives, beside BYTES."""


class _Part(BaseModel):
    """Other members than these are for other servers."""

    model_config = ConfigDict(frozen=True)


class InputParameters(_Part):
    """`binary_data_size` says how many bytes of the tensor follow behind the JSON."""

    binary_data_size: NonNegativeInt | None = None


class Input(_Part):
    """One tensor of a request. The elements of BYTES in `data` are base64."""

    name: str
    shape: tuple[NonNegativeInt, ...] = Field(max_length=8)
    datatype: str
    parameters: InputParameters = InputParameters()
    data: Any = None


class OutputParameters(_Part):
    """How an output is sent; `classification` asks for so many labels instead of scores."""

    binary_data: bool | None = None
    classification: NonNegativeInt = 0


class Output(_Part):
    """One tensor that is asked for."""

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(_Part):
    """`binary_data_output`: outputs are sent as bytes unless they say otherwise."""

    binary_data_output: bool = False


class InferenceRequest(_Part):
    """The JSON of an inference request."""

    id: str | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...] = ()


Elements = list[bytes] | NDArray[Any]


def parse(body: bytes, json_length: str | None) -> tuple[InferenceRequest, dict[str, Elements]]:
    """The request, and its inputs by name: a list for BYTES, an array of its shape otherwise.

    `json_length` is the header Inference-Header-Content-Length. Raises BadRequest.
    """
    length = len(body) if json_length is None else _length(json_length, len(body))
    try:
        request = InferenceRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "The JSON"
        raise BadRequest(f"{place}: {first['msg']}.") from error
    behind, tensors = memoryview(body)[length:], {}
    for each in request.inputs:
        if each.name in tensors:
            raise BadRequest(f"{each.name} is sent twice: put all its images in one tensor.")
        size = each.parameters.binary_data_size
        if size is None:
            tensors[each.name] = _from_json(each)
            continue
        if size > len(behind):
            raise BadRequest(f"{each.name} has {size} bytes by its size, and {len(behind)} follow.")
        tensors[each.name] = _from_bytes(each, behind[:size])
        behind = behind[size:]
    if behind:
        raise BadRequest(f"{len(behind)} bytes follow that belong to no input.")
    return request, tensors


def _length(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:12]) <= most):
        raise BadRequest(f"Inference-Header-Content-Length is '{text}', of a body of {most} bytes.")
    return int(text)


def _from_json(given: Input) -> Elements:
    if given.datatype == "BYTES":
        flat = np.asarray(given.data, dtype=object).ravel().tolist()
        return _counted(given, [_decoded(given.name, each) for each in flat])
    dtype = _dtype(given)
    try:
        values = np.asarray(given.data)
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise ValueError("numbers are asked for")
        if not np.array_equal(values, values.astype(dtype)):
            raise ValueError(f"{given.datatype} is asked for")
        return values.astype(dtype).reshape(given.shape)
    except (ValueError, OverflowError, TypeError) as error:
        raise BadRequest(f"{given.name}: data does not fit its shape or type: {error}.") from error


def _decoded(name: str, text: object) -> bytes:
    try:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no string")
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{name}: BYTES in JSON have to be base64: {error}.") from error


def _from_bytes(given: Input, data: memoryview) -> Elements:
    if given.datatype == "BYTES":
        return _counted(given, _elements(given.name, data))
    dtype = _dtype(given)
    if len(data) != math.prod(given.shape) * dtype.itemsize:
        raise BadRequest(f"{given.name}: {len(data)} bytes are not {given.datatype}{given.shape}.")
    try:
        return np.frombuffer(data, dtype).reshape(given.shape)
    except ValueError as error:  # no element, and sides too long for any array
        raise BadRequest(f"{given.name}: no array has the shape {given.shape}.") from error


def _elements(name: str, data: memoryview) -> list[bytes]:
    found = []
    while data:
        if len(data) < LENGTH.size:
            raise BadRequest(f"{name}: an element's length is cut short.")
        (length,) = LENGTH.unpack_from(data)
        if length > len(data) - LENGTH.size:
            raise BadRequest(f"{name}: an element of {length} bytes is cut short.")
        found.append(bytes(data[LENGTH.size : LENGTH.size + length]))
        data = data[LENGTH.size + length :]
    return found


def _counted(given: Input, elements: list[bytes]) -> list[bytes]:
    if len(elements) != math.prod(given.shape):
        raise BadRequest(f"{given.name}: {len(elements)} elements are not of shape {given.shape}.")
    return elements


def _dtype(given: Input) -> np.dtype[Any]:
    if given.datatype not in TYPES:
        raise BadRequest(f"{given.name}: datatype {given.datatype} is none of UINT8, BYTES.")
    return TYPES[given.datatype]


@dataclass(frozen=True)
class Answered:
    """One tensor of an answer; texts are BYTES, an array is FP32."""

    name: str
    shape: Sequence[int]
    values: list[str] | NDArray[np.float32]
    binary: bool

    @property
    def datatype(self) -> str:
        """By the protocol's names."""
        return "BYTES" if isinstance(self.values, list) else "FP32"

    def content(self) -> bytes:
        """As it stands behind the JSON."""
        if isinstance(self.values, list):
            texts = [each.encode() for each in self.values]
            return b"".join(LENGTH.pack(len(each)) + each for each in texts)
        return self.values.astype("<f4").tobytes()

    def document(self) -> dict[str, Any]:
        """As it stands in the JSON."""
        head = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        if self.binary:
            return head | {"parameters": {"binary_data_size": len(self.content())}}
        if isinstance(self.values, list):
            return head | {"data": self.values}
        return head | {"data": self.values.ravel().tolist()}


def compose(head: dict[str, Any], outputs: Sequence[Answered]) -> tuple[bytes, int | None]:
    """The answer's body; and the length of its JSON where tensors stand behind it."""
    document = orjson.dumps(head | {"outputs": [each.document() for each in outputs]})
    binary = [each.content() for each in outputs if each.binary]
    return b"".join([document, *binary]), len(document) if binary else None
