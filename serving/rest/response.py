"""The body of a response: arrays → JSON."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from serving.errors import BadInput
from serving.rest import examples
from serving.rest.request import PREDICT, Query
from serving.runtimes.runtime import Array

NO_NUMBER = b"null"
"""What orjson writes for NaN and infinities, and otherwise only in a text."""


def render(query: Query, outputs: Mapping[str, Array]) -> bytes:
    """The body of the response to a query.

    predict: `{"predictions": [row, …]}` or, for the column format, `{"outputs": columns}`; a
    single output has no name. classify and regress: `{"results": […]}`.
    Raises BadInput if rows were requested and an output does not have one value per row.
    """
    if query.method == PREDICT:
        document = _predictions(query, outputs, fast=True)
        answer = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        if NO_NUMBER not in answer:
            return answer
        return json.dumps(_predictions(query, outputs, fast=False)).encode()
    columns = {name: _column(name, array, fast=False) for name, array in outputs.items()}
    results = examples.results(query.method, query.rows or 0, outputs, columns)
    return json.dumps({"results": results}).encode()


def _predictions(query: Query, outputs: Mapping[str, Array], *, fast: bool) -> dict[str, Any]:
    columns = {name: _column(name, array, fast) for name, array in outputs.items()}
    if query.rows is not None:
        return {"predictions": _rows(query.rows, outputs, columns)}
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def _rows(rows: int, outputs: Mapping[str, Array], columns: Mapping[str, Any]) -> Any:
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            size = len(array) if array.ndim else "none"
            raise BadInput(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {rows}"
            )
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [{name: column[row] for name, column in columns.items()} for row in range(rows)]


def _column(name: str, array: Array, fast: bool) -> Any:
    """An output as lists or, if `fast`, as an array for orjson, which cannot write NaN."""
    if array.dtype.kind in "OS":
        return _texts(array.tolist(), name.endswith("_bytes"))
    if fast and array.ndim:
        return np.ascontiguousarray(array)  # which turns a scalar into an array of one value
    return _shortest(array) if array.dtype.kind == "f" else array.tolist()


def _shortest(array: Array) -> Any:
    """Floats, as few digits as tell them apart in their own dtype, beside NaN and infinities.

    As Python numbers, float32 values would be printed with the digits of a double.
    """
    flat = np.ascontiguousarray(array).ravel()
    finite = orjson.loads(orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY))
    values = [
        float(value) if number is None else number
        for value, number in zip(flat, finite, strict=True)
    ]
    return np.array(values, object).reshape(array.shape).tolist()


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
