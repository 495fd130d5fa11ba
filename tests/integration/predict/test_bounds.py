"""What is parsed is bounded, and what is sent back of it is short: no request ends in 5xx."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from facet.errors import BodyTooLarge
from facet.registry.models import Version
from predict.http import responses
from tests.support.api import PNG, Reply, call, predict

pytestmark = pytest.mark.usefixtures("functions", "live")

IMAGE = base64.b64encode(PNG).decode()
LONG = "x" * 100_000
HUGE = "1" + "0" * 4000


def short(reply: Reply, *statuses: int) -> bool:
    return reply.status in statuses and len(json.dumps(reply.document)) < 5000


@pytest.mark.parametrize("text", ["0000000019999", "0" * 5000, "9" * 5000, "1" * 13, LONG, "٣"])
def test_a_number_s_length_is_bounded(text: str) -> None:
    assert predict(top_k=text).problem == (400, "bad-request")
    assert short(predict(top_k=text), 400)
    assert short(call("GET", "/models", limit=text), 400)
    header = {"Inference-Header-Content-Length": text}
    assert short(call("POST", "/v2/models/cifar/infer", b"{}", headers=header), 400)


def test_numbers_may_have_some_zeros_before_them() -> None:
    assert len(predict(top_k="0002").document["predictions"]) == 2


def test_a_long_version_or_token_is_not_repeated_in_full() -> None:
    assert short(predict(version=LONG), 400)
    assert short(call("GET", "/models", after=LONG), 400)
    assert short(call("GET", "/models/cifar", next_token=LONG), 400)


@pytest.mark.parametrize("name", [LONG, "é" * 3000])
def test_a_long_name_in_a_path_is_unknown(name: str, live: Version) -> None:
    for path in (f"/models/{name}", f"/v2/models/{name}", f"/v2/models/{name}/ready"):
        assert short(call("GET", path), 404)
    assert short(call("GET", f"/v2/models/cifar/versions/{name}"), 404)
    assert short(call("GET", f"/v2/models/{name}/versions/{live.id}"), 404)
    assert short(call("POST", f"/models/{name}/predict", PNG, "image/png"), 404)


def infer(document: dict[str, Any], **headers: str) -> Reply:
    body = json.dumps(document).encode()
    return call("POST", "/v2/models/cifar/infer", body, "application/json", headers=headers)


def inference(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [IMAGE]} | changes
    return {"inputs": [tensor]}


@pytest.mark.parametrize(
    "document",
    [
        inference(name=LONG),
        inference(datatype=LONG),
        inference(datatype=LONG, data=[1]),
        inference(shape=[1] * 9),
        inference(data=[int(HUGE)]),
        inference(data={LONG: LONG}),
        inference(data=[LONG, [LONG]]),
        inference(data=[LONG] * 3),
        inference(name="pixels", datatype="UINT8", shape=[2000], data=[LONG] + ["a"] * 1999),
        inference(name="pixels", datatype="UINT8", data=[[[{LONG: 1}]]]),
        inference() | {"id": "\0" * 100_000},
        inference() | {"outputs": [{"name": LONG}]},
        inference() | {"outputs": [{"name": "scores"}] * 50_000},
        inference() | {"outputs": [{"name": "scores"}] * 2},
        {"inputs": inference(shape=[0], data=[])["inputs"] * 50_000},
        {"inputs": [{LONG: LONG}] * 20},
    ],
)
def test_a_part_of_an_inference_request_that_is_too_long_is_named(document: dict[str, Any]) -> None:
    reply = infer(document)
    assert short(reply, 400)
    assert reply.document["detail"] == reply.document["error"]


@pytest.mark.parametrize("field", ["shape", "size", "classification"])
def test_huge_numbers_in_an_inference_request_are_rejected(field: str) -> None:
    """`json` cannot write numbers of that many digits."""
    document = inference() | {"outputs": [{"name": "scores"}]}
    if field == "shape":
        document["inputs"][0]["shape"] = ["@"]
    elif field == "size":
        document["inputs"][0]["parameters"] = {"binary_data_size": "@"}
    else:
        document["outputs"][0]["parameters"] = {"classification": "@"}
    body = json.dumps(document).replace('"@"', HUGE).encode()
    reply = call("POST", "/v2/models/cifar/infer", body, "application/json")
    assert short(reply, 400)


def test_deeply_nested_json_is_rejected() -> None:
    deep = b'{"inputs":' + b"[" * 100_000
    assert short(call("POST", "/v2/models/cifar/infer", deep, "application/json"), 400)
    assert short(predict(b"[" * 100_000, "application/json"), 400)
    nested: Any = IMAGE
    for _ in range(150):
        nested = [nested]
    assert infer(inference(data=nested)).status == 200


def test_a_long_header_is_not_repeated_in_full() -> None:
    assert short(infer(inference(), **{"Content-Encoding": LONG}), 400)
    assert short(predict(PNG, f"multipart/form-data; boundary={LONG}"), 400)


@pytest.mark.parametrize(
    "key", ["inbox/" + "a" * 2000, "inbox/", "inbox/a/b", "inbox/a\0", "inbox/é", "inbox/" + LONG]
)
def test_a_key_that_no_upload_has_is_unknown(key: str) -> None:
    reply = predict(json.dumps({"s3": key}).encode(), "application/json")
    assert reply.problem == (404, "unknown-upload")
    assert short(reply, 404)


def test_the_part_of_a_key_that_is_shown_ends_with_an_ellipsis() -> None:
    reply = predict(json.dumps({"s3": "inbox/" + "a" * 2000}).encode(), "application/json")
    assert f"'inbox/{'a' * 94}…'" in reply.document["detail"]


def test_a_form_of_many_parts_is_rejected() -> None:
    part = b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'
    assert short(predict(part * 10_000 + b"--b--", "multipart/form-data; boundary=b"), 400)


def test_an_answer_too_large_for_lambda_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_ANSWER", 200)
    assert predict(top_k="1").status == 200
    many = json.dumps({"images": [IMAGE] * 4}).encode()
    assert predict(many, "application/json").problem == (413, "body-too-large")
    assert infer(inference(shape=[4], data=[IMAGE] * 4)).problem == (413, "body-too-large")


def test_a_size_is_that_of_the_body_in_lambda_s_answer() -> None:
    responses.check_size("x" * 5_999_998)
    responses.check_size(bytes(4_500_000))
    for body in ("x" * 6_000_000, '"' * 3_000_000, bytes(4_500_010)):
        with pytest.raises(BodyTooLarge):
            responses.check_size(body)


def test_numbers_of_any_nesting_are_read() -> None:
    values = np.arange(8 * 8 * 3).reshape(1, 8, 8, 3) % 256
    for data in (values.tolist(), values.ravel().tolist()):
        sent = inference(name="pixels", datatype="UINT8", shape=[1, 8, 8, 3], data=data)
        assert infer(sent).status == 200


def test_a_form_s_top_k_counts_unless_the_query_has_one() -> None:
    head = "--b\r\ncontent-disposition: form-data; name="
    body = f'{head}"top_k"\r\n\r\n2\r\n{head}"image"; filename="a"\r\n\r\n'.encode()
    body += PNG + b"\r\n--b--"
    kind = "multipart/form-data; boundary=b"
    assert len(predict(body, kind).document["predictions"]) == 2
    assert len(predict(body, kind, top_k="1").document["predictions"]) == 1
    assert short(predict(body.replace(b"\n2\r", b"\n0\r"), kind), 400)
