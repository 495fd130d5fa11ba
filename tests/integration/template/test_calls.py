"""The functions' calls to AWS against their roles' policies, conditions included.

tests/integration/conftest.py does so for every integration test. Here each function does its work
once, and every permission is taken away: a call must be refused, or the permission is not needed.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.stub import Stubber

from facet.aws import notifications
from facet.errors import UnknownUpload
from facet.places.choice import Choice
from facet.places.runners import runner
from facet.registry.models import Mode, Place, Policy, RunIn, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from infer.store import Store
from onboard import app as onboard
from onboard.bucket import Bucket
from onboard.removal import deletion
from onboard.sweep import lacking, sweeper
from onboard.uploads import PendingUploads
from predict.bucket.inbox import Inbox
from teach import app as teach
from teach.work.backbone import Backbone
from tests.integration.conftest import RECORDER
from tests.integration.teach.conftest import Stack
from tests.support.api import PNG, call, predict
from tests.support.aws import fakes
from tests.support.inputs import artifacts, heads
from tests.support.onboarding import identity
from tests.support.template.choosing import many
from tests.support.template.iam.language import Request
from tests.support.versions import NOW, pending
from train import app as train

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

CONTEXT = cast("LambdaContext", fakes.Context(900))
FIRST, SECOND, THIRD, FOURTH = (
    artifacts.with_litert(golden=artifacts.golden(), description=text) for text in "abcd"
)
OTHER_LABEL = artifacts.with_litert(golden=artifacts.golden("dog"))
BAD = artifacts.packed(artifacts.members() | {"code/inference.py": b"import os"})
TRAINED = "training/monday/cifar/job/output/model.tar.gz"
CODE = "code/0123456789ab/sourcedir.tar.gz"
ROLE = "PredictFunctionRole"
KEYS = {
    "iam:PassRole": "iam:PassedToService",
    "s3:ListBucket": "s3:prefix",
    "dynamodb:UpdateItem": "dynamodb:Attributes",
    "sagemaker:InvokeEndpoint": "sagemaker:TargetModel",
}
"""The condition key that each action's requests have."""

FUNCTIONS = (
    *("PredictFunction", "OnboardFunction", "SweepFunction"),
    *("DeleteFunction", "TrainFunction", "InferFunction"),
    *("DatasetsFunction", "TeachFunction"),
)


def event(name: str, described: dict[str, Any]) -> dict[str, Any]:
    """An event of the bucket."""
    at = datetime.now(UTC).isoformat()
    s3 = {"bucket": {"name": fakes.BUCKET}, "object": described}
    return {"Records": [{"eventName": name, "eventTime": at, "s3": s3}]}


def upload(s3: "S3Client", data: bytes, model: str = "cifar") -> dict[str, Any]:
    """Uploads an artifact; returns S3's event."""
    key = f"mme/{model}.tar.gz"
    version = s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=data)["VersionId"]
    return event("ObjectCreated:Put", {"key": key, "versionId": version})


def image(key: str) -> bytes:
    """The body of a prediction for an uploaded image."""
    return json.dumps({"s3": key}).encode()


@pytest.fixture
def made(
    s3: "S3Client",
    table: "Table",
    sagemaker: fakes.SageMaker,
    monkeypatch: pytest.MonkeyPatch,
    cold_start: None,  # noqa: ARG001
) -> Iterator[dict[str, list[Request]]]:
    """The requests of all functions while they do all of their work once, by function."""
    topic = boto3.client("sns").create_topic(Name="news")["TopicArn"]
    monkeypatch.setenv("FACET_TOPIC", topic)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", sagemaker.url)
    notifications.publisher.cache_clear()
    RECORDER.made.clear()
    onboards(s3, table)
    onboards_heads(s3, sagemaker)
    runs_models(s3)
    predicts(s3, table)
    trains(s3)
    monkeypatch.setattr(lacking, "PUBLISHED_WITHIN", timedelta(-1))
    sweeps(s3, table)
    changes_data_sets()
    teaches(Stack.of(s3, table))
    for name in ("cifar", "cats", "pets", "mobilenet"):
        deletion.handler({"model": name}, CONTEXT)
    yield dict(RECORDER.made)
    notifications.publisher.cache_clear()


