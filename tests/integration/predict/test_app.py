import base64
import json
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from PIL import Image

from facet.registry.models import Version
from facet.registry.store import Registry
from predict import clients
from tests.support.api import PNG, REQUEST_ID, Reply, call, predict
from tests.support.aws import fakes
from tests.support.aws.fakes import Answer
from tests.support.inputs import artifacts
from tests.support.versions import NOW, VIOLATION, backbone, make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

pytestmark = pytest.mark.usefixtures("functions")

JPEG = artifacts.encoded(kind="JPEG")
SECRET = "the container's error message"
FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    + PNG
    + b"\r\n--XX--\r\n"
)


@pytest.fixture
def live(table: "Table") -> Version:
    """The live version of `cifar`."""
    return make_live(table, pending(1, description="Three classes", metrics={"accuracy": 0.9}))


def assert_problem(reply: Reply, status: int, name: str) -> None:
    assert (reply.status, reply.document["type"]) == (status, f"urn:facet:problem:{name}")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.document["status"] == status
    assert reply.document["request_id"] == REQUEST_ID
    assert reply.document["title"]
    assert reply.document["detail"]
    assert ("Retry-After" in reply.headers) == (status in (429, 503))
    assert SECRET not in json.dumps(reply.document)


def as_base64(*images: bytes) -> list[str]:
    return [base64.b64encode(each).decode() for each in images]


RANKED = [
    {"label": "cat", "score": 0.7},
    {"label": "dog", "score": 0.2},
    {"label": "ship", "score": 0.1},
]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PNG, "image/png"),
        (JPEG, "application/x-www-form-urlencoded"),
        (PNG, ""),
        (json.dumps({"image": as_base64(PNG)[0]}).encode(), "application/json"),
        (FORM, "multipart/form-data; boundary=XX"),
    ],
    ids=["raw", "curl", "untyped", "json", "multipart"],
)
def test_one_image(live: Version, body: bytes, content_type: str) -> None:
    reply = predict(body, content_type)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.document == {"model": "cifar", "version": live.id, "predictions": RANKED}


@pytest.mark.parametrize("count", [1, 3])
def test_many_images(live: Version, count: int) -> None:
    body = json.dumps({"images": as_base64(*[PNG, JPEG, PNG][:count])}).encode()
    reply = predict(body, "application/json")
    assert reply.document == {
        "model": "cifar",
        "version": live.id,
        "results": [{"predictions": RANKED}] * count,
    }


def failed(results: list[dict[str, Any]]) -> dict[int, tuple[int, str]]:
    return {
        at: (each["error"]["status"], each["error"]["type"].removeprefix("urn:facet:problem:"))
        for at, each in enumerate(results)
        if "error" in each
    }


@pytest.mark.usefixtures("live")
def test_images_that_fail_are_named_and_the_others_answered(sagemaker: fakes.SageMaker) -> None:
    encoded = [*as_base64(PNG, b"text", PNG[:-50]), "?", 7, *as_base64(JPEG)]
    reply = predict(json.dumps({"images": encoded}).encode(), "application/json")
    assert reply.status == 200
    results = reply.document["results"]
    assert failed(results) == {
        1: (415, "unsupported-image"),
        2: (422, "broken-image"),
        3: (400, "bad-request"),
        4: (400, "bad-request"),
    }
    assert results[3]["predictions"] == []
    assert results[3]["error"]["detail"].startswith("images[3] is not valid base64")
    assert results[0] == results[5] == {"predictions": RANKED}
    ((_, body),) = sagemaker.asked
    assert len(body["instances"]) == 2


@pytest.mark.usefixtures("live")
def test_a_batch_without_a_sound_image_is_answered_without_an_invocation(
    sagemaker: fakes.SageMaker,
) -> None:
    reply = predict(json.dumps({"images": as_base64(b"text")}).encode(), "application/json")
    assert reply.status == 200
    assert failed(reply.document["results"]) == {0: (415, "unsupported-image")}
    assert not sagemaker.asked


