"""Where failures that nobody waits for end: in a queue or a topic that somebody is notified of."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.events.models import EventPattern

from tests.support.template.choosing import Chosen, statements

SCHEDULED = {"RemoveAt": "cron(0 20 * * ? *)", "RestoreAt": "cron(40 6 * * ? *)"}
DEFAULT, FULL = Chosen(), Chosen(**SCHEDULED)
RUNBOOK = (Path(__file__).parents[3] / "docs/operations.md").read_text()
STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/facet/1"
chosen_stack = pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "schedule"])


def changed(status: str, **others: Any) -> dict[str, Any]:
    """CloudFormation's event: docs.aws.amazon.com/AWSCloudFormation, "Stack Status Change event
    detail"."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "CloudFormation Stack Status Change",
        "source": "aws.cloudformation",
        "account": "123456789012",
        "time": "2026-03-04T05:06:07Z",
        "region": "us-east-1",
        "resources": [STACK_ID],
        "detail": {
            "stack-id": STACK_ID,
            "status-details": {
                "status": status,
                "status-reason": 'The following resource(s) failed to update: ["Endpoint"]. ',
            },
            "client-request-token": "",
        },
    } | others


def targets(chosen: Chosen) -> list[dict[str, Any]]:
    """Of all rules and schedules."""
    rules = chosen.of_type("AWS::Events::Rule").values()
    schedules = chosen.of_type("AWS::Scheduler::Schedule").values()
    return [target for rule in rules for target in rule["Targets"]] + [
        each["Target"] for each in schedules
    ]


@chosen_stack
def test_every_asynchronous_invocation_has_a_dead_letter_queue(chosen: Chosen) -> None:
    queues = {f"{name}.Arn" for name in chosen.of_type("AWS::SQS::Queue")}
    functions = chosen.of_type("AWS::Lambda::Function")
    asynchronous = {
        each["FunctionName"] for each in chosen.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    invoked = {each["Arn"].removesuffix(".Arn") for each in targets(chosen)}
    invoked -= chosen.of_type("AWS::SNS::Topic").keys()
    assert {"OnboardFunction", "SweepFunction"} <= asynchronous
    assert invoked <= asynchronous
    for name in asynchronous:
        assert functions[name]["DeadLetterConfig"]["TargetArn"] in queues
    for target in targets(chosen):
        assert target["DeadLetterConfig"]["Arn"] in queues


@chosen_stack
def test_rules_may_send_to_their_dead_letter_queues(chosen: Chosen) -> None:
    """Schedules send with a role of their own."""
    (policy,) = chosen.of_type("AWS::SQS::QueuePolicy").values()
    (allow,) = (each for each in statements(policy["PolicyDocument"]) if each["Effect"] == "Allow")
    rules = [f"{name}.Arn" for name in chosen.of_type("AWS::Events::Rule")]
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert sorted(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(rules)
    for rule in chosen.of_type("AWS::Events::Rule").values():
        assert {each["DeadLetterConfig"]["Arn"] for each in rule["Targets"]} == {allow["Resource"]}


@chosen_stack
def test_an_alarm_watches_every_queue(chosen: Chosen) -> None:
    watched = {
        each["Dimensions"][0]["Value"]
        for each in chosen.of_type("AWS::CloudWatch::Alarm").values()
        if each.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        and each["AlarmActions"] == ["AlarmTopic"]
        and (each["Threshold"], each["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    }
    assert watched == {f"{name}.QueueName" for name in chosen.of_type("AWS::SQS::Queue")}


def test_the_runbook_says_where_failures_end() -> None:
    rows = re.findall(r"^\| .* \| .* \|$", RUNBOOK.partition("Where failures end")[2], re.MULTILINE)
    words = set(re.findall(r"`(\w+)`", "\n".join(rows)))
    assert DEFAULT.of_type("AWS::SQS::Queue").keys() <= words
    assert "FailedUpdates" in words
    assert {name for name in words if name.endswith("Alarm")} >= {
        name
        for name, each in DEFAULT.of_type("AWS::CloudWatch::Alarm").items()
        if each.get("Namespace") in ("AWS/SQS", "AWS/States")
    }


# --- failed updates ---------------------------------------------------------------------------

RULE = DEFAULT.resources["FailedUpdates"]["Properties"]
PATTERN = EventPattern.load(json.dumps(RULE["EventPattern"]))
STATUSES: list[str] = (
    botocore.session.get_session()
    .get_service_model("cloudformation")
    .shape_for("StackStatus")
    .metadata["enum"]
)


def matches(event: dict[str, Any]) -> bool:
    """Whether the rule's pattern matches an event, by moto's implementation of patterns."""
    return PATTERN.matches_event(event)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", STATUSES)
def test_each_failure_of_an_update_is_reported(status: str) -> None:
    """Not a failed creation or deletion: the rule may not exist then, and somebody waits."""
    failed = "UPDATE" in status and ("FAILED" in status or "ROLLBACK" in status)
    reported = failed and not status.endswith("_CLEANUP_IN_PROGRESS")
    assert matches(changed(status)) is reported


@pytest.mark.parametrize(
    "others",
    [
        {"source": "facet"},
        {"detail-type": "CloudFormation Resource Status Change"},
        {"detail": changed("UPDATE_FAILED")["detail"] | {"stack-id": "another"}},
    ],
    ids=lambda each: next(iter(each)),
)
def test_other_events_are_not_reported(others: dict[str, Any]) -> None:
    assert not matches(changed("UPDATE_FAILED", **others))


def test_the_report_is_one_line_with_the_status_and_the_section_of_the_runbook() -> None:
    (target,) = RULE["Targets"]
    transformer = target["InputTransformer"]
    text = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = changed("UPDATE_ROLLBACK_IN_PROGRESS")
        for key in path.removeprefix("$.").split("."):
            value = value[key]
        text = text.replace(f"<{name}>", value)
    assert json.loads(text) == (
        "An update of the stack facet failed: UPDATE_ROLLBACK_IN_PROGRESS at 2026-03-04T05:06:07Z. "
        "docs/operations.md#a-failed-update"
    )


def test_alarms_and_the_rule_may_publish_to_the_topic() -> None:
    """ "You can't use Condition blocks in Amazon SNS topic policies for EventBridge": EventBridge
    user guide, Troubleshooting."""
    (policy,) = DEFAULT.of_type("AWS::SNS::TopicPolicy").values()
    assert policy["Topics"] == ["AlarmTopic"]
    allowed = {
        each["Principal"]["Service"]: each.get("Condition")
        for each in statements(policy["PolicyDocument"])
    }
    assert {
        (each["Action"], each["Resource"]) for each in statements(policy["PolicyDocument"])
    } == {("sns:Publish", "AlarmTopic")}
    assert allowed == {
        "cloudwatch.amazonaws.com": {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"},
        },
        "events.amazonaws.com": None,
    }
    assert [each["Arn"] for each in RULE["Targets"]] == ["AlarmTopic"]
    assert "RoleArn" not in RULE["Targets"][0], "with one, delivery to an encrypted topic may fail"
