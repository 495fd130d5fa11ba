"""TensorFlow Serving's REST form, without a model."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from serving import rest
from serving.errors import BadInput
from serving.runtimes.runtime import Signature, TensorSpec


def spec(dtype: str, *shape: int | None, raw: bool = False) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, raw)


ONE = {"serving_default": Signature({"image": spec("float32", None, 2)})}
PIXELS = {"serving_default": Signature({"image": spec("uint8", None, 2, 2, raw=True)})}
TEXT = {"serving_default": Signature({"image": spec("object", None)})}
TWO = {
    "serving_default": Signature(
        {"a": spec("int32", None, 2), "b": spec("object", None), "c": spec("bool", None)}
    )
}


def parse(document: Any, signatures: dict[str, Signature]) -> rest.Query:
    return rest.parse(json.dumps(document).encode(), signatures)


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


@pytest.mark.parametrize(
    "instances", [[[1, 2], [3, 4.5]], [{"image": [1, 2]}, {"image": [3, 4.5]}]]
)
def test_instances_become_one_batch(instances: Any) -> None:
    query = parse({"instances": instances}, ONE)
    assert query.rows == 2
    assert query.signature == "serving_default"
    assert query.inputs["image"].dtype == np.float32
    assert query.inputs["image"].tolist() == [[1, 2], [3, 4.5]]


@pytest.mark.parametrize("inputs", [[[1, 2]], {"image": [[1, 2]]}])
def test_inputs_are_columns(inputs: Any) -> None:
    query = parse({"inputs": inputs}, ONE)
    assert query.rows is None
    assert query.inputs["image"].tolist() == [[1, 2]]


def test_signature_name_chooses_the_signature() -> None:
    signatures = {"other": ONE["serving_default"]}
    assert parse({"signature_name": "other", "instances": [[1, 2]]}, signatures).rows == 1
    with pytest.raises(BadInput, match="not found in signature def, which has other"):
        parse({"instances": [[1, 2]]}, signatures)


def test_a_signature_with_several_tensors() -> None:
    rows = [{"a": [1, 2], "b": "x", "c": True}, {"a": [3, 4], "b": b64(b"\xff"), "c": False}]
    query = parse({"instances": rows}, TWO)
    assert query.inputs["a"].tolist() == [[1, 2], [3, 4]]
    assert query.inputs["b"].tolist() == [b"x", b"\xff"]
    assert query.inputs["c"].tolist() == [True, False]


def test_bytes_are_the_memory_of_a_numeric_tensor() -> None:
    query = parse({"instances": [b64(b"\0\1\2\3"), b64(b"\4\5\6\7")]}, PIXELS)
    assert query.inputs["image"].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert parse({"inputs": {"image": [b64(b"\0\1\2\3")]}}, PIXELS).inputs["image"].shape == (
        1,
        2,
        2,
    )


def test_bytes_of_the_wrong_length_name_both_lengths() -> None:
    with pytest.raises(BadInput, match=r'"image", element 1: expected 4 bytes .*, got 3'):
        parse({"instances": [b64(b"1234"), b64(b"123")]}, PIXELS)


def test_parses_nan() -> None:
    query = rest.parse(b'{"instances": [[NaN, -Infinity]]}', ONE)
    assert np.isnan(query.inputs["image"][0, 0])
    assert query.inputs["image"][0, 1] == -np.inf


@pytest.mark.parametrize(
    ("document", "signatures", "message"),
    [
        ({}, ONE, "Missing 'inputs' or 'instances' key"),
        ([], ONE, "Is not object"),
        ({"instances": [], "inputs": []}, ONE, "expecting only one of 'inputs' or 'instances'"),
        ({"instances": []}, ONE, "No values in 'instances' array"),
        ({"instances": 3}, ONE, "'instances' to be an list/array"),
        ({"signature_name": 5, "instances": [1]}, ONE, "must be a string value"),
        ({"instances": [[1, 2], [3]]}, ONE, '"image": rows differ in shape'),
        ({"instances": [[1, 2, 3]]}, ONE, r"expected shape \[\?, 2\], got \[1, 3\]"),
        ({"instances": ["a"]}, ONE, "not of expected type: float32"),
        ({"instances": [[True, False]]}, ONE, "not of expected type: float32"),
        ({"instances": [None]}, ONE, "not of expected type: float32"),
        ({"instances": [b64(b"1234")]}, ONE, "not of expected type: float32"),
        ({"instances": [[[1, 2], [3, 256]]]}, PIXELS, "does not fit its type: uint8"),
        ({"instances": [[[1, 2], [3, 0.5]]]}, PIXELS, "does not fit its type: uint8"),
        ({"instances": [[[1, 2], [3, -1]]]}, PIXELS, "does not fit its type: uint8"),
        ({"instances": [{"b64": "?"}]}, PIXELS, "unable to base64 decode"),
        ({"instances": [{"b64": 1}]}, TEXT, "not of expected type: string"),
        ({"instances": [7]}, TEXT, "not of expected type: string"),
        ({"instances": ["a", ["b"]]}, TEXT, "rows differ in shape"),
        ({"instances": [[1, 2]]}, TWO, "expecting list of objects as multiple input"),
        ({"instances": [{"a": [1, 2]}]}, TWO, "keys must be equal to: a,b,c"),
        ({"inputs": [1]}, TWO, "expecting an object as multiple input"),
        ({"inputs": {"a": [[1, 2]], "b": ["x"]}}, TWO, "Missing named input: c"),
    ],
)
def test_rejects_what_tensorflow_serving_rejects(
    document: Any, signatures: dict[str, Signature], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        parse(document, signatures)


@pytest.mark.parametrize("body", [b"", b"{", b"1,2\n3,4", b"\xff", b"[" * 100_000])
def test_rejects_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(BadInput, match="JSON Parse error"):
        rest.parse(body, ONE)


def test_renders_predictions() -> None:
    scores = np.array([[0.1, 0.9], [0.5, 0.5]], np.float32)
    assert rest.render(2, {"scores": scores}) == b'{"predictions":[[0.1,0.9],[0.5,0.5]]}'
    several = json.loads(rest.render(2, {"scores": scores, "best": np.array([1, 0])}))
    assert several == {
        "predictions": [{"scores": [0.1, 0.9], "best": 1}, {"scores": [0.5, 0.5], "best": 0}]
    }


def test_renders_outputs() -> None:
    scores = np.array([[0.1, 0.9]], np.float32).T
    assert json.loads(rest.render(None, {"scores": scores})) == {"outputs": [[0.1], [0.9]]}
    assert json.loads(rest.render(None, {"total": np.array(7)})) == {"outputs": 7}
    several = rest.render(None, {"a": np.array([1], np.float32), "b": np.array([2])})
    assert json.loads(several) == {"outputs": {"a": [1.0], "b": [2]}}


def test_renders_strings_and_bytes() -> None:
    words = np.array([b"cat", b"\xff"], dtype=object)
    assert json.loads(rest.render(2, {"label": words})) == {"predictions": ["cat", b64(b"\xff")]}
    assert json.loads(rest.render(2, {"png_bytes": words}))["predictions"][0] == b64(b"cat")


def test_renders_nan_as_tensorflow_serving_does() -> None:
    assert (
        rest.render(1, {"scores": np.array([[np.nan, 1]], np.float32)})
        == b'{"predictions": [[NaN, 1.0]]}'
    )


@pytest.mark.parametrize("output", [np.array([1, 2, 3], np.float32), np.array(1, np.float32)])
def test_rejects_an_output_without_one_value_per_row(output: Any) -> None:
    with pytest.raises(BadInput, match=r"scores has inconsistent batch size: .* expecting: 2"):
        rest.render(2, {"scores": np.asarray(output)})