@pytest.mark.usefixtures("live")
def test_an_image_whose_scores_are_not_finite_fails_alone(sagemaker: fakes.SageMaker) -> None:
    sagemaker.answer.body = b'{"predictions": [[NaN, 0.5, 0.5], [0.7, 0.2, 0.1]]}'
    body = json.dumps({"images": as_base64(PNG, JPEG)}).encode()
    results = predict(body, "application/json").document["results"]
    assert failed(results) == {0: (502, "model-failed")}
    assert results[1] == {"predictions": RANKED}
    sagemaker.answer.body = b'{"predictions": [[NaN, 0.5, 0.5], [NaN, 0.5, 0.5]]}'
    assert predict(body, "application/json").problem == (502, "model-failed")


def test_the_live_version_is_invoked(live: Version, sagemaker: fakes.SageMaker) -> None:
    predict()
    ((target, body),) = sagemaker.asked
    assert target == f"cifar/{live.id}.tar.gz"
    assert body["signature_name"] == "serving_default"
    (row,) = body["instances"]
    assert len(base64.b64decode(row["image"]["b64"])) == 8 * 8 * 3


@pytest.mark.usefixtures("live")
def test_predictions_are_ordered_by_score(sagemaker: fakes.SageMaker) -> None:
    sagemaker.answer = Answer(scores=(0.1, 0.3, 0.6))
    labels = [each["label"] for each in predict().document["predictions"]]
    assert labels == ["ship", "dog", "cat"]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(("top_k", "count"), [("1", 1), ("2", 2), ("3", 3), ("1000", 3)])
def test_top_k(top_k: str, count: int) -> None:
    assert predict(top_k=top_k).document["predictions"] == RANKED[:count]


def test_top_k_is_5_by_default(table: "Table", sagemaker: fakes.SageMaker) -> None:
    make_live(table, pending(1, labels=list("abcdefg")))
    sagemaker.answer = Answer(scores=(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
    assert len(predict().document["predictions"]) == 5


def test_a_requested_version_answers(live: Version, table: "Table") -> None:
    make_live(table, pending(2))
    assert predict().document["version"] == pending(2).id
    assert predict(version=live.id).document["version"] == live.id


def test_headers_have_the_version_and_the_steps_timing(live: Version) -> None:
    headers = predict().headers
    assert headers["X-Model-Version"] == live.id
    assert headers["X-Facet-Ran-In"] == "endpoint"
    assert headers["Server-Timing"].endswith(';desc="endpoint"')
    timing = headers["Server-Timing"].removesuffix(';desc="endpoint"')
    steps = dict(step.split(";dur=") for step in timing.split(", "))
    assert {"decode", "preprocess", "invoke"} <= set(steps)
    assert all(0 <= float(spent) < 10_000 for spent in steps.values())


def test_a_new_live_version_answers_the_next_request(live: Version, table: "Table") -> None:
    assert predict().document["version"] == live.id
    make_live(table, pending(2))
    assert predict().document["version"] == pending(2).id


@pytest.mark.usefixtures("live", "cold_start")
def test_without_a_canary_the_registry_is_read_once_for_many_predictions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACET_REGISTRY_TTL", "1000")
    calls: list[str] = []

    def watch(model: Any, **_: Any) -> None:
        calls.append(model.name)

    clients.table().meta.client.meta.events.register("before-call.dynamodb", watch)
    for _ in range(3):
        assert predict().status == 200
    assert calls == ["GetItem", "GetItem"], "the model and its live version"


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("body", "content_type", "query", "status", "name"),
    [
        (b"", "image/png", {}, 400, "bad-request"),
        (b"{", "application/json", {}, 400, "bad-request"),
        (b'{"image": "?"}', "application/json", {}, 400, "bad-request"),
        (b"--XX--\r\n", "multipart/form-data; boundary=XX", {}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "0"}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "1001"}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "-1"}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "2.0"}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "٣"}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": ""}, 400, "bad-request"),
        (PNG, "image/png", {"top_k": "9" * 5000}, 400, "bad-request"),
        (PNG, "image/png", {"version": "latest"}, 400, "bad-request"),
        (PNG, "image/png", {"version": "0" * 12 + "\n"}, 400, "bad-request"),
        (PNG, "image/png", {"version": ""}, 400, "bad-request"),
        (PNG, "image/png", {"version": "0" * 12}, 404, "unknown-version"),
        (bytes(4_500_001), "image/png", {}, 413, "body-too-large"),
        (b"a text file", "text/plain", {}, 415, "unsupported-image"),
        (b"a text file", "image/png", {}, 415, "unsupported-image"),
        (artifacts.encoded(kind="TIFF"), "image/tiff", {}, 415, "unsupported-image"),
        (PNG[:-50], "image/png", {}, 422, "broken-image"),
        (artifacts.encoded(Image.new("1", (9000, 9000))), "", {}, 422, "broken-image"),
    ],
)
def test_invalid_requests_get_a_4xx_problem(
    body: bytes, content_type: str, query: dict[str, str], status: int, name: str
) -> None:
    assert_problem(predict(body, content_type, **query), status, name)


