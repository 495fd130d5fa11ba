"""TensorFlow Serving's REST format of a prediction: JSON → arrays → JSON."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from serving.errors import BadInput
from serving.runtimes.runtime import Array, Signature, TensorSpec

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Query:
    """A parsed request. rows: the number of instances, None for the column format."""

    signature: str
    inputs: dict[str, Array]
    rows: int | None

    @property
    def length(self) -> int | None:
        """The first dimension of every input; None if inputs differ in it or have none."""
        lengths = {len(array) if array.ndim else None for array in self.inputs.values()}
        return lengths.pop() if len(lengths) == 1 else None

    @property
    def form(self) -> object:
        """Signature and shapes: queries with the same form can be joined row by row."""
        return self.signature, tuple(sorted((k, v.shape[1:]) for k, v in self.inputs.items()))


def parse(body: bytes, signatures: Mapping[str, Signature]) -> Query:
    """`{"signature_name", "instances": [rows]}` or `{"inputs": columns}`. Raises BadInput."""
    document = _document(body)
    name = document.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise BadInput("'signature_name' key must be a string value.")
    if name not in signatures:
        raise BadInput(
            f'Serving signature name: "{name}" not found in signature def, '
            f"which has {', '.join(sorted(signatures))}"
        )
    specs = signatures[name].inputs
    if "instances" in document and "inputs" in document:
        raise BadInput(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
        )
    if "instances" in document:
        columns = _columns_of_rows(document["instances"], specs)
        rows = len(document["instances"])
    elif "inputs" in document:
        columns, rows = _columns(document["inputs"], specs), None
    else:
        raise BadInput("Missing 'inputs' or 'instances' key")
    inputs = {key: tensor(key, specs[key], value) for key, value in columns.items()}
    return Query(name, inputs, rows)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _with_nan(body)
    if not isinstance(document, dict):
        raise BadInput("JSON Value: Is not object")
    return document


def _with_nan(body: bytes) -> Any:
    """Parse JSON with NaN and Infinity, which TensorFlow Serving reads and writes."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"JSON Parse error: {error}") from error


def _columns_of_rows(rows: Any, specs: Mapping[str, TensorSpec]) -> dict[str, list[Any]]:
    if not isinstance(rows, list):
        raise BadInput("Expecting 'instances' to be an list/array")
    if not rows:
        raise BadInput("No values in 'instances' array")
    if not _is_object(rows[0]):
        if len(specs) != 1:
            raise BadInput(
                "instances is a plain list, but expecting list of objects as multiple input "
                "tensors required as per tensorinfo_map"
            )
        return {next(iter(specs)): rows}
    for index, row in enumerate(rows):
        if not _is_object(row) or row.keys() != specs.keys():
            raise BadInput(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"keys must be equal to: {','.join(sorted(specs))}"
            )
    return {name: [row[name] for row in rows] for name in specs}


