"""`facet doctor` of a deployed stack (moto's): every check can fail."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from cli.doctor.result import NETWORK
from cli.doctor.stack import OUTPUTS, concurrency_limit, stack_status, subscribed
from tests.integration.conftest import REGION, TEMPLATE
from tests.support import deployed
from tests.support.deployed import ALARMS, STACK, Gateway, facet

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

RUNTIME = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"
OWN_IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/serving"


@pytest.fixture
def gateway(functions: None) -> Iterator[Gateway]:  # noqa: ARG001
    with deployed.gateway() as running:
        yield running


@pytest.fixture
def stack(gateway: Gateway, table: "Table") -> None:
    deployed.deploy(gateway.url, table.name)


def examined() -> dict[str, dict[str, str]]:
    """Findings by their checks. moto does not know Lambda's limits."""
    done = facet("doctor", "--json")
    document = json.loads(done.stdout)
    found = {each.pop("check"): each for each in document["findings"]}
    healthy = all(each["state"] != "missing" for each in found.values())
    assert (document["healthy"], done.exit_code) == (healthy, 0 if healthy else 1)
    if RUNTIME in found.get("AWS endpoint", {}).get("words", ""):  # the test's own
        del found["AWS endpoint"]
    if "concurrency" in found:
        assert found.pop("concurrency")["state"] == "unknown"
    return found


def wrong(check: str) -> tuple[str, str, str]:
    """State, words and remedy of the only check that fails."""
    found = examined()
    assert [name for name, each in found.items() if each["state"] != "ok"] == [check]
    return found[check]["state"], found[check]["words"], found[check]["remedy"]


@pytest.mark.usefixtures("stack")
def test_all_checks_pass_on_a_healthy_stack() -> None:
    found = examined()
    assert {each["state"] for each in found.values()} == {"ok"}
    assert [*found] == [
        *("region", "credentials", "stack", "endpoint", "image", "api", "api key"),
        *("undelivered", "alarms", "subscribers"),
    ]
    done = facet("doctor")
    assert done.exit_code == 0
    assert f"warning  AWS endpoint  {RUNTIME}=http://127.0.0.1:" in done.stdout
    assert f"ok       region        {REGION}\n" in done.stdout
    assert "unknown  concurrency   An error occurred" in done.stdout
    assert "             → if a permission is missing" in done.stdout


@pytest.mark.usefixtures("aws")
def test_reports_a_missing_region_credentials_or_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong("stack")[:2] == (
        "missing",
        "An error occurred (ValidationError) when calling the DescribeStacks operation: "
        f"Stack with id {STACK} does not exist",
    )
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")
    redirected, unreachable = (each for each in examined().values() if each["state"] != "ok")
    assert redirected == {
        "state": "warning",
        "words": "AWS_ENDPOINT_URL_CLOUDFORMATION=http://127.0.0.1:9 is this machine, not AWS",
        "remedy": "unset AWS_ENDPOINT_URL_CLOUDFORMATION",
    }
    assert unreachable["words"].startswith("Could not connect to the endpoint URL")
    assert unreachable["remedy"] == redirected["remedy"]
    monkeypatch.delenv("AWS_ENDPOINT_URL_CLOUDFORMATION")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://sts.invalid")
    assert wrong("credentials")[2] == NETWORK
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    assert wrong("credentials")[:2] == ("missing", "Unable to locate credentials")
    for region in ("mars-north-1", "us east"):
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        assert wrong("region")[:2] == ("missing", f"'{region}' is not a region of AWS")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    assert wrong("region") == (
        *("missing", "none is set"),
        "set AWS_REGION, or a region in your AWS profile",
    )


@pytest.mark.usefixtures("aws")
def test_reports_a_stack_without_facet_s_outputs() -> None:
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    state, words, _ = wrong("outputs")
    assert state == "missing"
    assert words.startswith("BucketName, RegistryName, ")


def test_the_template_has_these_outputs() -> None:
    assert set(OUTPUTS) <= set(yaml_parse(TEMPLATE.read_text())["Outputs"])


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warning"),
        ("UPDATE_ROLLBACK_COMPLETE", "warning"),
        ("ROLLBACK_COMPLETE", "missing"),
        ("UPDATE_ROLLBACK_FAILED", "missing"),
    ],
)
def test_the_stack_status_decides_the_result(state: str, found: str) -> None:
    result = stack_status({"StackStatus": state, "StackStatusReason": "because"})
    assert (result.state, result.words) == (found, f"{state}: because")
    assert bool(result.remedy) is (found != "ok")


@pytest.mark.usefixtures("stack")
def test_reports_an_endpoint_that_was_deleted() -> None:
    boto3.client("sagemaker").delete_endpoint(EndpointName="endpoint")
    found = examined()
    assert found["endpoint"]["state"] == "missing"
    assert "Could not find endpoint" in found["endpoint"]["words"]
    assert found["api"]["state"] == "ok"