def model_error(status: int, message: str = json.dumps({"error": SECRET})) -> Answer:
    document = {"OriginalStatusCode": status, "OriginalMessage": message, "Message": SECRET}
    return Answer(424, "ModelError", json.dumps(document).encode())


def error(status: int, code: str) -> Answer:
    return Answer(status, code, json.dumps({"Message": SECRET}).encode())


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("answer", "status", "name"),
    [
        (error(400, "ThrottlingException"), 429, "throttled"),
        (error(429, "TooManyRequestsException"), 429, "throttled"),
        (error(429, "ModelNotReadyException"), 503, "model-loading"),
        (Answer(seconds=5), 503, "model-loading"),
        (error(503, "ServiceUnavailable"), 503, "unavailable"),
        (error(500, "InternalFailure"), 503, "unavailable"),
        (error(530, "InternalDependencyException"), 503, "unavailable"),
        (Answer(hangs_up=True), 503, "unavailable"),
        (model_error(503), 503, "unavailable"),
        (model_error(507), 503, "unavailable"),
        (model_error(400), 502, "model-failed"),
        (model_error(500), 502, "model-failed"),
        (model_error(500, f"<html>{SECRET}</html>"), 503, "unavailable"),
        (model_error(502), 503, "unavailable"),
        (model_error(504), 503, "unavailable"),
        (model_error(0), 503, "unavailable"),
        (model_error(408), 503, "model-loading"),
        (Answer(body=json.dumps({"error": SECRET}).encode()), 502, "model-failed"),
        (Answer(body=SECRET.encode()), 502, "model-failed"),
        (Answer(body=b""), 502, "model-failed"),
        (Answer(scores=(0.5, 0.5)), 502, "model-failed"),
        (Answer(scores=(float("nan"), 0.5, 0.5)), 502, "model-failed"),
        (error(400, "ValidationError"), 500, "internal-error"),
        (error(403, "AccessDeniedException"), 500, "internal-error"),
    ],
)
def test_endpoint_errors_get_their_problem(
    sagemaker: fakes.SageMaker, answer: Answer, status: int, name: str
) -> None:
    sagemaker.answer = answer
    assert_problem(predict(), status, name)


def test_a_live_version_missing_on_the_endpoint_is_an_internal_error(
    live: Version, sagemaker: fakes.SageMaker
) -> None:
    sagemaker.answer = error(400, "ValidationError")
    assert_problem(predict(), 500, "internal-error")
    assert [target for target, _ in sagemaker.asked] == [live.target] * 2


@pytest.mark.usefixtures("live")
def test_the_containers_error_message_is_logged(
    sagemaker: fakes.SageMaker, caplog: pytest.LogCaptureFixture
) -> None:
    sagemaker.answer = model_error(400)
    predict()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(record)["reason"] == SECRET


@pytest.mark.usefixtures("live", "cold_start")
def test_an_unreachable_endpoint_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{port}")
    assert_problem(predict(), 503, "unavailable")


def test_a_batch_too_large_for_one_invocation_is_rejected(table: "Table") -> None:
    spec = {"tensor": "image", "encoding": "uint8", "height": 512, "width": 512}
    make_live(table, pending(1, input=spec))
    body = json.dumps({"images": as_base64(*[PNG] * 8)}).encode()
    reply = predict(body, "application/json")
    assert_problem(reply, 413, "body-too-large")
    assert "fewer images" in reply.document["detail"]