def onboards(s3: "S3Client", table: "Table") -> None:
    """Versions that are live, two rejected ones, one whose artifact is deleted, a candidate."""
    onboard.handler(upload(s3, FIRST), CONTEXT)
    for data in (BAD, OTHER_LABEL):
        onboard.handler(upload(s3, data, "cats"), CONTEXT)
    for data in (FOURTH, THIRD):
        onboard.handler(upload(s3, data, "dogs"), CONTEXT)
    key = f"mme/dogs/{identity(THIRD)}.tar.gz"
    s3.delete_object(Bucket=fakes.BUCKET, Key=key)
    onboard.handler(event("ObjectRemoved:Delete", {"key": key}), CONTEXT)
    Releases(table).set_policy("cifar", Policy(Mode.CANARY, percent=100, good_answers=1), NOW)
    onboard.handler(upload(s3, SECOND), CONTEXT)


def onboards_heads(s3: "S3Client", sagemaker: fakes.SageMaker) -> None:
    """A backbone, a head on it, and one that is rejected after it was published."""
    backbone = artifacts.packed(artifacts.backbone_members())
    target = f"mobilenet/{identity(backbone)}.tar.gz"
    sagemaker.answers[target] = fakes.Answer(scores=artifacts.FEATURES)
    onboard.handler(upload(s3, backbone, "mobilenet"), CONTEXT)
    for golden in (artifacts.golden(score=0.9), artifacts.golden(score=0.5)):
        head = heads.artifact(identity(backbone), golden=golden)
        onboard.handler(upload(s3, head, "pets"), CONTEXT)


def runs_models(s3: "S3Client") -> None:
    """Reads a model."""
    key = f"lite/cifar/{identity(FIRST)}.tflite"
    stored = s3.get_object(Bucket=fakes.BUCKET, Key=key)["Body"].read()
    with Store.of(fakes.BUCKET).open(key) as (size, parts):
        assert (size, b"".join(parts)) == (len(stored), stored)


def predicts(s3: "S3Client", table: "Table") -> None:
    """Asks a head. Promotes the candidate; runs one version in the function, and rolls back the
    next one; an upload, and one that does not exist."""
    assert call("POST", "/models/pets/predict", PNG, "image/png").status == 200
    assert predict().document["version"] == identity(SECOND)
    Registry(table).set_run_in("cifar", RunIn.FUNCTION, NOW)
    assert predict().headers["X-Facet-Ran-In"] == "function"
    onboard.handler(upload(s3, FOURTH), CONTEXT)
    form = call("POST", "/uploads").document
    assert predict(image(form["s3"]), "application/json").problem == (404, "unknown-upload")
    s3.put_object(Bucket=fakes.BUCKET, Key=form["s3"], Body=PNG)
    assert predict(image(form["s3"]), "application/json").status == 200
    for path in ("/models", "/models/cifar/golden"):
        assert call("GET", path).status == 200
    denied = boto3.client("s3")
    stub = Stubber(denied)
    stub.add_client_error("get_object", "AccessDenied")
    stub.add_response("list_objects_v2", {})
    with stub, pytest.raises(UnknownUpload):
        Inbox(denied, fakes.BUCKET, 1, 1).read(form["s3"])


def trains(s3: "S3Client") -> None:
    """Plans a job with a data set, weights and code; judges its model, once beside a live version
    and once without one; reads its outcome."""
    for key in ("datasets/d/train/a/1.png", "weights/w/1", CODE):
        s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=b"x")
    s3.put_object(
        Bucket=fakes.BUCKET, Key=TRAINED, Body=artifacts.artifact(metrics={"accuracy": 0.9})
    )
    weighted = {"weights": "weights/w/", "hyperparameters": {"backbone": "mobilenet"}}
    job = {"model": "cifar", "recipe": "cifar10", "dataset": "d", **weighted}
    execution = {"id": "arn:monday", "name": "monday", "started": "2026-09-11T14:02:11.482Z"}
    plan = {"step": "plan", "execution": execution, "input": {"jobs": [job]}, "code": CODE}
    train.handler(plan, CONTEXT)
    gate = {"metric": "accuracy", "minimum": 0, "allow_worse": True}
    judge = {"step": "judge", "artifact": f"s3://{fakes.BUCKET}/{TRAINED}", "gate": gate}
    for model in ("cifar", "cats"):
        train.handler({**judge, "model": model}, CONTEXT)
    train.handler({"step": "outcome", "model": "cifar", "version": identity(FIRST)}, CONTEXT)


