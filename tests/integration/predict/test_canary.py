"""A canary behind the API: which version answers, the counts, the end, and the events."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from facet.registry.models import Canary, Mode, Policy
from facet.registry.placement import Placement
from facet.registry.releases import Releases
from facet.registry.store import Registry
from predict import clients
from predict.canary import goes_to_candidate
from tests.support.api import call, predict
from tests.support.aws import fakes
from tests.support.aws.fakes import Answer
from tests.support.inputs import artifacts
from tests.support.versions import NOW, accept, make_live, pending, ready

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.usefixtures("canary", "cold_start")

POLICY = Policy(Mode.CANARY, percent=40, good_answers=3)
TO_CANDIDATE = [each for each in map(str, range(200)) if goes_to_candidate(POLICY.percent, each)]
TO_LIVE = [each for each in map(str, range(200)) if not goes_to_candidate(POLICY.percent, each)]
LIVE, CANDIDATE = ready(1), ready(2)
FAILURE = Answer(
    424,
    "ModelError",
    json.dumps({"OriginalStatusCode": 500, "OriginalMessage": '{"error": "words"}'}).encode(),
)
TEMPLATE = Path(__file__).parents[3] / "template.yaml"
MISSING = Answer(400, "ValidationError", b"{}")


@pytest.fixture(autouse=True)
def canary(table: "Table", functions: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """A canary in progress. What the process knows does not expire during the test, and after the
    first answer nothing that can wait is counted before `later`."""
    make_live(table, pending(1))
    Releases(table).set_policy("cifar", POLICY, NOW)
    assert accept(table, pending(2)) is Placement.CANDIDATE
    monkeypatch.setenv("FACET_REGISTRY_TTL", "100000")
    monkeypatch.setattr("predict.canary.UPDATE_INTERVAL", math.inf)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the time pass after which counts are written again."""
    return lambda: monkeypatch.setattr("predict.canary.UPDATE_INTERVAL", 0.0)


@pytest.fixture
def bus(aws: None) -> "tuple[SQSClient, str]":  # noqa: ARG001
    """A queue that receives all events of Facet."""
    sqs, events = boto3.client("sqs"), boto3.client("events")
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.put_rule(Name="ours", EventPattern=json.dumps({"source": ["facet"]}))
    arn = attributes["Attributes"]["QueueArn"]
    events.put_targets(Rule="ours", Targets=[{"Id": "queue", "Arn": arn}])
    return sqs, queue


def received(bus: "tuple[SQSClient, str]") -> list[tuple[str, dict[str, Any]]]:
    sqs, queue = bus
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    found = [json.loads(each["Body"]) for each in messages]
    return [(each["detail-type"], each["detail"]) for each in found]


def answering_version(request_id: str) -> str:
    reply = predict(request_id=request_id)
    assert reply.status == 200, reply
    assert reply.headers["X-Model-Version"] == reply.document["version"]
    return str(reply.document["version"])


def test_the_request_id_of_api_gateway_decides_which_version_answers(
    sagemaker: fakes.SageMaker,
) -> None:
    assert [answering_version(each) for each in TO_CANDIDATE[:2]] == [CANDIDATE.id] * 2
    assert [answering_version(each) for each in TO_LIVE[:2]] == [LIVE.id] * 2
    assert [target for target, _ in sagemaker.asked] == [
        CANDIDATE.target,
        CANDIDATE.target,
        LIVE.target,
        LIVE.target,
    ]


def test_a_requested_version_answers_during_a_canary(registry: Registry) -> None:
    for request_id in (TO_CANDIDATE[0], TO_LIVE[0]):
        assert predict(request_id=request_id, version=LIVE.id).document["version"] == LIVE.id
    found = registry.model("cifar").canary
    assert found == Canary(CANDIDATE.id, POLICY.percent, POLICY.good_answers)


def test_a_failing_candidate_is_rolled_back_and_the_live_version_answers(
    registry: Registry, sagemaker: fakes.SageMaker, bus: "tuple[SQSClient, str]"
) -> None:
    sagemaker.answers[CANDIDATE.target] = FAILURE
    assert [answering_version(each) for each in TO_CANDIDATE[:3]] == [LIVE.id] * 3
    model = registry.model("cifar")
    assert (model.live, model.canary, model.rolled_back) == (LIVE.id, None, CANDIDATE.id)
    ((event_type, detail),) = received(bus)
    assert event_type == "ModelRolledBack"
    assert (detail["model"], detail["version"]) == ("cifar", CANDIDATE.id)
    assert (detail["by"], detail["live"], detail["candidate_bad"]) == ("canary", LIVE.id, 3)
    sagemaker.asked.clear()
    assert answering_version(TO_CANDIDATE[3]) == LIVE.id
    assert [target for target, _ in sagemaker.asked] == [LIVE.target]


def test_a_promoted_candidate_answers_in_this_process_at_once(
    registry: Registry, bus: "tuple[SQSClient, str]", later: Callable[[], None]
) -> None:
    for each in TO_CANDIDATE[:3]:
        answering_version(each)
    later()
    answering_version(TO_CANDIDATE[3])
    model = registry.model("cifar")
    assert (model.live, model.previous, model.canary) == (CANDIDATE.id, LIVE.id, None)
    assert answering_version(TO_LIVE[0]) == CANDIDATE.id
    ((event_type, detail),) = received(bus)
    assert (event_type, detail["previous"]) == ("ModelPromoted", LIVE.id)
    assert detail["candidate_good"] == 4