@pytest.mark.parametrize("path", ["/models/cifar", "/models/cifar/predict"])
def test_a_model_that_was_never_uploaded_is_unknown(path: str) -> None:
    method = "POST" if path.endswith("predict") else "GET"
    assert_problem(call(method, path, PNG), 404, "unknown-model")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("path", ["/models/cifra", "/models/Cifar", "/models/cifa/predict"])
def test_an_unknown_model_suggests_the_one_that_was_meant(path: str) -> None:
    method = "POST" if path.endswith("predict") else "GET"
    assert call(method, path, PNG).document["detail"].endswith(". Did you mean 'cifar'?")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("name", ["Cifar", "a_b", "c" * 64, "cifar ", "%", "cifar.tar.gz", "-"])
def test_an_invalid_model_name_is_an_unknown_model(name: str) -> None:
    assert_problem(call("GET", f"/models/{name}"), 404, "unknown-model")
    assert_problem(call("POST", f"/models/{name}/predict", PNG), 404, "unknown-model")


def test_a_pending_model_has_no_live_version(registry: Registry) -> None:
    registry.begin(pending(1))
    reply = predict()
    assert_problem(reply, 409, "no-live-version")
    assert reply.document["violations"] == []


def test_a_rejected_model_answers_with_its_violations(registry: Registry) -> None:
    registry.reject(rejected(1))
    reply = predict()
    assert_problem(reply, 409, "no-live-version")
    assert reply.document["violations"] == [vars(VIOLATION)]
    assert_problem(predict(version=pending(1).id), 404, "unknown-version")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/models/cifar/predict"),
        ("POST", "/models"),
        ("DELETE", "/models/cifar"),
        ("GET", "/models/cifar/predict/more"),
        ("GET", "/"),
    ],
)
def test_an_unknown_path_or_method_is_no_route(method: str, path: str) -> None:
    assert_problem(call(method, path), 404, "no-route")


@pytest.mark.usefixtures("cold_start")
def test_an_unexpected_error_is_logged_but_not_revealed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FACET_TABLE", "a-table-that-does-not-exist")
    reply = predict()
    assert_problem(reply, 500, "internal-error")
    assert "ResourceNotFound" not in json.dumps(reply.document)
    assert "ResourceNotFound" in caplog.text


def test_health() -> None:
    reply = call("GET", "/health")
    assert (reply.status, reply.document) == (200, {"status": "ok"})


def test_an_empty_registry_lists_no_models() -> None:
    assert call("GET", "/models").document == {"models": [], "next": None}


def test_models_are_listed_in_pages(table: "Table") -> None:
    names = ["a", "b", "c"]
    for name in names:
        make_live(table, pending(1, name))
    first = call("GET", "/models", limit="2").document
    second = call("GET", "/models", limit="2", after=first["next"]).document
    assert [each["name"] for each in first["models"] + second["models"]] == names
    assert second["next"] is None
    assert first["models"][0] == {
        "name": "a",
        "kind": "classifier",
        "live": pending(1).id,
        "previous": None,
        "policy": {"mode": "auto", "percent": 10, "good_answers": 100},
        "canary": None,
        "rolled_back": None,
        "run_in": None,
        "updated_at": pending(1).updated_at,
    }


def test_a_backbone_is_shown_with_its_features_and_predicts_nothing(table: "Table") -> None:
    make_live(table, pending(1))
    live = make_live(table, backbone(1))
    listed = call("GET", "/models").document["models"]
    assert [each["kind"] for each in listed] == ["classifier", "backbone"]
    shown = call("GET", "/models/mobilenet").document
    assert (shown["kind"], shown["labels"], shown["features"]) == ("backbone", None, 4)
    assert call("GET", "/models/cifar").document["features"] is None
    path = "/models/mobilenet/predict"
    for reply in (call("POST", path, PNG), call("POST", path, PNG, version=live.id)):
        assert_problem(reply, 409, "not-a-classifier")
        assert "'mobilenet' is a backbone" in reply.document["detail"]


