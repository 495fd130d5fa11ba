"""TensorFlow Serving's REST form, without a model."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from serving.errors import BadInput
from serving.rest import request, response
from serving.rest.request import PREDICT, Query, Request
from serving.runtimes.runtime import Signature, TensorSpec


def spec(dtype: str, *shape: int | None, raw: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, np.dtype(raw) if raw else None)


ONE = {"serving_default": Signature({"image": spec("float32", None, 2)})}
PIXELS = {"serving_default": Signature({"image": spec("uint8", None, 2, 2, raw="uint8")})}
QUANTISED = {"serving_default": Signature({"image": spec("float32", None, 4, raw="uint8")})}
TEXT = {"serving_default": Signature({"image": spec("object", None)})}
TWO = {
    "serving_default": Signature(
        {"a": spec("int32", None, 2), "b": spec("object", None), "c": spec("bool", None)}
    )
}


def parse(document: Any, signatures: dict[str, Signature]) -> Query:
    return request.parse(Request(json.dumps(document).encode()), signatures)


def render(rows: int | None, outputs: dict[str, Any]) -> bytes:
    return response.render(Query(PREDICT, "serving_default", {}, rows), outputs)


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


def test_bytes_of_a_quantised_tensor_are_its_integers_and_lists_real_numbers() -> None:
    raw = parse({"instances": [b64(b"\0\1\2\3")]}, QUANTISED)
    real = parse({"instances": [[0, 1, 2, 3]]}, QUANTISED)
    assert raw.inputs["image"].dtype == np.uint8
    assert real.inputs["image"].dtype == np.float32
    assert raw.form != real.form  # the container must not join them


def test_bytes_of_the_wrong_length_name_both_lengths() -> None:
    with pytest.raises(BadInput, match=r'"image", element 1: expected 4 bytes .*, got 3'):
        parse({"instances": [b64(b"1234"), b64(b"123")]}, PIXELS)


def test_parses_nan() -> None:
    query = request.parse(Request(b'{"instances": [[NaN, -Infinity]]}'), ONE)
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


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_rejects_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(BadInput, match="JSON Parse error"):
        request.parse(Request(body), ONE)


def test_renders_predictions() -> None:
    scores = np.array([[0.1, 0.9], [0.5, 0.5]], np.float32)
    assert render(2, {"scores": scores}) == b'{"predictions":[[0.1,0.9],[0.5,0.5]]}'
    several = json.loads(render(2, {"scores": scores, "best": np.array([1, 0])}))
    assert several == {
        "predictions": [{"scores": [0.1, 0.9], "best": 1}, {"scores": [0.5, 0.5], "best": 0}]
    }


def test_renders_outputs() -> None:
    scores = np.array([[0.1, 0.9]], np.float32).T
    assert json.loads(render(None, {"scores": scores})) == {"outputs": [[0.1], [0.9]]}
    assert json.loads(render(None, {"total": np.array(7)})) == {"outputs": 7}
    several = render(None, {"a": np.array([1], np.float32), "b": np.array([2])})
    assert json.loads(several) == {"outputs": {"a": [1.0], "b": [2]}}


def test_renders_strings_and_bytes() -> None:
    words = np.array([b"cat", b"\xff"], dtype=object)
    assert json.loads(render(2, {"label": words})) == {"predictions": ["cat", b64(b"\xff")]}
    assert json.loads(render(2, {"png_bytes": words}))["predictions"][0] == b64(b"cat")


def test_renders_nan_as_tensorflow_serving_does() -> None:
    assert (
        render(1, {"scores": np.array([[np.nan, 1]], np.float32)})
        == b'{"predictions": [[NaN, 1.0]]}'
    )


@pytest.mark.parametrize("output", [np.array([1, 2, 3], np.float32), np.array(1, np.float32)])
def test_rejects_an_output_without_one_value_per_row(output: Any) -> None:
    with pytest.raises(BadInput, match=r"scores has inconsistent batch size: .* expecting: 2"):
        render(2, {"scores": np.asarray(output)})


@pytest.mark.parametrize("body", [b"[1]", b"1,2\n3,4", b'"text"'])
def test_rejects_a_document_that_is_no_object(body: bytes) -> None:
    with pytest.raises(BadInput, match="JSON Value: Is not object"):
        request.parse(Request(body), ONE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[Inf, -Inf]]}',
        b'{"signature_name": "", "instances": [[Infinity, -Infinity]]}',
        b'{"instances": [[Inf, -Inf]], "note": "\\"Inf"} and more',
    ],
)
def test_reads_what_tensorflow_serving_reads_beyond_json(body: bytes) -> None:
    query = request.parse(Request(body), ONE)
    assert query.inputs["image"].tolist() == [[np.inf, -np.inf]]


def test_inf_in_a_string_stays_text() -> None:
    query = request.parse(Request(b'{"instances": ["Inf"], "other": NaN}'), TEXT)
    assert query.inputs["image"].tolist() == [b"Inf"]


@pytest.mark.parametrize("text", ["YQ==", "YQ", "Y\nQ =="])
def test_base64_may_lack_padding_and_have_white_space(text: str) -> None:
    assert parse({"instances": [{"b64": text}]}, TEXT).inputs["image"].tolist() == [b"a"]


@pytest.mark.parametrize("text", ["YQ=", "Y", "Y_==", "é"])
def test_rejects_other_base64(text: str) -> None:
    with pytest.raises(BadInput, match='input "image": unable to base64 decode'):
        parse({"instances": [{"b64": text}]}, TEXT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_beside_an_infinity_have_the_digits_of_their_dtype(dtype: type) -> None:
    scores: Any = np.array([[0.1, np.inf], [np.nan, -np.inf]], dtype)
    assert render(2, {"scores": scores}) == b'{"predictions": [[0.1, Infinity], [NaN, -Infinity]]}'


CLASSIFY = "tensorflow/serving/classify"


def test_classify_needs_a_signature_of_its_method() -> None:
    body = Request(b'{"examples": [{"x": 1.0}]}', "classify")
    with pytest.raises(BadInput, match=f"method_name to be {CLASSIFY}. Was: .*/predict"):
        request.parse(body, ONE)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "When method is classify, key 'examples' is expected"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON int"),
        ({"examples": [{"x": [1, 2.5]}]}, "Feature: x must have values of one type"),
        ({"examples": [{"x": [None]}]}, "Feature: x must have values of one type"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has an integer that does not fit int64"),
    ],
)
def test_rejects_examples_that_are_none(document: Any, reason: str) -> None:
    signatures = {"serving_default": Signature({"inputs": spec("object", None)}, method=CLASSIFY)}
    with pytest.raises(BadInput, match=re.escape(reason)):
        request.parse(Request(json.dumps(document).encode(), "classify"), signatures)


def results(method: str, rows: int, **outputs: Any) -> Any:
    query = Query(method, "serving_default", {}, rows)
    arrays = {name: np.array(value) for name, value in outputs.items()}
    return json.loads(response.render(query, arrays))["results"]


def test_classify_answers_labels_and_scores() -> None:
    scores = np.array([[0.25, 0.5], [1, 0]], np.float32)
    classes = np.array([[b"cat", b"dog"], [b"cat", b"dog"]], object)
    assert results("classify", 2, scores=scores, classes=classes) == [
        [["cat", 0.25], ["dog", 0.5]],
        [["cat", 1.0], ["dog", 0.0]],
    ]
    assert results("classify", 2, scores=scores)[0] == [["", 0.25], ["", 0.5]]
    assert results("classify", 2, classes=classes)[1] == [["cat", 0.0], ["dog", 0.0]]


def test_regress_answers_a_number_for_each_example() -> None:
    values = np.array([2.5, 0.1], np.float32)
    assert results("regress", 2, outputs=values) == [2.5, 0.1]
    assert results("regress", 2, outputs=values.reshape(2, 1)) == [2.5, 0.1]


@pytest.mark.parametrize(
    ("method", "outputs"),
    [
        ("regress", {"scores": [1.0]}),
        ("regress", {"outputs": [[1.0, 2.0]]}),
        ("regress", {"outputs": 1.0}),
        ("classify", {"outputs": [[1.0]]}),
        ("classify", {"scores": [[1.0], [2.0]]}),
        ("classify", {"scores": [[1.0]], "classes": [[b"a", b"b"]]}),
    ],
)
def test_rejects_outputs_that_are_no_results(method: str, outputs: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        results(method, 1, **outputs)
