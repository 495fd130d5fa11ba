"""The schedule function's role: what CloudFormation needs to remove and restore the endpoint.

CloudFormation updates a stack with the caller's permissions. Each resource type's schema, as AWS
publishes it and cfn-lint ships it, names the actions that the handlers of its operations need.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.support.template.choosing import Chosen, applies, many, statements

ROLE = "HoursFunctionRole"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
PARAMETERS = {
    "RemoveAt": "cron(0 20 * * ? *)",
    "RestoreAt": "cron(40 6 * * ? *)",
    "ScaleDownAt": "cron(0 18 * * ? *)",
    "ScaleUpAt": "cron(0 8 * * ? *)",
    "KmsKeyArn": KEY,
}
ON, OFF = Chosen(**PARAMETERS), Chosen(**PARAMETERS, EndpointOn="false")

ACCOUNT = "us-east-1:123456789012"
SERVICE_LINKED = "sagemaker.application-autoscaling.amazonaws.com"
RESOURCES = {
    "sagemaker": f"arn:aws:sagemaker:{ACCOUNT}:endpoint/facet",
    "application-autoscaling": f"arn:aws:application-autoscaling:{ACCOUNT}:scalable-target/0a1b",
    "cloudwatch": f"arn:aws:cloudwatch:{ACCOUNT}:alarm:facet-LoadingWaitAlarm-1A2B3C",
    "iam": f"arn:aws:iam::123456789012:role/aws-service-role/{SERVICE_LINKED}"
    "/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
}
"""The resource of an action, by its service, with the names that AWS makes."""

WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "cloudwatch:GetMetricData",
}
"""Service Authorization Reference: the actions whose statements must name every resource."""

IN_A_NAMESPACE = {
    f"application-autoscaling:{action}"
    for action in (
        "RegisterScalableTarget",
        "DeregisterScalableTarget",
        "PutScalingPolicy",
        "DeleteScalingPolicy",
        "PutScheduledAction",
        "DeleteScheduledAction",
    )
}
"""The same: the actions that have the condition key application-autoscaling:service-namespace."""

TARGET, ENDPOINT = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::SageMaker::Endpoint"
NOT_NEEDED = {
    (TARGET, "iam:PassRole"): "RoleARN is not set: SageMaker's targets use a service-linked role",
    (TARGET, "lambda:GetProvisionedConcurrencyConfig"): "the target is an endpoint",
    (TARGET, "lambda:PutProvisionedConcurrencyConfig"): "the target is an endpoint",
    (TARGET, "lambda:DeleteProvisionedConcurrencyConfig"): "the target is an endpoint",
    (TARGET, "application-autoscaling:UntagResource"): "it is made and deleted, never changed",
    (ENDPOINT, "sagemaker:DeleteTags"): "it is made and deleted, never changed",
}
"""Actions that the schemas name and this update does not need, with the reason."""

ALSO_NEEDED = {
    # Two resources: Service Authorization Reference, CreateEndpoint.
    ("sagemaker:CreateEndpoint", f"arn:aws:sagemaker:{ACCOUNT}:endpoint-config/facet-1A2B"),
    # SageMaker developer guide, "Auto scaling prerequisites".
    ("sagemaker:DescribeEndpointConfig", f"arn:aws:sagemaker:{ACCOUNT}:endpoint-config/facet-1A2B"),
    ("sagemaker:UpdateEndpointWeightsAndCapacities", RESOURCES["sagemaker"]),
    # Target tracking's own alarms: Application Auto Scaling user guide.
    *(
        (action, f"arn:aws:cloudwatch:{ACCOUNT}:alarm:TargetTracking-endpoint/facet/variant/A-1")
        for action in ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms")
    ),
    # Scheduled actions go with ScheduledActions, which a target has only with ScaleDownAt.
    ("application-autoscaling:DeleteScheduledAction", RESOURCES["application-autoscaling"]),
    # CloudFormation user guide, "Control access": the template is transformed again.
    ("cloudformation:CreateChangeSet",
     "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31"),
    # SageMaker developer guide: the endpoint's volume with a key of one's own.
    ("kms:CreateGrant", KEY),
    ("kms:DescribeKey", KEY),
}  # fmt: skip
"""What is not in the schemas: pairs of an action and a resource, with the source."""


def changes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each resource that removing and restoring the endpoint changes, with the operations."""
    assert not OFF.resources.keys() - ON.resources.keys()
    for name, each in ON.resources.items():
        if name not in OFF.resources:
            yield each["Type"], ("create", "delete", "read")
        elif each != OFF.resources[name]:
            yield each["Type"], ("update", "read")


