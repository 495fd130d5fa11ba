"""The routes under /v2: the Open Inference Protocol. tests/journeys uses a real client."""

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from facet.registry.models import Version
from tests.support.api import PNG, Reply, call, predict
from tests.support.aws import fakes
from tests.support.versions import backbone, make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

pytestmark = pytest.mark.usefixtures("functions")

IMAGE = {
    "name": "image",
    "shape": [1],
    "datatype": "BYTES",
    "data": [base64.b64encode(PNG).decode()],
}
PIXELS = {
    "name": "pixels",
    "shape": [2, 8, 8, 3],
    "datatype": "UINT8",
    "data": list(np.arange(384) % 256),
}


def infer(*inputs: dict[str, Any], path: str = "/v2/models/cifar", **more: Any) -> Reply:
    document = {"inputs": inputs} | more
    body = json.dumps(document, default=int).encode()
    return call("POST", f"{path}/infer", body, "application/json")


def outputs(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.document
    return {each["name"]: each for each in reply.document["outputs"]}


def test_server_metadata_and_health() -> None:
    assert call("GET", "/v2").document["name"] == "facet"
    assert call("GET", "/v2/health/live").status == 200
    assert call("GET", "/v2/health/ready").status == 200


def test_model_metadata_and_readiness(live: Version) -> None:
    document = call("GET", "/v2/models/cifar").document
    assert document["versions"] == [live.id]
    assert document["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [each["shape"] for each in document["outputs"]] == [[-1, 3], [-1]]
    assert call("GET", f"/v2/models/cifar/versions/{live.id}").document == document
    assert call("GET", "/v2/models/cifar/ready").status == 200
    assert call("GET", f"/v2/models/cifar/versions/{live.id}/ready").status == 200


def test_no_route_of_a_model_serves_a_backbone(table: "Table") -> None:
    live = make_live(table, backbone(1))
    for path in ("/v2/models/mobilenet", f"/v2/models/mobilenet/versions/{live.id}"):
        for reply in (call("GET", path), call("GET", f"{path}/ready"), infer(IMAGE, path=path)):
            assert reply.status == 409
            assert reply.document["type"] == "urn:facet:problem:not-a-classifier"
            assert reply.document["error"] == reply.document["detail"]


def test_an_image_file_gets_the_same_answer_as_with_predict(
    live: Version, sagemaker: fakes.SageMaker
) -> None:
    reply = infer(IMAGE, id="mine")
    assert (reply.document["id"], reply.document["model_version"]) == ("mine", live.id)
    assert outputs(reply)["scores"]["data"] == pytest.approx([0.7, 0.2, 0.1])
    assert outputs(reply)["label"]["data"] == ["cat"]
    assert reply.headers["X-Model-Version"] == live.id
    assert reply.headers["X-Facet-Ran-In"] == "endpoint"
    predict()
    assert sagemaker.asked[0] == sagemaker.asked[1]


@pytest.mark.usefixtures("live")
def test_pixels_of_the_models_input_size_are_sent_unchanged(sagemaker: fakes.SageMaker) -> None:
    assert outputs(infer(PIXELS))["scores"]["shape"] == [2, 3]
    ((_, body),) = sagemaker.asked
    sent = b"".join(base64.b64decode(row["image"]["b64"]) for row in body["instances"])
    assert sent == bytes(PIXELS["data"])  # type: ignore[arg-type]


@pytest.mark.usefixtures("live")
def test_classification_returns_labels_instead_of_scores() -> None:
    requested = [{"name": "scores", "parameters": {"classification": 2}}]
    found = outputs(infer(IMAGE, outputs=requested))["scores"]
    assert (found["datatype"], found["shape"]) == ("BYTES", [1, 2])
    assert found["data"] == ["0.700000:0:cat", "0.200000:1:dog"]


def test_a_requested_version_answers(live: Version, table: "Table") -> None:
    make_live(table, pending(2))
    assert infer(IMAGE).document["model_version"] == pending(2).id
    path = f"/v2/models/cifar/versions/{live.id}"
    assert infer(IMAGE, path=path).document["model_version"] == live.id


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("inputs", "status", "name"),
    [
        ([], 400, "bad-request"),
        ([IMAGE, PIXELS], 400, "bad-request"),
        ([IMAGE | {"name": "input_1"}], 400, "bad-request"),
        ([IMAGE | {"datatype": "UINT8", "data": [1]}], 400, "bad-request"),
        ([IMAGE | {"shape": [0], "data": []}], 400, "bad-request"),
        ([IMAGE | {"shape": [33], "data": IMAGE["data"] * 33}], 400, "bad-request"),  # type: ignore[operator]
        ([PIXELS | {"shape": [2, 8, 24]}], 400, "bad-request"),
        ([PIXELS | {"shape": []}], 400, "bad-request"),
        ([IMAGE | {"data": [base64.b64encode(b"text").decode()]}], 415, "unsupported-image"),
    ],
)
def test_errors_are_problem_documents_with_the_member_error(
    inputs: list[dict[str, Any]], status: int, name: str
) -> None:
    reply = infer(*inputs)
    assert (reply.status, reply.document["type"]) == (status, f"urn:facet:problem:{name}")
    assert reply.document["error"] == reply.document["detail"]


@pytest.mark.usefixtures("live")
def test_every_image_of_a_batch_that_fails_is_named() -> None:
    """The protocol has no place for an image without scores, so that the request fails."""
    text = base64.b64encode(b"text").decode()
    data = [*IMAGE["data"], text, *IMAGE["data"], text]
    reply = infer(IMAGE | {"shape": [4], "data": data})
    assert reply.status == 415
    named = re.findall(r"image\[(\d)\]: Unsupported", reply.document["error"])
    assert named == ["1", "3"]
    reply = infer(IMAGE | {"shape": [2], "data": [text, "?"]})
    assert (reply.status, "image[1]: " in reply.document["error"]) == (400, True)


@pytest.mark.usefixtures("live")
def test_an_unknown_output_is_rejected_before_the_invocation(sagemaker: fakes.SageMaker) -> None:
    reply = infer(IMAGE, outputs=[{"name": "probabilities"}])
    assert reply.status == 400
    assert "scores and label" in reply.document["error"]
    assert not sagemaker.asked


@pytest.mark.usefixtures("live")
def test_pixels_of_another_datatype_are_rejected_with_the_right_one() -> None:
    reply = infer(PIXELS | {"datatype": "FP32"})
    assert reply.status == 400
    assert "pixels (UINT8)" in reply.document["error"]


def test_unknown_models_and_versions_are_not_found(table: "Table") -> None:
    make_live(table, pending(1))
    assert infer(IMAGE, path="/v2/models/nobody").status == 404
    assert call("GET", "/v2/models/nobody/ready").status == 404
    assert call("GET", "/v2/models/cifar/versions/latest").status == 404
    assert call("GET", f"/v2/models/cifar/versions/{rejected(3).id}/ready").status == 404


@pytest.mark.usefixtures("live")
def test_a_compressed_body_is_rejected() -> None:
    body = json.dumps({"inputs": [IMAGE]}).encode()
    path = "/v2/models/cifar/infer"
    packed = {"Content-Encoding": "gzip"}
    reply = call("POST", path, body, "application/json", headers=packed)
    assert reply.status == 400
    assert "Content-Encoding gzip" in reply.document["error"]
