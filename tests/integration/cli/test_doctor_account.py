"""`facet doctor --account` as a whole, against moto, with stubs for what moto lacks."""

import json
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from cli.app import app
from cli.doctor.account.checks import Deploy, check_account
from cli.doctor.result import CheckResult
from tests.support.aws.stubbed import REGION, Session, client

BUCKET = f"new-123456789012-{REGION}"
CHECKS = (
    *("region", "credentials", "stack", "parameters", "bucket", "registry", "log groups"),
    *("endpoint", "concurrency", "services", "endpoint quota", "training quota", "serving image"),
    *("training image", "scaling role", "access log role"),
)


def enough() -> dict[str, Any]:
    """Clients of what moto does not implement."""
    types = ("ml.c6i.2xlarge", "ml.c7i.2xlarge")
    names = [
        *("ml.m5.xlarge for endpoint usage", "Number of instances across active endpoints"),
        *(f"{each} for {spot}training job usage" for each in types for spot in ("", "spot ")),
        *(f"Number of instances across all {spot}training jobs" for spot in ("", "spot ")),
    ]
    values = {"Quotas": [{"QuotaName": each, "Value": 4} for each in names]}
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}}
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    image = {"images": [{"imageManifestMediaType": media_type}]}
    none: dict[str, Any] = {}
    return {
        "service_quotas": client("service-quotas", ("list_service_quotas", values)),
        "lambda": client("lambda", ("get_account_settings", limit)),
        "ssm": client("ssm", ("get_parameters", none), ("get_parameters", none)),
        "ecr": client("ecr", ("batch_get_image", image), ("batch_get_image", image)),
    }


def examined(stack: str = "new", **parameters: str) -> dict[str, CheckResult]:
    """Results by their checks."""
    deploy = Deploy("default", stack, parameters)
    return {each.check: each for each in check_account(deploy, Session(**enough()))}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"InstanceCount": "two", "MaxInstances": "-5"}, ["InstanceCount cannot be 'two'", "-5"]),
        ({"InstanceCount": ""}, ["InstanceCount cannot be ''"]),
        ({"LogLevel": "debug"}, ["LogLevel cannot be 'debug'", "DEBUG"]),
        ({"Colour": "red"}, ["the template has no parameter Colour"]),
        ({"InstanceCount": "3"}, ["InstanceCount cannot be greater than MaxInstances"]),
        ({"RemoveAt": "cron(0 20 ? * * *)"}, ["Set RemoveAt and RestoreAt together"]),
    ],
)
def test_parameters_that_a_deploy_would_refuse_are_found(
    given: dict[str, str], words: list[str]
) -> None:
    found = [*examined(**given).values()][-1]
    assert (found.check, found.state) == ("parameters", "missing")
    assert all(each in found.words for each in words), found


@pytest.fixture
def scaling_role(aws: None) -> None:  # noqa: ARG001
    trust = {"Version": "2012-10-17", "Statement": []}
    boto3.client("iam").create_role(
        RoleName="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        AssumeRolePolicyDocument=json.dumps(trust),
    )


@pytest.mark.usefixtures("scaling_role")
def test_all_checks_pass_in_an_account_that_has_what_a_deploy_needs() -> None:
    found = examined()
    assert [*found] == [*CHECKS]
    assert [each for each in found.values() if each.state != "ok"] == []


@pytest.mark.usefixtures("scaling_role")
def test_what_an_earlier_stack_left_is_found() -> None:
    boto3.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    boto3.client("logs").create_log_group(logGroupName="/aws/lambda/new-predict")
    boto3.client("dynamodb").create_table(
        TableName="new-Registry-1A2B",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "model", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "model", "KeyType": "HASH"}],
    )
    found = examined()
    assert (found["bucket"].state, found["log groups"].state) == ("missing", "missing")
    assert found["registry"].state == "warning"
    assert "new-Registry-1A2B" in found["registry"].words
    assert examined("other")["bucket"].state == "ok"


@pytest.mark.usefixtures("scaling_role")
def test_an_existing_stack_keeps_its_parameters_and_owns_its_names() -> None:
    template = {
        "Parameters": {"MaxInstances": {"Type": "String"}},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    }
    boto3.client("cloudformation").create_stack(
        StackName="new",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "MaxInstances", "ParameterValue": "1"}],
    )
    found = examined()
    assert found["stack"].words.startswith("new exists; a deploy updates it")
    assert "bucket" not in found
    assert "an update needs 2 at most" in found["endpoint quota"].words
    assert "an update of 3 needs 6" in examined(MaxInstances="3")["endpoint quota"].words


def test_the_command_prints_what_it_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        done = CliRunner().invoke(app, ["doctor", "--account", "--env", "prod", "--json"])
        document = json.loads(done.stdout)
    finally:
        server.stop()
    found = {each["check"]: each for each in document["findings"]}
    assert [*found] == ["AWS endpoint", *CHECKS]
    assert found["stack"]["words"] == "facet-prod does not exist; a deploy creates it"
    assert found["endpoint quota"]["state"] == found["concurrency"]["state"] == "unknown"
    assert found["training image"]["state"] == "missing"
    # moto's server answers with a page of HTML.
    assert found["scaling role"]["state"] == "unknown"
    assert (document["healthy"], done.exit_code) == (False, 1)


def test_wrong_options_are_explained() -> None:
    for words, reason in {
        "--env dev": "need --account",
        "--parameter LogDays=1": "need --account",
        "--account --env test": "there are default, dev, prod",
    }.items():
        done = CliRunner().invoke(app, ["doctor", *words.split()])
        assert (done.exit_code, reason in done.output) == (2, True)
