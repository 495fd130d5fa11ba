"""The body of a request: JSON → arrays."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from serving.errors import BadInput
from serving.rest import examples
from serving.rest.tensors import tensor
from serving.runtimes.runtime import Array, Signature, TensorSpec

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "predict"
STRING_OR_INF = re.compile(r'"(?:[^"\\]|\\.)*"|\bInf\b')


@dataclass(frozen=True)
class Request:
    """The body of a request to a method: predict, classify or regress."""

    body: bytes
    method: str = PREDICT


@dataclass(frozen=True)
class Query:
    """A parsed request. rows: the number of instances, None for the column format."""

    method: str
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
        """What queries that are joined row by row have in common."""
        return (
            self.method,
            self.signature,
            tuple(sorted((k, v.shape[1:], v.dtype.str) for k, v in self.inputs.items())),
        )


def parse(request: Request, signatures: Mapping[str, Signature]) -> Query:
    """The query in a request to a model with these signatures. Raises BadInput.

    predict takes `{"signature_name", "instances": [rows]}` or `{"inputs": columns}`; classify and
    regress take `{"signature_name", "examples": [features], "context": features}`.
    """
    document = _document(request.body)
    name = document.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise BadInput("'signature_name' key must be a string value.")
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise BadInput(
            f'Serving signature name: "{name}" not found in signature def, '
            f"which has {', '.join(sorted(signatures))}"
        )
    if request.method != PREDICT:
        inputs = examples.parse(document, request.method, signatures[name])
        return Query(request.method, name, inputs, len(inputs[examples.INPUTS]))
    return _predict_query(document, name, signatures[name].inputs)


def _predict_query(document: dict[str, Any], name: str, specs: Mapping[str, TensorSpec]) -> Query:
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
    return Query(PREDICT, name, inputs, rows)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _loosely(body)
    if not isinstance(document, dict):
        raise BadInput("JSON Value: Is not object")
    return document


def _loosely(body: bytes) -> Any:
    """Parse JSON as TensorFlow Serving does.

    It reads NaN, Infinity and Inf as numbers, and ignores what follows the document (rapidjson's
    kParseNanAndInfFlag and kParseStopWhenDoneFlag).
    """
    try:
        text = STRING_OR_INF.sub(
            lambda match: "Infinity" if match[0] == "Inf" else match[0], body.decode()
        )
        return json.JSONDecoder().raw_decode(text.lstrip())[0]
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
