"""Sends every event of events/ to its handler, as `sam local invoke` would."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from samcli.yamlhelper import yaml_parse

from facet.keys import lite_key, version_id
from facet.registry.store import Registry
from infer import app as infer
from onboard import app as onboard
from onboard.sweep import sweeper
from predict import app as predict
from teach import app as teach
from teach import worker
from tests.support.aws import fakes
from tests.support.inputs import artifacts
from tests.support.versions import backbone, make_live
from train import app as train

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[3]
EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
PAGE_EVENTS = sorted(name for name in EVENTS if name.startswith("page"))
TEACH_EVENTS = sorted(name for name in EVENTS if name.startswith("datasets-"))
OTHERS = ("datasets-", "hours-", "onboard-", "page", "teach", "train-")
API_EVENTS = sorted(name for name in EVENTS if not name.startswith(OTHERS) and name != "infer")
PREDICT_EVENTS = [name for name in API_EVENTS if name.startswith("predict-")]
WITHOUT_MODEL = {
    "golden",
    "health",
    "inference-live",
    "inference-ready",
    "inference-server",
    "preflight",
    "upload",
}
LAMBDA_LIMIT = 6 << 20


@pytest.fixture
def onboarded(functions: None, s3: "S3Client") -> dict[str, Any]:  # noqa: ARG001
    """The onboard handler's answer to the upload event after an upload."""
    artifact = artifacts.artifact(golden=artifacts.golden())
    s3.put_object(Bucket=fakes.BUCKET, Key="mme/cifar.tar.gz", Body=artifact)
    image = base64.b64decode(EVENTS["predict-raw"]["body"])
    key = json.loads(base64.b64decode(EVENTS["predict-s3"]["body"]))["s3"]
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=image)
    return sent_to(onboard.handler, "onboard-put")