def changes_data_sets() -> None:
    """Images that are stored, uploaded, shown, renamed and deleted."""
    ask = partial(call, content_type="application/json", handler=teach.handler)
    images = [{"name": "1.png"}, {"name": "2.png", "content": "eA=="}]
    body = json.dumps({"label": "cat", "images": images}).encode()
    assert ask("POST", "/datasets/pets/images", body).status == 201
    assert ask("GET", "/datasets/pets/image", label="cat", name="2.png").status == 200
    renamed = json.dumps({"rename": {"from": "cat", "to": "dog"}}).encode()
    assert ask("PATCH", "/datasets/pets", renamed).document["moved"] == 1


def teaches(stack: Stack) -> None:
    """Two teachings by the routes, and their work; images go to either place of the backbone."""
    stack.add()
    path, body = "/models/squares/teach", b'{"backbone": "colours"}'
    assert call("POST", path, handler=teach.handler).status == 400  # it names the two backbones
    for _ in range(2):
        started = call("POST", path, body, handler=teach.handler)
        assert call("GET", path, handler=teach.handler).status == 200
        ended = stack.work(teaching=started.document["teaching"])
        assert ended is not None
        assert ended.version
    version = Registry(stack.table).live("colours")
    for place in Place:
        found = runner(place, 3)
        backbone = Backbone(version, None, Choice(RunIn.ENDPOINT), lambda *_: found, 3, 10**6)  # noqa: B023
        backbone.features([PNG], "1")


def sweeps(s3: "S3Client", table: "Table") -> None:
    """Uploads that wait, versions that were retired, and one whose upload was deleted."""
    Releases(table).retire(Registry(table).ready("cifar", identity(FIRST)), NOW)
    lost, _ = (upload(s3, data, "birds")["Records"][0]["s3"]["object"] for data in (FIRST, THIRD))
    s3.delete_object(Bucket=fakes.BUCKET, Key=lost["key"], VersionId=lost["versionId"])
    Registry(table).begin(replace(pending(1, "birds"), object_version=lost["versionId"]))
    client = boto3.client("lambda")
    stub = Stubber(client)
    stub.add_response("invoke", {"StatusCode": 202})
    with stub:
        swept = sweeper.Sweeper(
            PendingUploads(s3, fakes.BUCKET),
            Bucket(s3, fakes.BUCKET),
            Registry(table),
            notifications.publisher(),
            partial(sweeper.invoke, client, "onboard"),
            sweeper.Ages(timedelta(0), timedelta(0)),
        ).sweep(datetime.now(UTC))
    assert swept.failed == []
    assert swept.handed_over == ["mme/birds.tar.gz"]
    assert [each.partition("/")[0] for each in swept.abandoned] == ["birds"]
    assert {each.partition("/")[0] for each in swept.deleted} == {"cifar", "dogs"}