@pytest.mark.parametrize(
    ("restored", "state"), [("", "ok"), ("at(2027-01-01T06:40:00)", "warning")]
)
def test_an_endpoint_that_the_schedule_removed_is_a_warning(
    gateway: Gateway, table: "Table", restored: str, state: str
) -> None:
    deployed.deploy(
        gateway.url, table.name, EndpointOn="false", RestoreAt=restored, MonitoringOn="false"
    )
    boto3.client("sagemaker").delete_endpoint(EndpointName="endpoint")
    found = examined()
    assert found.pop("endpoint")["state"] == state
    assert {each["state"] for each in found.values()} == {"ok"}, "nothing else assumes an endpoint"


@pytest.mark.parametrize("rest", [":1", "", f"@sha256:{'0' * 64}"])
def test_reports_an_image_that_was_deleted(gateway: Gateway, table: "Table", rest: str) -> None:
    deployed.deploy(gateway.url, table.name, image=f"{OWN_IMAGE}{rest}")
    boto3.client("ecr").create_repository(repositoryName="serving")
    state, words, remedy = wrong("image")
    assert (state, words) == ("missing", f"{OWN_IMAGE}{rest} is no longer in the registry")
    assert "ServingImageUri" in remedy


def test_accepts_an_image_that_exists(gateway: Gateway, table: "Table") -> None:
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName="serving")
    ecr.put_image(repositoryName="serving", imageTag="1", imageManifest=json.dumps(MANIFEST))
    deployed.deploy(gateway.url, table.name, image=f"{OWN_IMAGE}:1")
    assert examined()["image"] == {"state": "ok", "words": f"{OWN_IMAGE}:1", "remedy": ""}


MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "x", "size": 1, "digest": f"sha256:{'1' * 64}"},
    "layers": [],
}


@pytest.mark.usefixtures("stack")
def test_reports_a_disabled_key() -> None:
    client = boto3.client("apigateway")
    (key,) = client.get_api_keys()["items"]
    client.update_api_key(
        apiKey=key["id"],
        patchOperations=[{"op": "replace", "path": "/enabled", "value": "false"}],
    )
    state, words, remedy = wrong("api key")
    assert (state, words) == ("missing", "disabled")
    assert f"update-api-key --api-key {key['id']} " in remedy


def test_reports_an_api_that_does_not_answer(functions: None, table: "Table") -> None:
    del functions
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    state, words, _ = wrong("api")
    assert state == "missing"
    assert words.startswith("http://127.0.0.1:9/v1 cannot be reached")


@pytest.mark.usefixtures("stack")
def test_warns_of_uploads_in_the_dead_letter_queue() -> None:
    sqs = boto3.client("sqs")
    (url,) = sqs.list_queues()["QueueUrls"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    state, words, remedy = wrong("undelivered")
    assert (state, words) == ("warning", "1 in the dead-letter queue")
    assert remedy.endswith(f"`facet redrive --stack {STACK}`")


@pytest.mark.usefixtures("stack")
def test_warns_of_active_alarms() -> None:
    client = boto3.client("cloudwatch")
    for name, topic in {"stuck": ALARMS, "quiet": ALARMS, "another-s": f"{ALARMS[:-6]}x"}.items():
        client.put_metric_alarm(
            AlarmName=name,
            AlarmActions=[topic],
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
        )
        if name != "quiet":
            client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    assert wrong("alarms")[:2] == ("warning", "stuck")
    client.set_alarm_state(AlarmName="stuck", StateValue="OK", StateReason="test")
    assert examined()["alarms"]["words"] == "none of 2 is in ALARM"


@pytest.mark.usefixtures("stack")
def test_warns_if_nobody_is_notified_of_alarms() -> None:
    client = boto3.client("sns")
    assert examined()["subscribers"]["words"] == "1 of the alarm topic"
    (each,) = client.list_subscriptions_by_topic(TopicArn=ALARMS)["Subscriptions"]
    client.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    assert wrong("subscribers") == (
        "warning",
        "nobody is notified of alarms",
        "deploy with AlarmEmail, or subscribe to the output AlarmTopicArn",
    )


def test_a_subscription_counts_once_it_is_confirmed() -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html"""
    waiting = subscribed(["PendingConfirmation"])
    assert (waiting.state, waiting.words) == (
        "warning",
        "nobody confirmed the alarm topic's mail",
    )
    assert subscribed(["PendingConfirmation", f"{ALARMS}:1"]).words == "1 of the alarm topic"


def test_warns_of_low_concurrency() -> None:
    low = concurrency_limit({"UnreservedConcurrentExecutions": 10})
    assert low.state == "warning"
    assert low.words == (
        "10 concurrent executions: at most 10 predictions at once on the endpoint, 5 in the "
        "function, fewer while uploads are onboarded"
    )
    assert "Service Quotas" in low.remedy
    assert concurrency_limit({"UnreservedConcurrentExecutions": 900}).state == "ok"
