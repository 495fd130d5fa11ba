"""The handlers write every Facet metric that the alarms and the dashboard use."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from facet.registry.models import Mode, Policy, Version
from facet.registry.placement import Placement
from facet.registry.releases import Releases
from facet.registry.teachings import State, Teaching
from onboard import app as onboard
from onboard.sweep import sweeper
from onboard.sweep.swept import Swept
from predict.canary import goes_to_candidate
from teach import worker
from tests.support.api import call, predict
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET, Answer
from tests.support.inputs import artifacts
from tests.support.template import watching
from tests.support.template.watching import MetricQuery, of_alarms, of_widgets
from tests.support.versions import NOW, accept, make_live, pending
from train import app as train

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("cold_start")

USED = [each for each in (*of_alarms(), *of_widgets()) if each.namespace == "Facet"]
FAILURE = Answer(
    424,
    "ModelError",
    json.dumps({"OriginalStatusCode": 500, "OriginalMessage": '{"error": "words"}'}).encode(),
)
THROTTLED = Answer(429, "ThrottlingException", b"{}")
LOADING = Answer(429, "ModelNotReadyException", b"{}")
POLICY = Policy(Mode.CANARY, percent=40, good_answers=3)
TO_CANDIDATE = [each for each in map(str, range(200)) if goes_to_candidate(POLICY.percent, each)]


class Written(NamedTuple):
    """One metric in one line of the log."""

    name: str
    unit: str
    values: list[float]
    dimensions: Mapping[str, str]
    line: Mapping[str, Any]


Read = Callable[[], list[Written]]


def written(printed: str) -> list[Written]:
    """Parses a log in CloudWatch's embedded metric format."""
    found = []
    for line in map(json.loads, printed.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Facet"
            for names in directive["Dimensions"]:
                dimensions = {each: line[each] for each in names}
                for metric in directive["Metrics"]:
                    name = metric["Name"]
                    found.append(Written(name, metric["Unit"], line[name], dimensions, line))
    return found


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """Returns the metrics written since the last call."""
    return lambda: written(capsys.readouterr().out)


def uploaded(s3: "S3Client", data: bytes) -> dict[str, Any]:
    """Uploads the artifact, and returns the event."""
    put = s3.put_object(Bucket=BUCKET, Key="mme/cats.tar.gz", Body=data)
    described = {"key": "mme/cats.tar.gz", "versionId": put["VersionId"]}
    record = {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T00:00:00Z"}
    return {"Records": [record | {"s3": {"object": described}}]}


def onboarded(s3: "S3Client", data: bytes) -> None:
    onboard.handler(uploaded(s3, data), fakes.Context())  # type: ignore[arg-type]


def run_uploads(s3: "S3Client", sagemaker: fakes.SageMaker) -> None:
    onboarded(s3, artifacts.packed(artifacts.members() | {"code/a.py": b""}))
    sagemaker.answer = THROTTLED
    with pytest.raises(Exception, match="too many requests"):
        onboarded(s3, artifacts.artifact())
    sagemaker.answer = Answer()
    onboarded(s3, artifacts.artifact())


def run_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that found something of each kind."""

    class Busy:
        def sweep(self, _: datetime) -> Swept:
            return Swept(["mme/a.tar.gz"], ["mme/B.tar.gz"], failed=["mme/c.tar.gz"])

    monkeypatch.setattr(sweeper, "sweeper", Busy)
    sweeper.handler({}, fakes.Context())  # type: ignore[arg-type]


def run_predictions(sagemaker: fakes.SageMaker) -> None:
    assert predict().status == 200
    for answer in (FAILURE, LOADING, THROTTLED):
        sagemaker.answer = answer
        assert predict().status != 200
    sagemaker.answer = Answer()


def run_batches(table: "Table") -> None:
    """One damaged image among others, and a model that answers single images only."""
    make_live(table, replace(pending(1, "single"), max_batch_size=1))
    good = base64.b64encode(artifacts.encoded()).decode()
    for model, images in (("cifar", [good, "AAAA"]), ("single", [good, good])):
        body = json.dumps({"images": images}).encode()
        assert call("POST", f"/models/{model}/predict", body, "application/json").status == 200


def run_canary(table: "Table", sagemaker: fakes.SageMaker) -> None:
    Releases(table).set_policy("cifar", POLICY, NOW)
    assert accept(table, pending(2)) is Placement.CANDIDATE
    sagemaker.answers[pending(2).target] = FAILURE
    assert [predict(request_id=each).status for each in TO_CANDIDATE[:3]] == [200] * 3


def run_training_summary() -> None:
    event = {"step": "summary", "jobs": [{"outcome": "READY"}, {"outcome": "FAILED"}]}
    train.handler(event, fakes.Context())  # type: ignore[arg-type]


def run_teachings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that could not reach its backbone."""

    class Failing:
        def run(self, model: str, teaching: str) -> Teaching:
            return Teaching(model, teaching, "pets", "b", "1", 0.7, NOW, NOW, State.FAILED)

    monkeypatch.setattr(worker, "work", Failing)
    worker.handler({"model": "cats", "teaching": "1"}, fakes.Context())  # type: ignore[arg-type]


def run_outage(table: "Table") -> None:
    assert predict().status == 200
    table.delete()
    assert predict().status == 200


def emits(metric: Written, used: MetricQuery) -> bool:
    """Returns whether it is that metric. The service, the stack's name, is not compared."""
    if metric.name != used.name or metric.dimensions.keys() != used.dimensions.keys():
        return False
    values = {name: each for name, each in used.dimensions.items() if each and name != "service"}
    return values.items() <= metric.dimensions.items()


@pytest.mark.usefixtures("live")
def test_every_metric_in_alarms_and_dashboard_is_written(
    s3: "S3Client",
    table: "Table",
    sagemaker: fakes.SageMaker,
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_predictions(sagemaker)
    run_batches(table)
    run_uploads(s3, sagemaker)
    run_sweep(monkeypatch)
    run_canary(table, sagemaker)
    run_training_summary()
    run_teachings(monkeypatch)
    run_outage(table)
    metrics = read()
    assert [each for each in USED if not any(emits(metric, each) for metric in metrics)] == []
    assert len({each.name for each in USED}) >= 15
    names = {each.name for each in metrics}
    assert names == {each.name for each in USED}, "a metric is written that nothing uses"


def test_a_prediction_is_recorded_with_and_without_its_version(live: Version, read: Read) -> None:
    assert predict().status == 200
    metrics = read()
    by_version = {"service", "model", "version"}
    for keys in ({"service"}, by_version):
        found = {each.name: each for each in metrics if each.dimensions.keys() == keys}
        assert {name: each.unit for name, each in found.items()} == {
            "Predictions": "Count",
            "Images": "Count",
            "RegistryTime": "Milliseconds",
            "DecodeTime": "Milliseconds",
            "PreprocessTime": "Milliseconds",
            "InvokeTime": "Milliseconds",
        }
        assert found["Images"].values == [1]
        assert found["InvokeTime"].values[0] > 0
    named = next(each for each in metrics if each.dimensions.keys() == by_version)
    assert (named.dimensions["model"], named.dimensions["version"]) == ("cifar", live.id)
    assert named.line["target"] == live.target
    assert len({id(each.line) for each in metrics}) == 1, "one line for each prediction"


def test_unwatched_models_share_one_dimension_and_the_log_names_the_version(
    table: "Table", sagemaker: fakes.SageMaker, read: Read
) -> None:
    versions = [make_live(table, pending(number, model=f"m-{number}")) for number in range(1, 4)]
    for each in versions:
        assert call("POST", f"/models/{each.model}/predict", artifacts.encoded()).status == 200
    sagemaker.answer = FAILURE
    assert call("POST", "/models/m-1/predict", artifacts.encoded()).status == 502
    metrics = read()
    pairs = {(each.dimensions.get("model"), each.dimensions.get("version")) for each in metrics}
    assert pairs == {("other", "other"), (None, None)}
    (failure,) = (
        each for each in metrics if each.name == "ModelFailures" and "model" in each.dimensions
    )
    assert failure.line["target"] == versions[0].target


def test_the_dashboards_log_query_uses_fields_that_are_written(
    live: Version, sagemaker: fakes.SageMaker, read: Read
) -> None:
    (widget,) = (each for each in watching.dashboard()["widgets"] if each["type"] == "log")
    query = widget["properties"]["query"]
    assert query.startswith("SOURCE 'PredictLogs' | ")
    sagemaker.answer = FAILURE
    predict()
    line = next(each.line for each in read() if each.name == "ModelFailures")
    assert line["target"] == live.target
    for name in ("ModelFailures", "target", "request_id"):
        assert name in query
        assert name in line


@pytest.mark.usefixtures("live")
def test_the_request_id_reaches_the_endpoint_and_the_metrics(
    sagemaker: fakes.SageMaker, read: Read
) -> None:
    assert predict(request_id="0b7e-1").status == 200
    sagemaker.answer = FAILURE
    assert predict(request_id="0b7e-2").document["request_id"] == "0b7e-2"
    assert sagemaker.attributes == ["facet-request=0b7e-1", "facet-request=0b7e-2"]
    lines = [each.line for each in read() if "model" in each.dimensions]
    assert [each["request_id"] for each in lines if "ModelFailures" in each] == ["0b7e-2"]
    assert {each["request_id"] for each in lines} == {"0b7e-1", "0b7e-2"}


def test_problems_are_counted_by_name_only(
    read: Read,
) -> None:
    for name in ("nobody", "no--one"):
        assert call("GET", f"/models/{name}").status == 404
    assert call("GET", "/nowhere").status == 404
    problems = [each.dimensions for each in read()]
    assert {each["problem"] for each in problems} == {"unknown-model", "no-route"}
    assert all(each.keys() == {"service", "problem"} for each in problems)