def test_models_are_searched_by_a_part_of_their_name(table: "Table") -> None:
    for name in ("cat", "dog", "my-cats", "scat-1"):
        make_live(table, pending(1, name))
    first = call("GET", "/models", limit="2", contains="cat").document
    second = call("GET", "/models", limit="2", contains="cat", after=first["next"]).document
    assert [each["name"] for each in first["models"]] == ["cat", "my-cats"]
    assert ([each["name"] for each in second["models"]], second["next"]) == (["scat-1"], None)
    assert call("GET", "/models", contains="zebra").document == {"models": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"after": "A"},
        {"after": "a" * 3000},
        {"contains": "Ü"},
        {"contains": "a" * 64},
    ],
)
def test_invalid_pagination_parameters_are_rejected(query: dict[str, Any]) -> None:
    assert_problem(call("GET", "/models", None, "", **query), 400, "bad-request")


def test_a_model_is_shown_with_its_versions_and_violations(
    live: Version, registry: Registry
) -> None:
    registry.reject(rejected(2))
    registry.begin(pending(3))
    document = call("GET", "/models/cifar").document
    assert (document["model"], document["live"], document["previous"]) == ("cifar", live.id, None)
    assert document["description"] == "Three classes"
    assert document["labels"] == list(artifacts.LABELS)
    assert document["input"]["height"] == 8
    statuses = [(each["version"], each["status"]) for each in document["versions"]]
    assert statuses == [
        (pending(3).id, "PENDING"),
        (pending(2).id, "REJECTED"),
        (live.id, "READY"),
    ]
    assert document["versions"][1]["violations"] == [vars(VIOLATION)]
    assert document["versions"][2] == {
        "version": live.id,
        "status": "READY",
        "size": live.size,
        "uploaded_at": live.uploaded_at,
        "updated_at": live.updated_at,
        "postponed_at": None,
        "proof": "smoke",
        "proven_in": {"endpoint": NOW},
        "not_proven": {},
        "runs_in": ["endpoint"],
        "function_seconds": None,
        "litert_size": None,
        "max_batch_size": None,
        "metrics": {"accuracy": 0.9},
        "violations": [],
    }


def test_versions_with_large_reports_come_in_pages(registry: Registry) -> None:
    large = (replace(VIOLATION, problem="x" * 300_000),)
    for number in range(1, 9):
        registry.reject(replace(rejected(number), violations=large))
    pages = [call("GET", "/models/cifar").document]
    while token := pages[-1]["next_token"]:
        pages.append(call("GET", "/models/cifar", next_token=token).document)
    assert [len(page["versions"]) for page in pages] == [3, 3, 2]
    found = [each["version"] for page in pages for each in page["versions"]]
    assert found == [rejected(number).id for number in range(8, 0, -1)]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("token", ["0" * 12, "x", ""])
def test_a_token_of_no_version_is_a_bad_request(token: str) -> None:
    assert_problem(call("GET", "/models/cifar", None, "", next_token=token), 400, "bad-request")


def test_a_model_without_live_version_has_no_labels(registry: Registry) -> None:
    registry.begin(pending(1))
    document = call("GET", "/models/cifar").document
    assert (document["live"], document["labels"], document["input"]) == (None, None, None)
    assert [each["status"] for each in document["versions"]] == ["PENDING"]


@pytest.mark.usefixtures("cold_start")
def test_a_hanging_registry_times_out_within_10_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        start = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            clients.registry().find("cifar", "0" * 12)
    assert time.monotonic() - start < 10


@pytest.mark.usefixtures("live")
def test_health_is_503_while_the_endpoint_answers_for_none_of_several_models() -> None:
    """What counts as that is in tests/unit/predict/test_endpoint_health.py."""
    assert call("GET", "/health").status == 200
    health = clients.endpoint_health()
    for model in ("cats", "dogs") * 3:
        health.failed(model)
        health._first -= 5  # each five seconds after the first
    for path in ("/health", "/v2/health/ready"):
        answer = call("GET", path)
        assert answer.status == 503, answer.document
        assert "6 requests for 2 models" in json.dumps(answer.document)
    assert predict(PNG, "image/png").status == 200
    assert call("GET", "/health").status == 200