def permissions(statements: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """The index of each Allow statement, with each of its actions that code asks for.

    Lambda itself sends to dead-letter queues, and services use the KMS key in the caller's name.
    """
    for at, statement in enumerate(statements):
        for action in many(statement["Action"]) if statement["Effect"] == "Allow" else ():
            if not action.startswith(("sqs:", "kms:")):
                yield at, action


def without(statements: list[dict[str, Any]], at: int, action: str) -> list[dict[str, Any]]:
    less = deepcopy(statements)
    less[at]["Action"] = [each for each in many(less[at]["Action"]) if each != action]
    return less


def test_every_call_is_allowed_and_each_permission_is_missed_by_one(
    made: dict[str, list[Request]],
) -> None:
    assert RECORDER.take() == []
    assert made.keys() == set(FUNCTIONS)
    unneeded = {
        f"{function}: {action}"
        for function, calls in made.items()
        for statements in [RECORDER.policies.of(f"{function}Role")]
        for at, action in permissions(statements)
        if not any(
            RECORDER.policies.refusal(f"{function}Role", each, without(statements, at, action))
            for each in calls
        )
    }
    assert unneeded == set()


def test_a_refused_call_is_named_with_its_function_and_the_reason(
    functions: None,  # noqa: ARG001
    live: Version,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    less = [each for each in RECORDER.policies.of(ROLE) if each["Sid"] != "InvokeVersions"]
    monkeypatch.setitem(RECORDER.policies.by_role, ROLE, less)
    assert predict().status == 200
    (refused,) = RECORDER.take()
    assert refused.startswith("PredictFunction may not sagemaker:InvokeEndpoint arn:aws:sagemaker:")
    assert refused.endswith("nothing allows it")


def test_a_call_of_a_test_belongs_to_no_function(s3: "S3Client") -> None:
    RECORDER.made.clear()
    s3.list_buckets()
    assert RECORDER.made == {}


ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/facet"
VERSION = "Bucket.Arn/mme/cats/0123456789ab.tar.gz"
LITERT = "Bucket.Arn/lite/cats/0123456789ab.tflite"
HEAD = "Bucket.Arn/heads/cats/0123456789ab.npz"


@pytest.mark.parametrize(
    ("role", "action", "resource", "context", "may"),
    [
        ("TrainStateMachine", "iam:PassRole", "TrainingRole.Arn", "sagemaker.amazonaws.com", True),
        ("TrainStateMachine", "iam:PassRole", "TrainingRole.Arn", "ec2.amazonaws.com", False),
        ("TrainStateMachine", "s3:PutObject", "Bucket.Arn/mme/cats.tar.gz", "", True),
        ("TrainStateMachine", "s3:PutObject", VERSION, "", False),
        ("Training", "s3:ListBucket", "Bucket.Arn", "datasets/cats/train/", True),
        ("Training", "s3:ListBucket", "Bucket.Arn", "mme/", False),
        ("Training", "s3:ListBucket", "Bucket.Arn", "", False),
        ("Training", "s3:PutObject", VERSION, "", False),
        ("Endpoint", "s3:ListBucket", "Bucket.Arn", "mme/", True),
        ("Endpoint", "s3:GetObject", VERSION, "", True),
        ("Endpoint", "s3:GetObject", "Bucket.Arn/inbox/1", "", False),
        ("Endpoint", "s3:GetObject", LITERT, "", False),
        ("PredictFunction", "s3:GetObject", LITERT, "", False),
        ("InferFunction", "s3:GetObject", LITERT, "", True),
        ("InferFunction", "s3:GetObject", VERSION, "", False),
        ("InferFunction", "s3:PutObject", LITERT, "", False),
        ("InferFunction", "s3:ListBucket", "Bucket.Arn", "lite/", False),
        ("PredictFunction", "s3:ListBucket", "Bucket.Arn", "inbox/1", True),
        ("PredictFunction", "s3:ListBucket", "Bucket.Arn", "", False),
        ("PredictFunction", "dynamodb:UpdateItem", "Registry.Arn", "live", True),
        ("PredictFunction", "dynamodb:UpdateItem", "Registry.Arn", "status", False),
        ("PredictFunction", "sagemaker:InvokeEndpoint", ENDPOINT, "cats/1.tar.gz", True),
        ("PredictFunction", "sagemaker:InvokeEndpoint", ENDPOINT, "cats.tar.gz", False),
        ("OnboardFunction", "s3:PutObject", VERSION, "", True),
        ("SweepFunction", "s3:PutObject", VERSION, "", False),
        ("OnboardFunction", "s3:PutObject", LITERT, "", True),
        ("OnboardFunction", "s3:GetObject", LITERT, "", False),
        ("SweepFunction", "s3:PutObject", LITERT, "", False),
        ("SweepFunction", "s3:DeleteObjectVersion", LITERT, "", True),
        ("DeleteFunction", "s3:DeleteObjectVersion", LITERT, "", True),
        ("OnboardFunction", "s3:PutObject", HEAD, "", True),
        ("PredictFunction", "s3:PutObject", HEAD, "", False),
        ("InferFunction", "s3:GetObject", HEAD, "", False),
        ("SweepFunction", "s3:DeleteObjectVersion", HEAD, "", True),
        ("DeleteFunction", "s3:DeleteObjectVersion", HEAD, "", True),
    ],
)
def test_conditions_and_the_buckets_policy_decide(
    role: str, action: str, resource: str, context: str, may: bool
) -> None:
    """Also for requests that services make in the names of roles, as their guides say."""
    given = {KEYS[action]: [context]} if context else {}
    assert (
        RECORDER.policies.refusal(f"{role}Role", Request(action, resource, given)) is None
    ) is may
