"""Predictions by heads: the backbone runs in a place, the head makes scores of its features."""

import base64
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from facet.keys import head_key
from facet.registry.models import Mode, Place, Policy, RunIn, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from predict.canary import goes_to_candidate
from tests.support.api import PNG, Reply, call
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FEATURES
from tests.support.served_heads import BACKBONE, HEAD, MAPS, WITH_MAPS, head, serve, store
from tests.support.versions import NOW, backbone, make_live, pending, proven

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("cold_start")


def accept(table: "Table", version: Version, *places: Place) -> None:
    Registry(table).begin(version)
    ready = replace(proven(version), proven_in=dict.fromkeys(places or [Place.ENDPOINT], NOW))
    Releases(table).accept(ready)


@pytest.fixture
def live(table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker) -> Version:
    """The live head of `cats`, and its backbone without maps, both proven on the endpoint."""
    return serve(table, s3, sagemaker, BACKBONE)


@pytest.fixture
def mapped(table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker) -> Version:
    """As `live`, on a backbone with maps."""
    return serve(table, s3, sagemaker)


def predict(content: bytes = PNG, content_type: str = "image/png", **query: Any) -> Reply:
    return call("POST", "/models/cats/predict", content, content_type, **query)


def expected(features: tuple[float, ...] = FEATURES) -> dict[str, Any]:
    (answer,) = HEAD.answer(np.array([features], np.float32))
    order = np.argsort(-answer.scores)
    found: dict[str, Any] = {
        "predictions": [
            {
                "label": artifacts.LABELS[at],
                "score": pytest.approx(float(answer.scores[at]), abs=1e-6),
            }
            for at in order
        ],
        "familiarity": pytest.approx(answer.familiarity, abs=1e-4),
    }
    return found | ({"unsure": True} if answer.unsure else {})


def test_the_head_answers_with_the_features_of_its_backbone(
    live: Version, sagemaker: fakes.SageMaker
) -> None:
    reply = predict()
    assert reply.document == {"model": "cats", "version": live.id, **expected()}
    assert reply.headers["X-Model-Version"] == live.id
    assert reply.headers["X-Facet-Ran-In"] == "endpoint"
    assert [target for target, _ in sagemaker.asked] == [BACKBONE.target]


@pytest.mark.usefixtures("live")
def test_each_image_of_a_batch_has_its_familiarity_or_its_error() -> None:
    images = [base64.b64encode(each).decode() for each in (PNG, b"text", PNG)]
    reply = predict(json.dumps({"images": images}).encode(), "application/json")
    first, broken, last = reply.document["results"]
    assert first == last == expected()
    assert broken["error"]["status"] == 415
    assert "familiarity" not in broken


@pytest.mark.usefixtures("live")
def test_an_image_unlike_those_of_the_teaching_is_unsure(sagemaker: fakes.SageMaker) -> None:
    strange = (-90.0, -80.0, -70.0, -60.0)
    sagemaker.answers = {BACKBONE.target: fakes.Answer(scores=strange)}
    reply = predict()
    assert reply.document["unsure"] is True
    assert {"predictions", "familiarity", "unsure"} <= reply.document.keys()
    assert reply.document["familiarity"] == expected(strange)["familiarity"]


@pytest.mark.usefixtures("live")
def test_features_that_are_none_are_a_failure_of_the_model(sagemaker: fakes.SageMaker) -> None:
    sagemaker.answers = {BACKBONE.target: fakes.Answer(scores=(1.0, 2.0))}
    assert predict().problem == (502, "model-failed")


@pytest.mark.usefixtures("live")
def test_the_inference_protocol_serves_heads() -> None:
    image = {"name": "image", "shape": [1], "datatype": "BYTES"}
    image["data"] = [base64.b64encode(PNG).decode()]
    body = json.dumps({"inputs": [image]}).encode()
    reply = call("POST", "/v2/models/cats/infer", body, "application/json")
    scores, label, familiarity = reply.document["outputs"]
    best = expected()["predictions"][0]
    assert (max(scores["data"]), label["data"]) == (best["score"], [best["label"]])
    assert familiarity["data"] == [expected()["familiarity"]]
    shapes = [each["shape"] for each in call("GET", "/v2/models/cats").document["outputs"]]
    assert shapes == [[-1, 3], [-1], [-1]]


