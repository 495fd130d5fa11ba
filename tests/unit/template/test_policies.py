"""Who may do what by the template's policies, the bucket's own among them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.choosing import Chosen, applies, many, statements

KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
NIGHT = "cron(0 20 * * ? *)"
ALL = {
    "KmsKeyArn": KEY,
    "SubnetIds": "subnet-0a1b",
    "SecurityGroupIds": "sg-0a1b",
    "CapturePercent": "10",
    "ApiLogs": "set-role-and-write",
    "RemoveAt": NIGHT,
    "RestoreAt": NIGHT,
    "NotificationTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
}
DEFAULT, FULL = Chosen(), Chosen(**ALL)
EVERYWHERE = {
    "RegistryToken": "ecr:GetAuthorizationToken is the account's, not a repository's",
    "Measure": "cloudwatch:PutMetricData knows namespaces only, which a condition names",
    "DeliverLogs": "the delivery of logs knows no resources",
    "JoinNetwork": "the network interfaces are not made yet; AWS's own policy says the same",
    "SeeHowItScales": "Application Auto Scaling describes the whole account or nothing",
}
"""Statements that may name every resource, with why nothing narrower will do."""

OF_AWS = {
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXrayWriteOnlyAccess",
    "AmazonAPIGatewayPushToCloudWatchLogs",
}
"""What SAM attaches, and what API Gateway asks for."""

BUCKET = "Bucket.Arn"
ONBOARD, SWEEP = "OnboardFunctionRole.Arn", "SweepFunctionRole.Arn"
ANYBODY = "arn:aws:iam::123456789012:role/admin"
VERSION = f"{BUCKET}/mme/cifar/0123456789ab.tar.gz"
DROP = f"{BUCKET}/mme/cifar.tar.gz"


def policies(chosen: Chosen) -> Iterator[dict[str, Any]]:
    """Every statement of a role or of a policy that is attached to roles or people."""
    for role in chosen.of_type("AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            yield from statements(policy["PolicyDocument"])
    for policy in chosen.of_type("AWS::IAM::ManagedPolicy").values():
        yield from statements(policy["PolicyDocument"])


def attached(chosen: Chosen, policy: str) -> set[str]:
    return set(chosen.resources[policy]["Properties"]["Roles"])


def function_roles(chosen: Chosen) -> set[str]:
    functions = chosen.of_type("AWS::Lambda::Function").values()
    return {each["Role"].removesuffix(".Arn") for each in functions}


# --- roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "full"])
def test_nothing_is_allowed_everywhere_that_could_be_allowed_somewhere(chosen: Chosen) -> None:
    for each in policies(chosen):
        if each["Effect"] == "Allow" and "*" in many(each["Resource"]):
            assert each["Sid"] in EVERYWHERE, each


def test_every_exception_is_needed() -> None:
    everywhere = {
        each["Sid"]
        for each in policies(FULL)
        if each["Effect"] == "Allow" and "*" in many(each["Resource"])
    }
    assert everywhere == EVERYWHERE.keys()


def test_the_page_on_security_says_what_every_function_may() -> None:
    page = (Path(__file__).parents[3] / "docs/security.md").read_text()
    rows = re.findall(r"^\| (\w+) function\b.* \|$", page, re.MULTILINE)
    assert sorted(f"{name.capitalize()}FunctionRole" for name in rows) == sorted(
        function_roles(FULL)
    )


@pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "full"])
def test_no_action_is_a_pattern(chosen: Chosen) -> None:
    for each in policies(chosen):
        assert each["Effect"] == "Deny" or "*" not in str(each["Action"]), each


def test_metrics_go_to_sagemakers_namespaces_only() -> None:
    measuring = [each for each in policies(FULL) if each.get("Sid") == "Measure"]
    assert len(measuring) == 2
    for each in measuring:
        patterns = each["Condition"]["StringLike"]["cloudwatch:namespace"]
        assert all(pattern.strip("/").lower().startswith("aws/sagemaker") for pattern in patterns)


def test_policies_of_aws_are_those_that_are_explained() -> None:
    arns = {
        arn.rpartition("/")[2]
        for role in FULL.of_type("AWS::IAM::Role").values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert arns == OF_AWS


@pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "full"])
def test_functions_may_not_do_all_that_policies_of_aws_allow(chosen: Chosen) -> None:
    assert attached(chosen, "FunctionsKeepToThemselves") == function_roles(chosen)
    document = chosen.resources["FunctionsKeepToThemselves"]["Properties"]["PolicyDocument"]
    logs, network = statements(document)
    assert {each["Effect"] for each in (logs, network)} == {"Deny"}
    prefix = logs["NotResource"].rpartition("log-group:")[2]
    assert prefix == "/aws/lambda/facet-*"
    for each in chosen.of_type("AWS::Lambda::Function").values():
        group = chosen.resources[each["LoggingConfig"]["LogGroup"]]["Properties"]
        assert group["LogGroupName"].startswith(prefix.rstrip("*"))
    assert "lambda:SourceFunctionArn" in network["Condition"]["ArnLike"]


def test_roles_are_lent_to_one_service_only() -> None:
    passing = [each for each in policies(FULL) if "iam:PassRole" in each["Action"]]
    assert passing
    for each in passing:
        assert each["Resource"] != "*"
        assert each["Condition"]["StringEquals"].keys() == {"iam:PassedToService"}


@pytest.mark.parametrize("role", ["TrainingRole", "EndpointRole"])
def test_sagemaker_takes_the_roles_for_this_account_only(role: str) -> None:
    (trust,) = statements(FULL.resources[role]["Properties"]["AssumeRolePolicyDocument"])
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_whoever_invokes_the_endpoint_invokes_versions_of_this_one() -> None:
    invoking = [each for each in policies(FULL) if each["Action"] == "sagemaker:InvokeEndpoint"]
    assert len(invoking) == 2
    for each in invoking:
        assert each["Resource"].endswith(":123456789012:endpoint/facet")
        assert each["Condition"] == {"StringLike": {"sagemaker:TargetModel": "*/*.tar.gz"}}


# --- bucket -----------------------------------------------------------------------------------


def denied(
    who: str,
    action: str,
    resource: str,
    *,
    tls: bool = True,
    encryption: dict[str, str] | None = None,
    chosen: Chosen = DEFAULT,
) -> set[str]:
    """The statements of the bucket's policy that refuse it."""
    context = {"aws:SecureTransport": str(tls).lower(), "aws:PrincipalArn": who}
    context |= encryption or {}
    document = chosen.resources["BucketPolicy"]["Properties"]["PolicyDocument"]
    assert {each["Effect"] for each in statements(document)} == {"Deny"}
    return {
        each["Sid"]
        for each in statements(document)
        if applies(each, action, resource) and _met(each["Condition"], context)
    }


