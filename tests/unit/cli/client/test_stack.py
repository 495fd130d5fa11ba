"""Which stack a command finds."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cli.client.stack import NoStack, Stack, deployed, find, local
from facet.stack import Address

NAMES = ("BucketName", "RegistryName", "UndeliveredUploadsUrl", "OnboardFunctionName")
OWN = (
    *("bucket", "table", "dead_letter_queue_url", "onboard_function", "endpoint", "url"),
    *("api_key", "state_machine_arn"),
)


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name="us-east-1")


def create(session: boto3.Session, name: str, **outputs: str) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {each: {"Value": value} for each, value in outputs.items()},
    }
    session.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_a_deployed_stack_by_its_outputs(session: boto3.Session) -> None:
    create(session, "prod", **{name: f"of-{name}" for name in (*NAMES, "TrainStateMachineArn")})
    found = deployed("prod", session)
    assert (found.bucket, found.table) == ("of-BucketName", "of-RegistryName")
    assert (found.state_machine, found.home) == ("of-TrainStateMachineArn", None)


def test_finds_the_dead_letter_queue_of_a_stack_that_0_1_deployed(session: boto3.Session) -> None:
    """`facet redrive` must empty it before the upgrade deletes it."""
    names = {*NAMES, "UndeliveredDropsUrl"} - {"UndeliveredUploadsUrl"}
    create(session, "old", **{name: f"of-{name}" for name in names})
    assert deployed("old", session).dead_letter_queue_url == "of-UndeliveredDropsUrl"


def test_the_region_is_as_for_aws_s_own_command_line(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    create(session, "prod", **dict.fromkeys(NAMES, "x"))
    assert find("prod").name == "prod in us-east-1"


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    with pytest.raises(NoStack, match="specify a region; check AWS_PROFILE and AWS_REGION"):
        find("prod")


def test_a_stack_that_is_not_there_or_not_facet_s(session: boto3.Session) -> None:
    create(session, "other", **dict.fromkeys(NAMES[1:], "x"))
    with pytest.raises(NoStack, match="stack other has no output 'BucketName'"):
        deployed("other", session)
    with pytest.raises(NoStack, match=r"stack none: .*does not exist"):
        deployed("none", session)


def test_errors_and_success_name_the_endpoint_of_this_machine(
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create(session, "other", **dict.fromkeys(NAMES[1:], "x"))
    create(session, "prod", **dict.fromkeys(NAMES, "x"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://localhost:9")
    words = "AWS_ENDPOINT_URL_SNS=http://localhost:9 sends requests to this machine instead of AWS"
    for stack in ("other", "none"):
        with pytest.raises(NoStack, match=f"{words}; run `unset AWS_ENDPOINT_URL_SNS`"):
            find(stack)
    assert capsys.readouterr().err == ""
    find("prod")
    assert capsys.readouterr().err == f"warning: {words}; run `unset AWS_ENDPOINT_URL_SNS`\n"


def test_the_stack_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    with pytest.raises(NoStack, match="make run"):
        local(tmp_path)
    address = {name: f"of-{name}" for name in OWN}
    here: dict[str, object] = {"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1"}
    written = address | here | {"pid": os.getpid()}
    assert written.keys() <= {field.name for field in fields(Address)}
    (tmp_path / "stack.json").write_text(json.dumps(written))
    found = local(tmp_path)
    assert (found.bucket, found.state_machine) == ("of-bucket", "of-state_machine_arn")
    assert found.home == tmp_path
    assert found.client("s3").meta.endpoint_url == "http://127.0.0.1:9"


def test_the_runtime_of_this_machines_endpoint_has_a_url_of_its_own() -> None:
    stack = Stack(
        bucket="b",
        table="t",
        dead_letter_queue_url="q",
        onboard_function="f",
        session=boto3.Session("id", "secret", region_name="eu-west-1"),
        endpoint_url="http://127.0.0.1:1",
        sagemaker_runtime_url="http://127.0.0.1:2",
    )
    urls = {each: stack.client(each).meta.endpoint_url for each in ("sagemaker-runtime", "s3")}
    assert urls == {"sagemaker-runtime": "http://127.0.0.1:2", "s3": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"pid": "1"}', '{"pid": 99999999999999}', f'{{"pid": {os.getpid()}}}'],
    ids=["empty", "cut", "list", "text", "beyond", "nothing-else"],
)
def test_a_file_that_does_not_say_where_the_stack_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    with pytest.raises(NoStack, match="start it again with `make run`"):
        local(tmp_path)


def test_a_stack_that_was_killed_has_left_its_file(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "stack.json").write_text(json.dumps({"pid": ended.pid}))
    with pytest.raises(NoStack, match="make run"):
        local(tmp_path)