def test_a_candidate_that_fails_as_often_as_the_live_version_stays(
    registry: Registry, sagemaker: fakes.SageMaker, later: Callable[[], None]
) -> None:
    sagemaker.answer = FAILURE
    for each in TO_LIVE[:3]:
        assert predict(request_id=each).status == 502
    later()
    for each in (TO_LIVE[3], *TO_CANDIDATE[:3]):
        assert predict(request_id=each).status == 502
    found = registry.model("cifar").canary
    assert found
    assert (found.candidate_bad, found.live_bad) == (3, 4)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, "ThrottlingException", b"{}"),
        Answer(429, "ModelNotReadyException", b"{}"),
        Answer(503, "ServiceUnavailable", b"{}"),
    ],
)
def test_errors_of_the_endpoint_are_not_counted(
    registry: Registry, sagemaker: fakes.SageMaker, answer: Answer
) -> None:
    sagemaker.answer = answer
    for each in (*TO_CANDIDATE[:5], *TO_LIVE[:5]):
        assert predict(request_id=each).status in (429, 503)
    assert registry.model("cifar").canary == Canary(CANDIDATE.id, 40, 3)


def test_invalid_requests_are_not_counted(registry: Registry) -> None:
    for each in (TO_CANDIDATE[0], TO_LIVE[0]):
        assert predict(artifacts.encoded()[:-50], request_id=each).status == 422
    assert registry.model("cifar").canary == Canary(CANDIDATE.id, 40, 3)


def test_the_live_version_answers_for_a_deleted_candidate(
    table: "Table", sagemaker: fakes.SageMaker
) -> None:
    assert answering_version(TO_CANDIDATE[0]) == CANDIDATE.id
    Releases(table).withdraw(CANDIDATE, NOW)
    sagemaker.answers[CANDIDATE.target] = MISSING
    assert [answering_version(each) for each in TO_CANDIDATE[:2]] == [LIVE.id] * 2
    assert [target for target, _ in sagemaker.asked].count(CANDIDATE.target) == 2


def test_a_retired_and_deleted_live_version_is_looked_up_again(
    table: "Table", sagemaker: fakes.SageMaker
) -> None:
    assert answering_version(TO_LIVE[0]) == LIVE.id
    Releases(table).promote("cifar", CANDIDATE.id, NOW)
    Releases(table).retire(LIVE, NOW)
    assert answering_version(TO_LIVE[0]) == LIVE.id, "while its object is there"
    sagemaker.answers[LIVE.target] = MISSING
    assert [answering_version(each) for each in TO_LIVE[:2]] == [CANDIDATE.id] * 2


def test_predictions_continue_while_the_registry_is_down(
    table: "Table", caplog: pytest.LogCaptureFixture, later: Callable[[], None]
) -> None:
    answering_version(TO_CANDIDATE[0])
    table.delete()
    later()
    assert answering_version(TO_CANDIDATE[0]) == CANDIDATE.id
    assert "canary not counted" in caplog.text


def test_a_models_description_has_its_canary(sagemaker: fakes.SageMaker) -> None:
    answering_version(TO_LIVE[0])
    sagemaker.answers[CANDIDATE.target] = FAILURE
    answering_version(TO_CANDIDATE[0])
    shown = {
        "candidate": CANDIDATE.id,
        "percent": 40,
        "good_answers": 3,
        "candidate_good": 0,
        "candidate_bad": 1,
        "live_good": 1,
        "live_bad": 0,
    }
    document = call("GET", "/models/cifar").document
    assert document["canary"] == shown
    assert document["policy"] == {"mode": "canary", "percent": 40, "good_answers": 3}
    assert (document["live"], document["rolled_back"]) == (LIVE.id, None)
    (listed,) = call("GET", "/models").document["models"]
    assert listed["canary"] == shown


def written(request: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yields the permission each write of a request needs, and the attributes it names."""
    writes = [each for item in request.get("TransactItems", []) for each in item.items()]
    for kind, write in writes or [("Update", request)]:
        text = f"{write.get('UpdateExpression', '')} {write['ConditionExpression']}"
        words = set(re.findall(r"(?<![:\w#])#?[a-z_]\w*", text))
        names = write.get("ExpressionAttributeNames", {})
        named = {
            names.get(word, word) for word in words - {"attribute_exists", "attribute_not_exists"}
        }
        action = {"Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}[kind]
        yield f"dynamodb:{action}", named | set(write["Key"])


def test_the_template_permits_exactly_the_writes_of_a_canary(
    table: "Table", sagemaker: fakes.SageMaker, later: Callable[[], None]
) -> None:
    seen: dict[str, set[str]] = {}

    def watch(model: Any, params: dict[str, Any], **_: Any) -> None:
        if model.name in ("UpdateItem", "TransactWriteItems"):
            for action, named in written(json.loads(params["body"])):
                seen.setdefault(action, set()).update(named)

    clients.table().meta.client.meta.events.register("before-call.dynamodb", watch)
    for each in TO_CANDIDATE[:3]:
        answering_version(each)
    later()
    answering_version(TO_CANDIDATE[3])
    accept(table, pending(3))
    sagemaker.answers[ready(3).target] = FAILURE
    for each in TO_CANDIDATE[:3]:
        answering_version(each)
    function = yaml_parse(TEMPLATE.read_text())["Resources"]["PredictFunction"]["Properties"]
    (policy,) = function["Policies"]
    rules = {each["Sid"]: each for each in policy["Statement"] if "Sid" in each}
    counting, checking = rules["ConcludeCanaries"], rules["SeeThatTheyAreReady"]
    permitted = counting["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert set(seen) == {counting["Action"], checking["Action"]}
    assert seen[counting["Action"]] == set(permitted)
    assert len(counting["Condition"]) == 1, "predict may read what an update returns anyway"