def _met(condition: dict[str, dict[str, Any]], context: dict[str, str]) -> bool:
    """Of IAM's operators those that the policy has."""
    for operator, asked in condition.items():
        for name, wanted in asked.items():
            values = [wanted] if isinstance(wanted, str) else wanted
            given = context.get(name)
            met = {
                "Bool": given in values,
                "ArnNotEquals": given not in values,
                "StringNotEqualsIfExists": given is None or given not in values,
                "Null": str(given is None).lower() in values,
            }[operator]
            if not met:
                return False
    return True


@pytest.mark.parametrize("who", [ANYBODY, ONBOARD])
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
def test_the_bucket_is_reached_over_tls_only(who: str, action: str) -> None:
    resource = BUCKET if action == "s3:ListBucket" else DROP
    assert denied(who, action, resource) == set()
    assert denied(who, action, resource, tls=False) == {"OverTlsOnly"}


@pytest.mark.parametrize("who", [ANYBODY, SWEEP, "TrainStateMachineRole.Arn"])
def test_onboarding_alone_writes_versions(who: str) -> None:
    assert denied(who, "s3:PutObject", VERSION) == {"OnboardingAloneWritesVersions"}
    assert denied(ONBOARD, "s3:PutObject", VERSION) == set()
    assert denied(who, "s3:PutObject", DROP) == set()
    assert denied(who, "s3:PutObject", f"{BUCKET}/inbox/1") == set()


def test_onboarding_and_the_sweeper_alone_delete_versions_for_good() -> None:
    sid = "NobodyElseDeletesVersionsForGood"
    assert denied(ANYBODY, "s3:DeleteObjectVersion", VERSION) == {sid}
    assert denied(ANYBODY, "s3:DeleteObject", VERSION) == set(), "a marker can be taken away"
    assert denied(ANYBODY, "s3:DeleteObjectVersion", DROP) == set()
    for who in (ONBOARD, SWEEP):
        assert denied(who, "s3:DeleteObjectVersion", VERSION) == set()


@pytest.mark.parametrize(
    ("encryption", "refused"),
    [
        ({}, set()),
        ({"s3:x-amz-server-side-encryption": "AES256"}, {"NoOtherKey"}),
        ({"s3:x-amz-server-side-encryption": "aws:kms"}, {"NoOtherKey"}),
        (
            {
                "s3:x-amz-server-side-encryption": "aws:kms",
                "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY[:-1] + "c",
            },
            {"NoOtherKey"},
        ),
        (
            {
                "s3:x-amz-server-side-encryption": "aws:kms",
                "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY,
            },
            set(),
        ),
    ],
    ids=["by-default", "sse-s3", "key-of-aws", "another-key", "the-key"],
)
def test_uploads_name_no_other_key(encryption: dict[str, str], refused: set[str]) -> None:
    chosen = Chosen(KmsKeyArn=KEY)
    said = denied(ANYBODY, "s3:PutObject", DROP, encryption=encryption, chosen=chosen)
    assert said == refused
    assert denied(ANYBODY, "s3:PutObject", DROP, encryption=encryption) == set()