def test_the_weights_are_read_once_and_again_for_another_version(
    live: Version, table: "Table", s3: "S3Client"
) -> None:
    predict()
    s3.delete_object(Bucket=fakes.BUCKET, Key=head_key("cats", live.id))
    assert predict().status == 200
    make_live(table, head(3))
    store(s3, head(3))
    assert predict().document["version"] == head(3).id


def test_after_a_deletion_the_registry_is_read_again(
    live: Version, table: "Table", s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cached version was deleted before its weights were read."""
    monkeypatch.setenv("FACET_REGISTRY_TTL", "1000")
    s3.delete_object(Bucket=fakes.BUCKET, Key=head_key("cats", live.id))
    assert predict().problem == (503, "head-unavailable")
    make_live(table, head(3))
    store(s3, head(3))
    assert predict().document["version"] == head(3).id


@pytest.mark.usefixtures("live")
def test_changed_weights_are_named_and_not_used(
    table: "Table", s3: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    make_live(table, replace(head(3), head_sha256="0" * 64))
    store(s3, head(3))
    reply = predict()
    assert reply.problem == (503, "head-unavailable")
    assert f"The weights of version {head(3).id} of 'cats'" in str(reply.document["detail"])
    (line,) = [each for each in caplog.records if each.message == "weights changed"]
    assert vars(line)["key"] == head_key("cats", head(3).id)


@pytest.mark.parametrize("ttl", ["0", "1000"])
@pytest.mark.usefixtures("live")
def test_a_backbone_that_is_gone_is_named(
    table: "Table", sagemaker: fakes.SageMaker, monkeypatch: pytest.MonkeyPatch, ttl: str
) -> None:
    monkeypatch.setenv("FACET_REGISTRY_TTL", ttl)
    assert predict().status == 200
    gone = fakes.Answer(status=400, code="ValidationError", body=b'{"Message": "no such object"}')
    sagemaker.answers = {BACKBONE.target: gone}
    table.delete_item(Key={"model": BACKBONE.model, "item": f"version#{BACKBONE.id}"})
    reply = predict()
    assert reply.problem == (409, "backbone-missing")
    assert "'cats' was taught on version 000000000001 of the backbone 'mobilenet'" in str(
        reply.document["detail"]
    )


@pytest.mark.usefixtures("live")
def test_a_candidate_without_weights_leaves_the_answer_to_the_live_head(table: "Table") -> None:
    Releases(table).set_policy("cats", Policy(Mode.CANARY, 50, 10), NOW)
    accept(table, head(3))
    request = next(str(at) for at in range(100) if goes_to_candidate(50, str(at)))
    reply = predict(request_id=request)
    assert reply.document["version"] == head(2).id


def test_a_head_is_asked_only_where_it_is_proven(
    table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker
) -> None:
    """Its backbone would run in the function first."""
    accept(table, BACKBONE, Place.FUNCTION, Place.ENDPOINT)
    accept(table, head(2), Place.ENDPOINT)
    Registry(table).set_run_in(BACKBONE.model, RunIn.FUNCTION, NOW)
    store(s3, head(2))
    sagemaker.answers = {BACKBONE.target: fakes.Answer(scores=FEATURES)}
    assert predict().headers["X-Facet-Ran-In"] == "endpoint"


# --- why ----------------------------------------------------------------------------------------


def heatmap(document: dict[str, Any]) -> Image.Image:
    explanation = document["explanation"]
    assert explanation["label"] == document["predictions"][0]["label"]
    return Image.open(io.BytesIO(base64.b64decode(explanation["heatmap"], validate=True)))


@pytest.mark.usefixtures("mapped")
def test_an_answer_is_explained_by_one_more_call(sagemaker: fakes.SageMaker) -> None:
    reply = predict(explain="true")
    assert {name: reply.document[name] for name in expected()} == expected()
    shown = heatmap(reply.document)
    assert (shown.size, shown.mode) == ((64, 48), "L")
    left, right = (np.asarray(shown)[:, part] for part in (slice(9), slice(-9, None)))
    (first, *_) = expected()["predictions"]
    at = artifacts.LABELS.index(first["label"])
    speaks = float(np.array(FEATURES) @ HEAD.kernel[:, at]) > 0
    bright, dark = (left, right) if speaks else (right, left)
    assert not dark.any()
    assert bright.min() > 240
    asked = [(target, body["signature_name"]) for target, body in sagemaker.asked]
    assert asked == [(BACKBONE.target, "serving_default"), (BACKBONE.target, "maps")]


@pytest.mark.parametrize(("served", "explains"), [("mapped", True), ("live", False)])
def test_a_model_says_whether_it_explains(
    request: pytest.FixtureRequest, table: "Table", *, served: str, explains: bool
) -> None:
    request.getfixturevalue(served)
    assert call("GET", "/models/cats").document["explains"] is explains
    assert call("GET", "/models/mobilenet").document["explains"] is False
    table.delete_item(Key={"model": BACKBONE.model, "item": f"version#{BACKBONE.id}"})
    assert call("GET", "/models/cats").document["explains"] is False


@pytest.mark.usefixtures("mapped")
def test_an_explained_answer_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    predict(explain="true")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    counted = [line for line in lines if "Predictions" in line]
    assert [(line["Predictions"], line["Images"]) for line in counted] == [([1.0], [1.0])]


@pytest.mark.usefixtures("mapped")
def test_any_form_of_one_image_can_be_explained() -> None:
    image = base64.b64encode(PNG).decode()
    for body in ({"image": image}, {"images": [image]}):
        reply = predict(json.dumps(body).encode(), "application/json", explain="true")
        assert heatmap(reply.document.get("results", [reply.document])[0] | {}).size == (64, 48)
    part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    form = part % (b"image", PNG) + part % (b"explain", b"true") + b"--x--\r\n"
    reply = predict(form, "multipart/form-data; boundary=x")
    assert heatmap(reply.document).size == (64, 48)


@pytest.mark.usefixtures("mapped")
def test_without_explain_there_is_no_explanation(sagemaker: fakes.SageMaker) -> None:
    assert "explanation" not in predict(explain="false").document
    assert len(sagemaker.asked) == 1


@pytest.mark.usefixtures("mapped")
def test_explain_is_for_one_image(sagemaker: fakes.SageMaker) -> None:
    body = json.dumps({"images": [base64.b64encode(PNG).decode()] * 2}).encode()
    refused = predict(body, "application/json", explain="true")
    assert refused.problem == (400, "bad-request")
    assert "explain is for one image, and here are 2" in refused.document["detail"]
    for text in ("", "True", "1", "dog" * 99):
        refused = predict(explain=text)
        assert refused.problem == (400, "bad-request")
        assert "explain must be true or false" in refused.document["detail"]
    assert sagemaker.asked == []


@pytest.mark.usefixtures("live")
def test_a_backbone_without_maps_cannot_explain(table: "Table", sagemaker: fakes.SageMaker) -> None:
    refused = predict(explain="true")
    assert refused.problem == (409, "not-explainable")
    assert "version 000000000001 of its backbone 'mobilenet' has no maps" in str(refused.document)
    make_live(table, pending(4))
    refused = call("POST", "/models/cifar/predict", PNG, "image/png", explain="true")
    assert refused.problem == (409, "not-explainable")
    assert "it is a classifier" in refused.document["detail"]
    assert sagemaker.asked == []


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("row", [(1.0, 2.0), (1e300,) * len(MAPS)])
def test_maps_that_are_none_are_a_failure_of_the_explanation(
    row: tuple[float, ...],
    sagemaker: fakes.SageMaker,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = fakes.Answer(scores=FEATURES, signatures={"maps": row})
    sagemaker.answers = {BACKBONE.target: answer}
    assert predict(explain="true").problem == (502, "explanation-failed")
    assert "explanation failed" in caplog.text
    assert "ModelFailures" not in capsys.readouterr().out
    assert predict().status == 200


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("has_maps", [False, True])
def test_a_candidate_that_cannot_explain_leaves_the_answer_to_the_live_head(
    table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker, has_maps: bool
) -> None:
    manifest = WITH_MAPS.manifest if has_maps else backbone(5).manifest
    other = replace(backbone(5), litert_sha256="0" * 64, manifest=manifest)
    make_live(table, other)
    broken = {"maps": (1.0, 2.0)}
    sagemaker.answers[other.target] = fakes.Answer(scores=FEATURES, signatures=broken)
    Releases(table).set_policy("cats", Policy(Mode.CANARY, 50, 10), NOW)
    accept(table, head(3, on=other))
    store(s3, head(3))
    request = next(str(at) for at in range(100) if goes_to_candidate(50, str(at)))
    reply = predict(request_id=request, explain="true")
    assert reply.document["version"] == head(2).id
    assert heatmap(reply.document).size == (64, 48)
    assert predict(request_id=request).document["version"] == head(3).id
    canary = Registry(table).model("cats").canary
    assert canary
    assert (canary.candidate_good, canary.candidate_bad, canary.live_good) == (1, 0, 0)
