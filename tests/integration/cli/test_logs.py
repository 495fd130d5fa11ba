"""`facet logs` of a deployed stack (moto's)."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from cli.client.stack import deployed as found
from cli.logs import log_groups
from cli.logs.log_groups import LogGroups
from tests.integration.conftest import TEMPLATE
from tests.support import deployed
from tests.support.deployed import STACK, facet

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

PREDICT = f"/aws/lambda/{STACK}-predict"
ENDPOINT = f"/aws/sagemaker/Endpoints/{STACK}"
Write = Callable[..., None]


@pytest.fixture
def client(aws: None) -> "CloudWatchLogsClient":  # noqa: ARG001
    deployed.deploy("http://127.0.0.1:9/v1", "registry")
    return boto3.client("logs")


@pytest.fixture
def now() -> float:
    return time.time()


@pytest.fixture
def write(client: "CloudWatchLogsClient", now: float) -> Write:
    """Writes lines into a group's stream, `ago` seconds before now, each next one 0.1 s later."""

    def put(group: str, stream: str, *texts: str, ago: float) -> None:
        if not client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            client.create_log_group(logGroupName=group)
        asked: Any = {"logGroupName": group, "logStreamNamePrefix": stream}
        if not client.describe_log_streams(**asked)["logStreams"]:
            client.create_log_stream(logGroupName=group, logStreamName=stream)
        events: Any = [
            {"timestamp": int((now - ago + number / 10) * 1000), "message": each}
            for number, each in enumerate(texts)
        ]
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return put


def documents(*arguments: str) -> list[dict[str, Any]]:
    done = facet("logs", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_functions_and_endpoint_by_time(write: Write) -> None:
    said = '{"level": "WARNING", "message": "slow", "correlation_id": "7f1c-2"}'
    write(PREDICT, "a", "START RequestId: 1", said + "\n", ago=30)
    write(ENDPOINT, "AllTraffic/i-0", "ERROR failed 7f1c-2", "Traceback", ago=29.95)
    write(PREDICT, "a", "long ago", ago=3600)
    assert [(each["source"], each["message"]) for each in documents()] == [
        ("PredictFunction", "START RequestId: 1"),
        ("endpoint", "ERROR failed 7f1c-2"),
        ("PredictFunction", "slow"),
        ("endpoint", "Traceback"),
    ]
    assert len(documents("PredictFunction")) == 2
    assert len(documents("PredictFunction", "--since", "2h")) == 3
    assert [each["source"] for each in documents("--request", "7f1c-2")] == [
        "endpoint",
        "PredictFunction",
    ]
    assert [each["message"] for each in documents("endpoint", "--level", "error")] == [
        "ERROR failed 7f1c-2",
        "Traceback",
    ]
    readable = facet("logs", "PredictFunction").stdout
    assert "WARNING   slow correlation_id=7f1c-2\n" in readable


def test_what_comes_late_is_read_and_nothing_twice(
    client: "CloudWatchLogsClient", write: Write, now: float
) -> None:
    log = LogGroups(client, [log_groups.LogGroup("p", PREDICT)])
    write(PREDICT, "a", "first", ago=10)
    assert [each.text for each in log.read(now - 60)] == ["first"]
    write(PREDICT, "b", "late", ago=20)
    write(PREDICT, "a", "next", ago=5)
    assert {each.text for each in log.read(now - 60)} == {"late", "next"}
    assert [*log.read(now - 60)] == []


def test_a_training_job_is_shown_whole_and_alone(write: Write) -> None:
    write(log_groups.TRAINING_JOBS, "cats-1/algo-1-1", "epoch 1", ago=5000)
    write(log_groups.TRAINING_JOBS, "cats-11/algo-1-1", "another", ago=5)
    assert [each["message"] for each in documents("training", "cats-1")] == ["epoch 1"]
    assert documents("training", "cats-1", "--since", "10m") == []


@pytest.mark.usefixtures("client")
def test_what_is_not_there() -> None:
    assert documents() == []
    for arguments, message in (
        (["Nope"], "no log of Nope; choose PredictFunction, endpoint, training JOB|MODEL"),
        (["training"], "name a training job or a model; the newest are: none"),
        (["training", "cats"], "no training job or model cats has a log"),
    ):
        done = facet("logs", *arguments)
        assert done.exit_code == 1
        assert message in done.stderr


def test_the_template_s_log_groups_are_found() -> None:
    """By their names there: each function's is called as the function is."""
    there = yaml_parse(TEMPLATE.read_text())["Resources"]
    functions = {
        name: each for name, each in there.items() if each["Type"] == "AWS::Serverless::Function"
    }
    assert functions
    for name, each in functions.items():
        log = log_groups.log_of(name)
        assert there[log]["Type"] == "AWS::Logs::LogGroup"
        assert each["Properties"]["LoggingConfig"] == {"LogGroup": {"Ref": log}}
    endpoint = there[log_groups.log_of("endpoint")]["Properties"]["LogGroupName"]
    assert endpoint == {"Fn::Sub": "/aws/sagemaker/Endpoints/${AWS::StackName}"}


def test_the_stack_s_groups(client: "CloudWatchLogsClient") -> None:
    del client
    stack = found(STACK, boto3.Session())
    assert {name: each.group for name, each in log_groups.groups(stack).items()} == {
        "PredictFunction": PREDICT,
        "endpoint": ENDPOINT,
    }