def sent_to(handler: Callable[[dict[str, Any], Any], dict[str, Any]], name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(json.dumps(handler(EVENTS[name], fakes.Context(29))))
    return answer


@pytest.mark.parametrize(
    ("function", "names"), [("PredictFunction", API_EVENTS), ("DatasetsFunction", TEACH_EVENTS)]
)
def test_there_is_an_event_for_each_route(function: str, names: list[str]) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    events = template["Resources"][function]["Properties"]["Events"].values()
    routes = {
        (each["Properties"]["Method"], each["Properties"]["Path"])
        for each in events
        if "{version}" not in each["Properties"]["Path"]  # there is none that every reader has
    }
    assert {(EVENTS[name]["httpMethod"], EVENTS[name]["resource"]) for name in names} == routes


def test_there_is_an_event_for_each_kind_of_body_and_each_step() -> None:
    kinds = [EVENTS[name]["headers"]["Content-Type"].split(";")[0] for name in PREDICT_EVENTS]
    assert sorted(set(kinds)) == ["application/json", "image/jpeg", "multipart/form-data"]
    assert {"onboard-put", "onboard-removed", "onboard-sweep"} <= set(EVENTS)
    steps = {event["step"] for name, event in EVENTS.items() if name.startswith("train-")}
    assert steps == set(train.STEP.json_schema()["discriminator"]["mapping"])


@pytest.mark.parametrize("name", API_EVENTS + PAGE_EVENTS + TEACH_EVENTS)
def test_api_events_are_consistent(name: str) -> None:
    event = EVENTS[name]
    context = event["requestContext"]
    assert (event["resource"], event["httpMethod"]) == (
        context["resourcePath"],
        context["httpMethod"],
    )
    assert context["path"] == f"/{context['stage']}{event['path']}"
    resource = event["resource"].replace("+}", "}")
    assert event["path"] == resource.format(**event["pathParameters"] or {})
    assert event["multiValueHeaders"] == {key: [each] for key, each in event["headers"].items()}
    query = event["queryStringParameters"]
    many = {key: [value] for key, value in query.items()} if query else None
    assert event["multiValueQueryStringParameters"] == many
    assert event["isBase64Encoded"] == (event["body"] is not None)
    assert len(json.dumps(event)) < LAMBDA_LIMIT


@pytest.mark.usefixtures("onboarded")
@pytest.mark.parametrize("name", API_EVENTS)
def test_the_api_answers_every_event(name: str) -> None:
    answer = sent_to(predict.handler, name)
    expected = {"upload": 201, "preflight": 204}.get(name, 200)
    assert answer["statusCode"] == expected, answer["body"]
    assert "cifar" in answer["body"] or name in WITHOUT_MODEL


@pytest.mark.usefixtures("onboarded")
@pytest.mark.parametrize("name", PREDICT_EVENTS)
def test_each_kind_of_body_has_the_same_image(name: str, sagemaker: fakes.SageMaker) -> None:
    sent_to(predict.handler, "predict-raw")
    sent_to(predict.handler, name)
    assert sagemaker.asked[-1] == sagemaker.asked[-2]


def test_the_image_is_a_jpeg() -> None:
    image = Image.open(io.BytesIO(base64.b64decode(EVENTS["predict-raw"]["body"])))
    assert (image.format, image.size) == ("JPEG", (32, 32))


def test_the_upload_event_makes_the_model_live(
    onboarded: dict[str, Any], registry: Registry
) -> None:
    (outcome,) = onboarded["outcomes"]
    assert (outcome["model"], outcome["outcome"]) == ("cifar", "READY")
    assert registry.live("cifar").id == outcome["version"]


@pytest.mark.usefixtures("functions")
def test_the_upload_event_without_an_upload_answers_gone() -> None:
    (outcome,) = sent_to(onboard.handler, "onboard-put")["outcomes"]
    assert outcome["outcome"] == "GONE"


@pytest.mark.usefixtures("functions")
def test_the_removal_event_of_an_unknown_version_does_nothing() -> None:
    assert sent_to(onboard.handler, "onboard-removed") == {"outcomes": []}


@pytest.mark.usefixtures("onboarded")
def test_the_sweep_event_finds_nothing_to_do() -> None:
    assert not any(sent_to(sweeper.handler, "onboard-sweep").values())


@pytest.mark.usefixtures("functions")
def test_the_infer_event_asks_the_sample_model(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The key and the digest are those that onboarding gives samples/cifar.tar.gz."""
    sample = (ROOT / "samples/cifar.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(sample)) as archive:
        (lite,) = (each for each in archive if each.name.endswith(".tflite"))
        model = archive.extractfile(lite).read()  # type: ignore[union-attr]
    key = lite_key("cifar", version_id(hashlib.sha256(sample).hexdigest()))
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=model)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    infer.inference.cache_clear()
    try:
        answer = sent_to(infer.handler, "infer")
    finally:
        infer.inference().close()
        infer.inference.cache_clear()
    assert answer["status"] == 200, answer
    (scores,) = answer["response"]["predictions"]
    assert len(scores) == 10
    assert sum(scores) == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("functions")
def test_the_plan_event_plans_jobs(s3: "S3Client") -> None:
    for key in (
        EVENTS["train-plan"]["code"],
        "datasets/cifar10/train/cat/1.jpg",
        "datasets/sign-language/train/0/1.jpg",
        "weights/vgg16/weights.h5",
    ):
        s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=b"x")
    jobs = sent_to(train.handler, "train-plan")["jobs"]
    assert [job["model"] for job in jobs] == ["cifar", "hands"]


@pytest.mark.usefixtures("functions")
def test_the_judge_event_finds_the_artifact(s3: "S3Client") -> None:
    key = EVENTS["train-judge"]["artifact"].removeprefix(f"s3://{fakes.BUCKET}/")
    good = artifacts.artifact(metrics={"validation_accuracy": 0.9})
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=good)
    assert sent_to(train.handler, "train-judge")["verdict"] == "PUBLISH"


@pytest.mark.usefixtures("functions")
def test_the_outcome_event_is_answered() -> None:
    assert sent_to(train.handler, "train-outcome")["status"] == "UNKNOWN"


@pytest.mark.usefixtures("functions")
def test_the_summary_event_is_counted() -> None:
    assert sent_to(train.handler, "train-summary")["counts"] == {"READY": 1, "FAILED": 1}


@pytest.mark.usefixtures("functions")
def test_the_refusal_event_is_final() -> None:
    answer = sent_to(train.handler, "train-refusal")
    assert answer["again"] is False
    assert "ml.m5.xlarge for training job usage" in answer["reason"]


@pytest.mark.usefixtures("functions")
def test_the_events_of_a_data_set_make_show_and_change_one() -> None:
    answers = {}
    for name in ("add", "show", "images", "image", "rename", "delete"):
        answers[name] = sent_to(teach.handler, f"datasets-{name}")
        assert answers[name]["statusCode"] == (201 if name == "add" else 200), answers[name]
    stored, form = json.loads(answers["add"]["body"])["uploads"]
    assert (stored["url"], form["fields"]["key"]) == (None, "datasets/pets/train/cat/2.jpg")
    assert json.loads(answers["show"]["body"])["labels"] == [{"label": "cat", "images": 1}]
    assert answers["image"]["body"] == EVENTS["predict-raw"]["body"]
    assert json.loads(answers["rename"]["body"])["moved"] == 1
    assert json.loads(answers["delete"]["body"])["deleted"] == 1


@pytest.mark.usefixtures("functions")
def test_the_events_of_a_teaching_start_show_and_do_it(
    table: "Table", sagemaker: fakes.SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work ends before it asks a backbone: the data set of the events has one label."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", sagemaker.url)
    make_live(table, backbone(1))
    sent_to(teach.handler, "datasets-add")
    started = sent_to(teach.handler, "datasets-teach")
    assert started["statusCode"] == 202, started["body"]
    assert sent_to(worker.handler, "teach") == {"state": None}, "it is of another teaching"
    (handed_over,) = (event for _, event in sagemaker.asked)
    assert handed_over.keys() == EVENTS["teach"].keys()
    monkeypatch.setitem(EVENTS["teach"], "teaching", handed_over["teaching"])
    assert sent_to(worker.handler, "teach")["state"] == "NOT_PUBLISHED"
    shown = json.loads(sent_to(teach.handler, "datasets-teaching")["body"])
    assert [each["code"] for each in shown["problems"]] == ["few-labels", "few-images"]