def named() -> set[tuple[str, str]]:
    """Pairs of a type and an action that the schemas name, for stacks with tags."""
    found = set()
    for kind, operations in changes():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        for operation in operations:
            found |= {(kind, each) for each in schema["handlers"][operation]["permissions"]}
        found |= {(kind, each) for each in schema["tagging"].get("permissions", [])}
    return found


def needed() -> set[tuple[str, str]]:
    """Pairs of an action and the resource that it is about."""
    actions = {action for kind, action in named() if (kind, action) not in NOT_NEEDED}
    return ALSO_NEEDED | {
        (each, "*" if each in WITHOUT_RESOURCE else RESOURCES[each.partition(":")[0]])
        for each in actions
    }


def role() -> list[dict[str, Any]]:
    """The statements of all policies of the role that the template has."""
    found = []
    for policy in ON.resources[ROLE]["Properties"]["Policies"]:
        found += statements(policy["PolicyDocument"])
    for policy in ON.of_type("AWS::IAM::ManagedPolicy").values():
        if ROLE in policy.get("Roles", []):
            found += statements(policy["PolicyDocument"])
    return found


def allowed(action: str, resource: str, rules: list[dict[str, Any]]) -> bool:
    """Whether the statements allow the request that CloudFormation or the service then sends."""
    context: dict[str, str] = {}
    if action in IN_A_NAMESPACE:
        context["application-autoscaling:service-namespace"] = "sagemaker"
    if action == "iam:CreateServiceLinkedRole":
        context["iam:AWSServiceName"] = SERVICE_LINKED
    if action == "kms:CreateGrant":
        context["kms:GrantIsForAWSResource"] = "true"
    return any(
        each["Effect"] == "Allow"
        and applies(each, action, resource)
        and _met(each.get("Condition", {}), context)
        for each in rules
    )


def _met(conditions: dict[str, dict[str, Any]], context: dict[str, str]) -> bool:
    assert conditions.keys() <= {"StringEquals", "Bool"}
    return all(
        context.get(key) in many(expected)
        for keys in conditions.values()
        for key, expected in keys.items()
    )


def test_the_endpoint_its_scaling_and_one_alarm_change() -> None:
    assert sorted(changes()) == [
        ("AWS::ApplicationAutoScaling::ScalableTarget", ("create", "delete", "read")),
        ("AWS::ApplicationAutoScaling::ScalingPolicy", ("create", "delete", "read")),
        ("AWS::ApplicationAutoScaling::ScalingPolicy", ("create", "delete", "read")),
        ("AWS::CloudWatch::Alarm", ("update", "read")),
        ("AWS::SageMaker::Endpoint", ("create", "delete", "read")),
    ]


@pytest.mark.parametrize(("action", "resource"), sorted(needed()))
def test_the_role_allows_what_the_update_needs(action: str, resource: str) -> None:
    assert allowed(action, resource, role())


@pytest.mark.parametrize(("action", "resource"), sorted(needed()))
def test_an_action_too_few_is_noticed(action: str, resource: str) -> None:
    less = deepcopy(role())
    for each in less:
        each["Action"] = [name for name in many(each["Action"]) if name != action]
    assert not allowed(action, resource, less)


def test_every_exception_is_named_by_a_schema() -> None:
    assert NOT_NEEDED.keys() <= named()


def test_the_policy_allows_nothing_else() -> None:
    document = ON.resources["WhatTheUpdateDoes"]["Properties"]["PolicyDocument"]
    actions = {action for each in statements(document) for action in many(each["Action"])}
    assert actions <= {action for action, _ in needed()}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:DeleteEndpoint", f"arn:aws:sagemaker:{ACCOUNT}:endpoint/another"),
        ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{ACCOUNT}:alarm:another"),
        ("iam:CreateServiceLinkedRole", RESOURCES["iam"].replace("sagemaker", "ecs")),
    ],
)
def test_it_is_about_this_stack_alone(action: str, resource: str) -> None:
    assert not allowed(action, resource, role())


def test_scaling_of_other_services_is_out_of_reach() -> None:
    scaling = [each for each in role() if "application-autoscaling:" in str(each["Action"])]
    for action in IN_A_NAMESPACE:
        (rule,) = (each for each in scaling if action in many(each["Action"]))
        assert not _met(rule["Condition"], {"application-autoscaling:service-namespace": "ecs"})
