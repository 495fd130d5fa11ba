"""functions/predict/http/tensors.py: the wire format of the Open Inference Protocol."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facet.errors import BadRequest
from predict.http import tensors
from predict.http.tensors import OutputTensor, TensorData


def request(*inputs: dict[str, Any], binary: bytes = b"") -> tuple[bytes, str]:
    head = json.dumps({"inputs": inputs}).encode()
    return head + binary, str(len(head))


def parse(*inputs: dict[str, Any], binary: bytes = b"") -> dict[str, TensorData]:
    return tensors.parse(*request(*inputs, binary=binary))[1]


def image_input(**more: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1], "datatype": "BYTES"} | more


def binary_input(size: int, **more: Any) -> dict[str, Any]:
    return image_input(parameters={"binary_data_size": size}, **more)


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_bytes_are_read_from_json_and_from_binary_data(elements: list[bytes]) -> None:
    shape = [len(elements)]
    binary = packed(*elements)
    assert parse(binary_input(len(binary), shape=shape), binary=binary)["image"] == elements
    data = [base64.b64encode(each).decode() for each in elements]
    assert parse(image_input(shape=shape, data=data))["image"] == elements


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_pixels_are_read_from_json_and_from_binary_data(values: list[int]) -> None:
    expected = np.array(values, np.uint8).reshape(1, 2, 3)
    tensor = {"name": "pixels", "shape": [1, 2, 3], "datatype": "UINT8"}
    for data in (values, expected.tolist()):
        found = parse(tensor | {"data": data})["pixels"]
        assert np.array_equal(found, expected)
    binary = tensor | {"parameters": {"binary_data_size": 6}}
    found = parse(binary, binary=expected.tobytes())["pixels"]
    assert np.array_equal(found, expected)


def test_several_tensors_follow_each_other_in_the_binary_data() -> None:
    first, second = packed(b"one"), packed(b"two!")
    found = parse(
        binary_input(len(first), name="a"),
        binary_input(len(second), name="b"),
        binary=first + second,
    )
    assert found == {"a": [b"one"], "b": [b"two!"]}


def test_a_body_without_the_length_header_is_json_only() -> None:
    body, _ = request(image_input(data=[base64.b64encode(b"x").decode()]))
    assert tensors.parse(body, None)[1] == {"image": [b"x"]}


@pytest.mark.parametrize(
    ("tensor", "binary", "problem"),
    [
        (binary_input(9), packed(b"abc"), "binary_data_size is 9, but only 7 bytes follow"),
        (binary_input(7), packed(b"abc") + b"x", "1 bytes after the JSON belong to no input"),
        (binary_input(3), b"abc", "length of an element is cut short"),
        (binary_input(7), struct.pack("<I", 4) + b"abc", "element of 4 bytes is cut short"),
        (binary_input(7), struct.pack("<I", 2**32 - 1) + b"abc", "is cut short"),
        (binary_input(7, shape=[2]), packed(b"abc"), "1 elements do not fit the shape"),
        (binary_input(7, datatype="FP64"), packed(b"abc"), "datatype FP64"),
        (binary_input(7, datatype="UINT8"), packed(b"abc"), "7 bytes do not fit UINT8"),
        (binary_input(-1), b"", "greater than or equal to 0"),
        (image_input(data=["%"]), b"", "must be base64"),
        (image_input(data=[7]), b"", "must be base64"),
        (image_input(data=None), b"", "must be base64"),
        (image_input(data=["YQ=="], shape=[2]), b"", "1 elements do not fit the shape"),
        (image_input(shape=[-1], data=["YQ=="]), b"", "greater than or equal to 0"),
        (image_input(datatype="UINT8", data=[256]), b"", "does not fit"),
        (image_input(datatype="UINT8", data=[-1]), b"", "does not fit"),
        (image_input(datatype="UINT8", data=[0.5]), b"", "does not fit"),
        (image_input(datatype="UINT8", data=["a"]), b"", "does not fit"),
        (image_input(datatype="UINT8", data=[[1], [1, 2]]), b"", "does not fit"),
        (image_input(datatype="UINT8", data=[1, 2]), b"", "does not fit"),
        (
            binary_input(0, datatype="UINT8", shape=[0, 2**31 - 1, 2**31 - 1, 2**31 - 1]),
            b"",
            "no array can have the shape",
        ),
        (image_input(datatype="UINT8", data=[float("nan")]), b"", "does not fit"),
        (image_input(datatype="FP32", data=[float("inf")]), b"", "does not fit"),
        ({"name": "image"}, b"", "Field required"),
    ],
)
def test_invalid_tensors_are_rejected_with_the_reason(
    tensor: dict[str, Any], binary: bytes, problem: str
) -> None:
    with pytest.raises(BadRequest, match=problem):
        parse(tensor, binary=binary)


def test_a_duplicate_input_is_rejected() -> None:
    one = image_input(data=["YQ=="])
    with pytest.raises(BadRequest, match="image is sent twice"):
        parse(one, one)


@pytest.mark.parametrize("length", ["", "-1", "9999", "x", "1e3", "٣"])
def test_an_invalid_length_header_is_rejected(length: str) -> None:
    with pytest.raises(BadRequest, match="Inference-Header-Content-Length"):
        tensors.parse(b"{}", length)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 7}', b'{"inputs": [7]}'])
def test_an_invalid_request_is_rejected(body: bytes) -> None:
    with pytest.raises(BadRequest):
        tensors.parse(body, None)


@given(st.binary(max_size=200), st.integers(0, 220).map(str) | st.none())
def test_any_body_is_parsed_or_a_bad_request(body: bytes, length: str | None) -> None:
    try:
        tensors.parse(body, length)
    except BadRequest:
        return


def test_outputs_in_json() -> None:
    scores: NDArray[np.float32] = np.array([[0.25, 0.75]], np.float32)
    outputs = [
        OutputTensor("scores", scores.shape, scores, False),
        OutputTensor("label", [1], ["é"], False),
    ]
    body, length = tensors.compose({"model_name": "cifar"}, outputs)
    assert length is None
    assert json.loads(body) == {
        "model_name": "cifar",
        "outputs": [
            {"name": "scores", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["é"]},
        ],
    }


def test_outputs_as_binary_data() -> None:
    scores: NDArray[np.float32] = np.array([[0.25, 0.75]], np.float32)
    outputs = [
        OutputTensor("scores", scores.shape, scores, True),
        OutputTensor("label", [1], ["é"], True),
    ]
    body, length = tensors.compose({}, outputs)
    assert length
    sizes = [
        each["parameters"]["binary_data_size"] for each in json.loads(body[:length])["outputs"]
    ]
    assert sizes == [8, 6]
    assert body[length:] == scores.tobytes() + packed("é".encode())
