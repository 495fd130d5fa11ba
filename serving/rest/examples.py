"""classify and regress: features in JSON → tf.Example strings, and outputs → results."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.errors import BadInput
from serving.rest.tensors import decode_base64, is_base64
from serving.runtimes.runtime import Array, Signature
from serving.runtimes.saved_model import import_tensorflow

INPUTS = "inputs"
KINDS = {"classify": "classification", "regress": "regression"}
INT64_MAX = 2**63 - 1


def parse(document: Mapping[str, Any], method: str, signature: Signature) -> dict[str, Array]:
    """The signature's input: a tf.Example as bytes for each of the request's examples.

    Raises BadInput.
    """
    kind, expected = KINDS[method], f"tensorflow/serving/{method}"
    if signature.method != expected:
        raise BadInput(
            f"Expected {kind} signature method_name to be {expected}. Was: {signature.method}"
        )
    if signature.inputs.keys() != {INPUTS}:
        raise BadInput(
            f"No {kind} inputs found in SignatureDef: it must have one input, '{INPUTS}'; "
            f"it has {', '.join(sorted(signature.inputs))}"
        )
    if "examples" not in document:
        raise BadInput(f"When method is {method}, key 'examples' is expected and was not found")
    rows = document["examples"]
    if not isinstance(rows, list):
        raise BadInput("Expecting 'examples' value to be an list/array")
    if not rows:
        raise BadInput("'examples' value is an empty array")
    context = _example(document["context"]) if "context" in document else b""
    # Serialized messages of one type that are joined are merged when they are parsed.
    return {INPUTS: np.array([context + _example(row) for row in rows], object)}


def _example(features: Any) -> bytes:
    """The serialized tf.Example of `{"name": value or [values], …}`."""
    if not isinstance(features, dict):
        raise BadInput(f"Example must be JSON object but got JSON {type(features).__name__}")
    train = import_tensorflow().train  # loaded: only SavedModels have these signatures
    example = train.Example()
    for name, content in features.items():
        values = content if isinstance(content, list) else [content]
        example.features.feature[name].CopyFrom(_feature(name, values, train))
    serialized: bytes = example.SerializeToString()
    return serialized


def _feature(name: str, values: list[Any], train: Any) -> Any:
    if not values:
        return train.Feature()
    if all(isinstance(value, int) for value in values):
        if any(abs(value) > INT64_MAX for value in values):
            raise BadInput(f"Feature: {name} has an integer that does not fit int64.")
        return train.Feature(int64_list=train.Int64List(value=values))
    if all(isinstance(value, float) for value in values):
        return train.Feature(float_list=train.FloatList(value=values))
    if all(isinstance(value, str) or is_base64(value) for value in values):
        texts = [
            value.encode() if isinstance(value, str) else decode_base64(name, value)
            for value in values
        ]
        return train.Feature(bytes_list=train.BytesList(value=texts))
    raise BadInput(
        f"Feature: {name} must have values of one type: integers, floats (1.0, not 1), or strings"
    )


def results(
    method: str, rows: int, outputs: Mapping[str, Array], columns: Mapping[str, Any]
) -> list[Any]:
    """regress: a value per example. classify: a list of [label, score] per example.

    `columns` has the outputs as lists. Raises BadInput for outputs of other names and shapes.
    """
    if method == "regress":
        _require(outputs, ["outputs"], rows, ranks=(1, 2))
        if outputs["outputs"].size != rows:
            raise BadInput(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
                f"but got {list(outputs['outputs'].shape)}"
            )
        return [row[0] if isinstance(row, list) else row for row in columns["outputs"]]
    names = [name for name in ("classes", "scores") if name in outputs]
    if not names:
        raise BadInput(
            'Expected classification signature outputs to contain at least one of "classes" or '
            f'"scores". It has {", ".join(sorted(outputs))}'
        )
    _require(outputs, names, rows, ranks=(2,))
    shape = outputs[names[0]].shape
    if any(outputs[name].shape != shape for name in names):
        raise BadInput("Tensors class and score should match in dim_size(1).")
    labels = columns.get("classes", np.full(shape, "").tolist())
    scores = columns.get("scores", np.zeros(shape).tolist())
    return [
        [list(pair) for pair in zip(*row, strict=True)] for row in zip(labels, scores, strict=True)
    ]


def _require(
    outputs: Mapping[str, Array], names: list[str], rows: int, ranks: tuple[int, ...]
) -> None:
    for name in names:
        if name not in outputs:
            raise BadInput(f"No output '{name}' found in SignatureDef.")
        array = outputs[name]
        if array.ndim not in ranks or len(array) != rows:
            raise BadInput(
                f"Expected {name} output of batch size {rows}. Got shape: {list(array.shape)}"
            )
