"""The values of a request: JSON → arrays."""

import base64
import binascii
import math
from typing import Any

import numpy as np

from serving.errors import BadInput
from serving.runtimes.runtime import Array, TensorSpec


def tensor(name: str, spec: TensorSpec, value: Any) -> Array:
    """The JSON value of one input as an array of the spec's dtype and shape. Raises BadInput."""
    if spec.dtype == object:
        array = _strings(name, value)
    elif spec.raw is not None and isinstance(value, list) and value and isinstance(value[0], dict):
        array = _from_bytes(name, spec, spec.raw, value)
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
    if not is_base64(value):
        raise BadInput(f'input "{name}": a value is not of expected type: string or {{"b64": …}}')
    return decode_base64(name, value)


def is_base64(value: Any) -> bool:
    """Whether a JSON value is `{"b64": "…"}`, which stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def decode_base64(name: str, value: dict[str, str]) -> bytes:
    """The bytes of `{"b64": "…"}`. White space and missing padding do not matter, as for absl's
    Base64Unescape. Raises BadInput, which names the input.
    """
    try:
        return binascii.a2b_base64(value["b64"], strict_mode=True)
    except (binascii.Error, ValueError):
        return _decode_loosely(name, "".join(value["b64"].split()))


def _decode_loosely(name: str, text: str) -> bytes:
    if not text.endswith("="):
        text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f'input "{name}": unable to base64 decode: {error}') from error


def _from_bytes(name: str, spec: TensorSpec, dtype: np.dtype[Any], values: list[Any]) -> Array:
    """One row from each bytes value: the row's memory in C order and native byte order."""
    shape = (spec.shape or ())[1:]
    sizes = [size for size in shape if size is not None]
    if len(sizes) < len(shape):
        raise BadInput(f'input "{name}" has no fixed size: send lists of numbers, not bytes')
    expected = dtype.itemsize * math.prod(sizes)
    rows = [_base64(name, value) for value in values]
    for index, row in enumerate(rows):
        if len(row) != expected:
            raise BadInput(
                f'input "{name}", element {index}: expected {expected} bytes '
                f"({_shape_text(shape)} {dtype}), got {len(row)}"
            )
    return np.frombuffer(b"".join(rows), dtype).reshape(len(rows), *sizes)


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
