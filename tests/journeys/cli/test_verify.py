"""`facet verify` on the stack of this machine, and on one that is wrong in six ways."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.client.api import connect
from cli.client.resources import TOPIC, resources
from cli.client.stack import local
from cli.verify.artifacts import Sample
from cli.verify.carry_out import Plan, carry_out
from cli.verify.check import Finding, State
from cli.verify.checks import CHECKS, ON_REQUEST, versions
from cli.verify.session import PREFIX, Session
from local.moto.aws import client
from tests.support.broken import Break, broken_copy, running
from tests.support.stacks import Running

NOWHERE = {"hours", "update", "alarms", "wording-507", "wording-408"}
"""Checks that a laptop's stack has nothing for."""

ORIGIN = "https://app.example"
BREAKS = (
    Break("functions/onboard/proof/rows.py", "        if golden is None:", "        if True:"),
    Break("template.yaml", "        DEFAULT_4XX: {ResponseParameters", "        # {"),
    Break("functions/predict/bucket/objects.py", 'if code != "NoSuchKey":', "if code:"),
    Break("template.yaml", 'FACET_REGISTRY_TTL: "10"', 'FACET_REGISTRY_TTL: "3600"'),
    Break(
        "functions/onboard/removal/deletion.py",
        "in range(0, len(nameable), MAX_AT_ONCE):",
        "in range(0):",
    ),
)
FOUND = {"golden-mismatch", "refusal-origin", "missing-key", "rollback", "clean-up"}
"""The checks that these breaks change."""


def models(stack: Running) -> set[str]:
    """The names below mme/ and datasets/ that verify has made."""
    s3 = client("s3", stack.address)
    found = s3.list_objects_v2(Bucket=stack.address.bucket)["Contents"]
    s3.close()
    return {each["Key"] for each in found if PREFIX in each["Key"]}


def test_the_stack_of_this_machine_is_as_assumed(stack: Running, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    arguments = ["verify", "--home", str(stack.home), "--report", str(file)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads(file.read_text())
    states = {each["check"]: each["state"] for each in report["findings"]}
    assert states.keys() == CHECKS.keys()
    assert {name for name, state in states.items() if state != State.SEEN} == NOWHERE
    assert report["passed"] is True
    assert (
        f"{len(CHECKS) - len(NOWHERE)} seen, 0 different, {len(NOWHERE)} not tried" in done.stdout
    )
    for secret in (stack.address.api_key, stack.address.secret_access_key, "123456789012"):
        assert secret not in done.output + file.read_text()
    assert models(stack) == set()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of a running stack with BREAKS, and an alarm with a dimension that is not there."""
    template = broken_copy(tmp_path_factory.mktemp("broken"), BREAKS)
    home = tmp_path_factory.mktemp("home")
    with running(template, home, AllowOrigin=ORIGIN):
        alarm(home)
        yield home


def alarm(home: Path) -> None:
    """Makes an alarm on an endpoint's metric that has another dimension than the alarm."""
    stack = local(home)
    endpoint = {"Name": "EndpointName", "Value": stack.endpoint}
    client = stack.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="latency",
        AlarmActions=[resources(stack, TOPIC)["AlarmTopic"]],
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[endpoint, {"Name": "Variant", "Value": "AllTraffic"}],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    metric = {
        "MetricName": "ModelLatency",
        "Dimensions": [endpoint, {"Name": "VariantName", "Value": "AllTraffic"}],
        "Timestamp": datetime.now(UTC),
        "Value": 1.0,
    }
    client.put_metric_data(Namespace="AWS/SageMaker", MetricData=[metric])


def verified(home: Path, names: set[str], patience: float = 1.0) -> list[Finding]:
    """The findings of a run; `patience` as that of a session."""
    stack = local(home)
    session = Session(
        stack, connect(stack), Sample.read(), {"AllowOrigin": ORIGIN}, patience=patience
    )
    return carry_out(session, Plan(names), lambda _: None, lambda _: None)


def test_each_of_six_breaks_is_found(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "SWITCH_SECONDS", 10.0)  # one of the breaks makes it wait so long
    names = CHECKS.keys() - ON_REQUEST - {"training", "canary", "alarms"}
    findings = verified(broken, {*names})
    different = {each.check: each.found for each in findings if each.state is State.DIFFERENT}
    assert different.keys() == FOUND, different
    assert different["golden-mismatch"].startswith("READY")
    assert different["refusal-origin"].startswith("no key: 403")
    assert different["missing-key"].startswith("500")
    assert "still answers" in different["rollback"]
    assert "left in the bucket: mme/facet-verify-" in different["clean-up"]
    seen = {each.check for each in findings if each.state is State.SEEN}
    assert {"golden-proof", "predict-raw", "both-versions", "rejection", "no-endpoint"} <= seen
    alarm, _ = verified(broken, {"alarms"}, 0.0)
    assert (alarm.state, alarm.subject) == (State.DIFFERENT, "latency")
    assert "but it exists as {EndpointName=" in alarm.found


def test_a_bucket_that_reports_no_uploads_is_found(broken: Path) -> None:
    stack = local(broken)
    stack.client("s3").put_bucket_notification_configuration(
        Bucket=stack.bucket, NotificationConfiguration={}
    )
    proof, raw, *_ = verified(broken, {"golden-proof", "predict-raw"}, 0.02)
    assert proof.state is State.DIFFERENT
    assert "no result after 2 s: the upload is being checked" in proof.found
    assert raw.state is State.NOT_TRIED
    assert raw.found.startswith("it needs a READY version of the sample: no result")