@pytest.mark.parametrize(
    ("action", "resource", "may"),
    [
        ("s3:PutObject", DROP, True),
        ("s3:PutObject", VERSION, False),
        ("s3:PutObject", f"{BUCKET}/rejected/cifar/0.json", False),
        ("s3:PutObject", f"{BUCKET}/mme/cifar.zip", False),
        ("s3:GetObject", DROP, False),
        ("s3:DeleteObject", DROP, False),
        ("s3:AbortMultipartUpload", DROP, True),
    ],
)
def test_uploaders_may_upload(action: str, resource: str, may: bool) -> None:
    assert DEFAULT.outputs["UploadersPolicyArn"]["Value"] == "UploadersPolicy"
    document = DEFAULT.resources["UploadersPolicy"]["Properties"]["PolicyDocument"]
    effects = {each["Effect"] for each in statements(document) if applies(each, action, resource)}
    assert (effects == {"Allow"}) is may


def test_queues_are_reached_over_tls_only() -> None:
    (policy,) = DEFAULT.of_type("AWS::SQS::QueuePolicy").values()
    assert set(policy["Queues"]) == DEFAULT.of_type("AWS::SQS::Queue").keys()
    tls = statements(policy["PolicyDocument"])[0]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert tls["Resource"] == [f"{each}.Arn" for each in policy["Queues"]]


# --- a key of one's own -----------------------------------------------------------------------


def named(value: Any) -> bool:
    return KEY in str(value)


def test_the_key_encrypts_everything_that_keeps_something() -> None:
    kinds = (
        "AWS::S3::Bucket",
        "AWS::DynamoDB::Table",
        "AWS::SQS::Queue",
        "AWS::SNS::Topic",
        "AWS::Logs::LogGroup",
        "AWS::SageMaker::EndpointConfig",
        "AWS::StepFunctions::StateMachine",
    )
    for kind in kinds:
        for name, properties in FULL.of_type(kind).items():
            assert named(properties), name
    capture = FULL.resources["EndpointConfig"]["Properties"]["DataCaptureConfig"]
    assert capture["KmsKeyId"] == KEY
    for queue in FULL.of_type("AWS::SQS::Queue").values():
        assert "SqsManagedSseEnabled" not in queue, "SQS takes one or the other"


def test_without_a_key_of_ones_own_aws_has_the_keys() -> None:
    for queue in DEFAULT.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
    assert DEFAULT.resources["Registry"]["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert "kms:" not in str(list(policies(DEFAULT)))


def test_every_role_that_works_with_what_is_encrypted_may_use_the_key() -> None:
    machine = {"TrainStateMachineRole"}
    assert attached(FULL, "UseOfKey") == function_roles(FULL) | machine | {
        "TrainingRole",
        "EndpointRole",
        "HoursFunctionRemoveRole",
        "HoursFunctionRestoreRole",
    }
    assert attached(FULL, "UseOfKeyForVolumes") == machine | {
        "TrainingRole",
        "EndpointRole",
        "HoursFunctionRole",
    }
    for name in ("UseOfKey", "UseOfKeyForVolumes", "UploadersPolicy"):
        for each in statements(FULL.resources[name]["Properties"]["PolicyDocument"]):
            actions = many(each["Action"])
            if actions[0].startswith("kms:"):
                assert each["Resource"] == KEY
                assert "Condition" in each or actions == ["kms:DescribeKey"]


# --- hours ------------------------------------------------------------------------------------


def test_the_clocks_function_may_change_no_more_than_the_endpoint() -> None:
    document = FULL.resources["WhatTheUpdateDoes"]["Properties"]["PolicyDocument"]
    assert attached(FULL, "WhatTheUpdateDoes") == {"HoursFunctionRole"}
    rules = {each["Sid"]: each for each in statements(document)}
    assert rules["MakeAndDeleteTheEndpoint"]["Resource"].endswith(":endpoint/facet")
    services = {
        action.partition(":")[0] for each in rules.values() for action in many(each["Action"])
    }
    assert services == {"cloudformation", "sagemaker", "application-autoscaling", "cloudwatch"}
    assert rules["ScaleIt"]["Condition"] == {
        "StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}
    }