def _columns(inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    if not _is_object(inputs):
        if len(specs) != 1:
            raise BadInput(
                "inputs is a plain value/list, but expecting an object as multiple input "
                "tensors required as per tensorinfo_map"
            )
        return {next(iter(specs)): inputs}
    missing = specs.keys() - inputs.keys()
    if missing:
        raise BadInput(f"Missing named input: {min(missing)} in 'inputs' object.")
    return {name: inputs[name] for name in specs}


def _is_object(value: Any) -> bool:
    """Whether it is a JSON object, other than `{"b64": …}`, which stands for bytes."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def tensor(name: str, spec: TensorSpec, value: Any) -> Array:
    """The JSON value of one input as an array of the spec's dtype and shape. Raises BadInput."""
    if spec.dtype == object:
        array = _strings(name, value)
    elif spec.raw_bytes and isinstance(value, list) and value and isinstance(value[0], dict):
        array = _from_bytes(name, spec, value)
    else:
        array = _numbers(name, spec.dtype, value)
    if spec.shape is not None and not _fits(array.shape, spec.shape):
        raise BadInput(
            f'input "{name}": expected shape {_shape_text(spec.shape)}, got {list(array.shape)}'
        )
    return array


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        size in (None, actual) for actual, size in zip(shape, expected, strict=True)
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _strings(name: str, value: Any) -> Array:
    array = np.array(_bytes_of(name, value), dtype=object)
    if any(not isinstance(leaf, bytes) for leaf in array.ravel()):
        raise BadInput(f'input "{name}": rows differ in shape')
    return array


def _bytes_of(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes_of(name, item) for item in value]
    if isinstance(value, str):
        return value.encode()
    return _base64(name, value)


def _base64(name: str, value: Any) -> bytes:
    if not isinstance(value, dict) or not isinstance(value.get("b64"), str) or len(value) != 1:
        raise BadInput(f'input "{name}": a value is not of expected type: string or {{"b64": …}}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f'input "{name}": unable to base64 decode: {error}') from error


def _from_bytes(name: str, spec: TensorSpec, values: list[Any]) -> Array:
    """One row from each bytes value: the row's memory in C order and native byte order."""
    shape = (spec.shape or ())[1:]
    sizes = [size for size in shape if size is not None]
    if len(sizes) < len(shape):
        raise BadInput(f'input "{name}" has no fixed size: send lists of numbers, not bytes')
    expected = spec.dtype.itemsize * int(np.prod(sizes, dtype=np.int64))
    rows = [_base64(name, value) for value in values]
    for index, row in enumerate(rows):
        if len(row) != expected:
            raise BadInput(
                f'input "{name}", element {index}: expected {expected} bytes '
                f"({_shape_text(shape)} {spec.dtype}), got {len(row)}"
            )
    return np.frombuffer(b"".join(rows), spec.dtype).reshape(len(rows), *sizes)


def _numbers(name: str, dtype: np.dtype[Any], value: Any) -> Array:
    try:
        array = np.array(value)
    except ValueError as error:
        raise BadInput(f'input "{name}": rows differ in shape') from error
    accepted = {"b": "b", "f": "iuf", "c": "iuf"}.get(dtype.kind, "iuf")
    if array.dtype.kind not in accepted:
        raise BadInput(f'input "{name}": a value is not of expected type: {dtype}')
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(converted, array):
        raise BadInput(f'input "{name}": a value does not fit its type: {dtype}')
    return converted


def render(rows: int | None, outputs: Mapping[str, Array]) -> bytes:
    """`{"predictions": [row, …]}` or `{"outputs": columns}`; a single output has no name.

    Raises BadInput if the row format was requested and an output does not have one value per row.
    """
    finite = all(array.dtype.kind != "f" or np.isfinite(array).all() for array in outputs.values())
    columns = {name: _column(name, array, finite) for name, array in outputs.items()}
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if rows is None:
        document = {"outputs": columns if single is None else single}
    else:
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) != rows:
                size = len(array) if array.ndim else "none"
                raise BadInput(
                    f"Tensor name: {name} has inconsistent batch size: {size} expecting: {rows}"
                )
        document = {
            "predictions": [
                {name: column[row] for name, column in columns.items()} for row in range(rows)
            ]
            if single is None
            else single
        }
    if finite:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document).encode()


def _column(name: str, array: Array, finite: bool) -> Any:
    if array.dtype.kind in "OS":
        return _texts(array.tolist(), name.endswith("_bytes"))
    # ascontiguousarray turns a scalar into an array of one value
    return np.ascontiguousarray(array) if finite and array.ndim else array.tolist()


def _texts(value: Any, as_bytes: bool) -> Any:
    """Strings as text, or as base64 if the output's name ends in `_bytes` or they are no UTF-8."""
    if isinstance(value, list):
        return [_texts(item, as_bytes) for item in value]
    if not as_bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode()}
