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


def request(*inputs: dict[str, Any], behind: bytes = b"") -> tuple[bytes, str]:
    head = json.dumps({"inputs": inputs}).encode()
    return head + behind, str(len(head))


def parse(*inputs: dict[str, Any], behind: bytes = b"") -> dict[str, TensorData]:
    return tensors.parse(*request(*inputs, behind=behind))[1]


def text(**more: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1], "datatype": "BYTES"} | more


def sized(size: int, **more: Any) -> dict[str, Any]:
    return text(parameters={"binary_data_size": size}, **more)


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_bytes_come_through_both_ways(elements: list[bytes]) -> None:
    shape = [len(elements)]
    behind = packed(*elements)
    assert parse(sized(len(behind), shape=shape), behind=behind)["image"] == elements
    data = [base64.b64encode(each).decode() for each in elements]
    assert parse(text(shape=shape, data=data))["image"] == elements


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_pixels_come_through_both_ways(values: list[int]) -> None:
    wanted = np.array(values, np.uint8).reshape(1, 2, 3)
    tensor = {"name": "pixels", "shape": [1, 2, 3], "datatype": "UINT8"}
    for data in (values, wanted.tolist()):
        found = parse(tensor | {"data": data})["pixels"]
        assert np.array_equal(found, wanted)
    binary = tensor | {"parameters": {"binary_data_size": 6}}
    found = parse(binary, behind=wanted.tobytes())["pixels"]
    assert np.array_equal(found, wanted)


def test_several_tensors_lie_behind_each_other() -> None:
    first, second = packed(b"one"), packed(b"two!")
    found = parse(sized(len(first), name="a"), sized(len(second), name="b"), behind=first + second)
    assert found == {"a": [b"one"], "b": [b"two!"]}


def test_a_body_without_the_header_is_json_alone() -> None:
    body, _ = request(text(data=[base64.b64encode(b"x").decode()]))
    assert tensors.parse(body, None)[1] == {"image": [b"x"]}


@pytest.mark.parametrize(
    ("given", "behind", "problem"),
    [
        (sized(9), packed(b"abc"), "binary_data_size is 9, but only 7 bytes follow"),
        (sized(7), packed(b"abc") + b"x", "1 bytes after the JSON belong to no input"),
        (sized(3), b"abc", "length of an element is cut short"),
        (sized(7), struct.pack("<I", 4) + b"abc", "element of 4 bytes is cut short"),
        (sized(7), struct.pack("<I", 2**32 - 1) + b"abc", "is cut short"),
        (sized(7, shape=[2]), packed(b"abc"), "1 elements do not fit the shape"),
        (sized(7, datatype="FP64"), packed(b"abc"), "datatype FP64"),
        (sized(7, datatype="UINT8"), packed(b"abc"), "7 bytes do not fit UINT8"),
        (sized(-1), b"", "greater than or equal to 0"),
        (text(data=["%"]), b"", "must be base64"),
        (text(data=[7]), b"", "must be base64"),
        (text(data=None), b"", "must be base64"),
        (text(data=["YQ=="], shape=[2]), b"", "1 elements do not fit the shape"),
        (text(shape=[-1], data=["YQ=="]), b"", "greater than or equal to 0"),
        (text(datatype="UINT8", data=[256]), b"", "does not fit"),
        (text(datatype="UINT8", data=[-1]), b"", "does not fit"),
        (text(datatype="UINT8", data=[0.5]), b"", "does not fit"),
        (text(datatype="UINT8", data=["a"]), b"", "does not fit"),
        (text(datatype="UINT8", data=[[1], [1, 2]]), b"", "does not fit"),
        (text(datatype="UINT8", data=[1, 2]), b"", "does not fit"),
        (sized(0, datatype="UINT8", shape=[0, 2**62, 2**62]), b"", "no array can have the shape"),
        (text(datatype="UINT8", data=[float("nan")]), b"", "does not fit"),
        (text(datatype="FP32", data=[float("inf")]), b"", "does not fit"),
        ({"name": "image"}, b"", "Field required"),
    ],
)
def test_what_cannot_be_is_named(given: dict[str, Any], behind: bytes, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        parse(given, behind=behind)


def test_a_name_sent_twice_is_refused() -> None:
    one = text(data=["YQ=="])
    with pytest.raises(BadRequest, match="image is sent twice"):
        parse(one, one)


@pytest.mark.parametrize("length", ["", "-1", "9999", "x", "1e3", "٣"])
def test_a_length_that_cannot_be(length: str) -> None:
    with pytest.raises(BadRequest, match="Inference-Header-Content-Length"):
        tensors.parse(b"{}", length)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 7}', b'{"inputs": [7]}'])
def test_a_request_that_cannot_be(body: bytes) -> None:
    with pytest.raises(BadRequest):
        tensors.parse(body, None)


@given(st.binary(max_size=200), st.integers(0, 220).map(str) | st.none())
def test_any_body_is_a_request_or_a_bad_one(body: bytes, length: str | None) -> None:
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


def test_outputs_behind_the_json() -> None:
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
