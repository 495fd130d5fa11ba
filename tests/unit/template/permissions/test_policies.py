"""The template's policies, including the bucket's own: who may do what."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.template.choosing import Chosen, applies, many, statements
from tests.support.template.iam import language
from tests.support.template.iam.language import Request

KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
SSE = "s3:x-amz-server-side-encryption"
KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
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
    "SeeHowItScales": "Application Auto Scaling and CloudWatch describe everything or nothing",
}
"""Statements that may name every resource, with the reason."""

OF_AWS = {
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXrayWriteOnlyAccess",
    "AmazonAPIGatewayPushToCloudWatchLogs",
}
"""What SAM attaches, and what API Gateway requires."""

BUCKET, NAMED = "Bucket.Arn", "arn:aws:s3:::facet-123456789012-us-east-1"
ONBOARD, SWEEP = "OnboardFunctionRole.Arn", "SweepFunctionRole.Arn"
ANYBODY = "arn:aws:iam::123456789012:role/admin"
VERSION = f"{BUCKET}/mme/cifar/0123456789ab.tar.gz"
LITERT = f"{BUCKET}/lite/cifar/0123456789ab.tflite"
UPLOAD = f"{BUCKET}/mme/cifar.tar.gz"


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
def test_only_explained_statements_allow_all_resources(chosen: Chosen) -> None:
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


def test_the_security_page_lists_every_function() -> None:
    page = (Path(__file__).parents[4] / "docs/security.md").read_text()
    rows = re.findall(r"^\| (\w+) function\b.* \|$", page, re.MULTILINE)
    assert sorted(f"{name.capitalize()}FunctionRole" for name in rows) == sorted(
        function_roles(FULL)
    )


@pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "full"])
def test_no_allowed_action_has_a_wildcard(chosen: Chosen) -> None:
    for each in policies(chosen):
        assert each["Effect"] == "Deny" or "*" not in str(each["Action"]), each


def test_roles_write_metrics_only_to_sagemakers_namespaces() -> None:
    measuring = [each for each in policies(FULL) if each.get("Sid") == "Measure"]
    assert len(measuring) == 2
    for each in measuring:
        patterns = each["Condition"]["StringLike"]["cloudwatch:namespace"]
        assert all(pattern.strip("/").lower().startswith("aws/sagemaker") for pattern in patterns)


def test_only_explained_aws_managed_policies_are_attached() -> None:
    arns = {
        arn.rpartition("/")[2]
        for role in FULL.of_type("AWS::IAM::Role").values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert arns == OF_AWS


@pytest.mark.parametrize("chosen", [DEFAULT, FULL], ids=["default", "full"])
def test_functions_are_denied_what_aws_managed_policies_allow_beyond_their_needs(
    chosen: Chosen,
) -> None:
    assert attached(chosen, "FunctionsKeepToThemselves") == function_roles(chosen)
    document = chosen.resources["FunctionsKeepToThemselves"]["Properties"]["PolicyDocument"]
    groups, logs, network = statements(document)
    assert {each["Effect"] for each in (groups, logs, network)} == {"Deny"}
    prefix = logs["NotResource"].rpartition("log-group:")[2]
    assert prefix == "/aws/lambda/facet-*"
    for each in chosen.of_type("AWS::Lambda::Function").values():
        group = chosen.resources[each["LoggingConfig"]["LogGroup"]]["Properties"]
        assert group["LogGroupName"].startswith(prefix.rstrip("*"))
    assert "lambda:SourceFunctionArn" in network["Condition"]["ArnLike"]


def test_roles_can_be_passed_to_one_service_only() -> None:
    passing = [each for each in policies(FULL) if "iam:PassRole" in each["Action"]]
    assert passing
    for each in passing:
        assert each["Resource"] != "*"
        assert each["Condition"]["StringEquals"].keys() == {"iam:PassedToService"}


@pytest.mark.parametrize("role", ["TrainingRole", "EndpointRole"])
def test_sagemaker_assumes_the_roles_for_this_account_only(role: str) -> None:
    (trust,) = statements(FULL.resources[role]["Properties"]["AssumeRolePolicyDocument"])
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_roles_can_invoke_only_versions_on_this_endpoint() -> None:
    invoking = [each for each in policies(FULL) if each["Action"] == "sagemaker:InvokeEndpoint"]
    assert len(invoking) == 3
    for each in invoking:
        assert each["Resource"].endswith(":123456789012:endpoint/facet")
        assert each["Condition"] == {"StringLike": {"sagemaker:TargetModel": "*/*.tar.gz"}}


def test_the_function_that_runs_models_can_only_read_them() -> None:
    """With every parameter set. Of logs, which AWS's managed policies allow, it has its own.

    The policy has the bucket by its name, because the bucket depends on the function.
    """
    (policy,) = FULL.resources["InferFunctionRole"]["Properties"]["Policies"]
    own = [*statements(policy["PolicyDocument"])]
    log = own.pop()
    assert (log["Effect"], log["NotResource"]) == ("Deny", "InferLogs.Arn")
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    group = FULL.resources["InferFunction"]["Properties"]["LoggingConfig"]["LogGroup"]
    assert group == "InferLogs"
    own += statements(FULL.resources["UseOfKeyToReadModels"]["Properties"]["PolicyDocument"])
    assert [each["Action"] for each in own] == ["s3:GetObject", "kms:Decrypt"]
    may = {
        (action, resource)
        for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "dynamodb:GetItem")
        for resource in (LITERT, VERSION, UPLOAD, f"{BUCKET}/golden/a", BUCKET, "Registry.Arn")
        for each in own
        if language.applies(each, Request(action, resource.replace(BUCKET, NAMED), {}))
    }
    assert may == {("s3:GetObject", LITERT)}
    attached_to = {
        name
        for name, each in FULL.of_type("AWS::IAM::ManagedPolicy").items()
        if "InferFunctionRole" in each.get("Roles", [])
    }
    assert attached_to == {"FunctionsKeepToThemselves", "UseOfKeyToReadModels"}


def test_training_jobs_read_versions_but_no_uploads() -> None:
    """The live version's artifact, to compare a new model with; uploads are not yet checked."""
    (policy,) = FULL.resources["TrainingRole"]["Properties"]["Policies"]
    keys = ("mme/cats/0123456789ab.tar.gz", "mme/cats.tar.gz", "golden/cats/0123456789ab")
    readable = {
        key
        for key in keys
        for each in statements(policy["PolicyDocument"])
        if language.applies(each, Request("s3:GetObject", f"{BUCKET}/{key}", {}))
    }
    assert readable == {"mme/cats/0123456789ab.tar.gz"}


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
    """The statements of the bucket's policy that deny the request."""
    context = {"aws:SecureTransport": [str(tls).lower()], "aws:PrincipalArn": [who]}
    context |= {key: [value] for key, value in (encryption or {}).items()}
    document = chosen.resources["BucketPolicy"]["Properties"]["PolicyDocument"]
    assert {each["Effect"] for each in statements(document)} == {"Deny"}
    return {
        each["Sid"]
        for each in statements(document)
        if language.applies(each, Request(action, resource, context))
    }


@pytest.mark.parametrize("who", [ANYBODY, ONBOARD])
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
def test_the_bucket_denies_connections_without_tls(who: str, action: str) -> None:
    resource = BUCKET if action == "s3:ListBucket" else UPLOAD
    assert denied(who, action, resource) == set()
    assert denied(who, action, resource, tls=False) == {"OverTlsOnly"}


@pytest.mark.parametrize("who", [ANYBODY, SWEEP, "TrainStateMachineRole.Arn"])
def test_only_onboarding_writes_versions(who: str) -> None:
    for each in (VERSION, LITERT):
        assert denied(who, "s3:PutObject", each) == {"OnboardingAloneWritesVersions"}
        assert denied(ONBOARD, "s3:PutObject", each) == set()
    assert denied(who, "s3:PutObject", UPLOAD) == set()
    assert denied(who, "s3:PutObject", f"{BUCKET}/inbox/1") == set()


def test_only_onboarding_and_the_sweeper_delete_versions_permanently() -> None:
    sid = "NobodyElseDeletesVersionsForGood"
    for each in (VERSION, LITERT):
        assert denied(ANYBODY, "s3:DeleteObjectVersion", each) == {sid}
        assert denied(ANYBODY, "s3:DeleteObject", each) == set(), "a delete marker can be removed"
        for who in (ONBOARD, SWEEP, "DeleteFunctionRole.Arn"):
            assert denied(who, "s3:DeleteObjectVersion", each) == set()
    assert denied(ANYBODY, "s3:DeleteObjectVersion", UPLOAD) == set()


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
def test_uploads_cannot_use_another_kms_key(encryption: dict[str, str], refused: set[str]) -> None:
    chosen = Chosen(KmsKeyArn=KEY)
    found = denied(ANYBODY, "s3:PutObject", UPLOAD, encryption=encryption, chosen=chosen)
    assert found == refused
    named = "s3:x-amz-server-side-encryption-aws-kms-key-id" in encryption
    without_a_key = denied(ANYBODY, "s3:PutObject", UPLOAD, encryption=encryption)
    assert without_a_key == ({"NoOtherKey"} if named else set())


@pytest.mark.parametrize(
    ("encryption", "refused"),
    [
        ({}, set()),
        ({SSE: "AES256"}, set()),
        ({SSE: "aws:kms"}, set()),
        ({SSE: "aws:kms", KEY_ID: KEY}, set()),
        ({SSE: "aws:kms", KEY_ID: KEY[:-1] + "c"}, {"NoOtherKeyOfCheckpoints"}),
    ],
    ids=["by-default", "sse-s3", "key-of-aws", "the-key", "another-key"],
)
def test_sagemaker_may_write_checkpoints_with_no_other_key(
    encryption: dict[str, str], refused: set[str]
) -> None:
    """CheckpointConfig has no key, so any form that SageMaker may choose must pass."""
    chosen = Chosen(KmsKeyArn=KEY)
    checkpoint = f"{BUCKET}/training/monday/pets/checkpoints/0a1b2c3d/state.npz"
    role = "TrainingRole.Arn"
    found = denied(role, "s3:PutObject", checkpoint, encryption=encryption, chosen=chosen)
    assert found == refused


@pytest.mark.parametrize("prefix", ["training/monday/pets/job/output", "captured/facet"])
def test_what_sagemaker_writes_with_a_key_of_ours_has_that_key(prefix: str) -> None:
    """OutputDataConfig and DataCaptureConfig name KmsKeyArn: functions/train/training_job.py."""
    chosen = Chosen(KmsKeyArn=KEY)
    for encryption, refused in (
        ({SSE: "aws:kms", KEY_ID: KEY}, set()),
        ({SSE: "aws:kms"}, {"NoOtherKey"}),
    ):
        resource = f"{BUCKET}/{prefix}/model.tar.gz"
        found = denied(ANYBODY, "s3:PutObject", resource, encryption=encryption, chosen=chosen)
        assert found == refused


@pytest.mark.parametrize("resource", [UPLOAD, f"{BUCKET}/inbox/1"])
@pytest.mark.parametrize(
    ("header", "value", "sid"),
    [
        ("s3:x-amz-server-side-encryption-customer-algorithm", "AES256", "NoKeyOfTheUploaders"),
        ("s3:x-amz-storage-class", "GLACIER", "NoArchive"),
        ("s3:x-amz-storage-class", "DEEP_ARCHIVE", "NoArchive"),
        ("s3:x-amz-storage-class", "GLACIER_IR", None),
        ("s3:x-amz-storage-class", "STANDARD", None),
    ],
)
def test_uploads_that_onboarding_cannot_read_are_denied(
    resource: str, header: str, value: str, sid: str | None
) -> None:
    for chosen in (DEFAULT, FULL):
        found = denied(ANYBODY, "s3:PutObject", resource, encryption={header: value}, chosen=chosen)
        assert found == ({sid} if sid else set())


def test_the_hours_function_names_no_template_in_s3() -> None:
    (update,) = [each for each in policies(FULL) if each.get("Sid") == "UpdateItsStack"]
    assert update["Condition"] == {
        "Null": {"cloudformation:TemplateUrl": "true", "cloudformation:StackPolicyUrl": "true"}
    }


def test_the_hours_function_cannot_pass_a_role() -> None:
    """Else it could choose with whose permissions its update is carried out."""
    role = FULL.resources["HoursFunctionRole"]["Properties"]
    attached_to = [
        each["PolicyDocument"]
        for each in FULL.of_type("AWS::IAM::ManagedPolicy").values()
        if "HoursFunctionRole" in each.get("Roles", [])
    ]
    for document in (*(each["PolicyDocument"] for each in role["Policies"]), *attached_to):
        assert not [each for each in statements(document) if "iam:PassRole" in each["Action"]]


@pytest.mark.parametrize(
    ("action", "resource", "may"),
    [
        ("s3:PutObject", UPLOAD, True),
        ("s3:PutObject", VERSION, False),
        ("s3:PutObject", f"{BUCKET}/rejected/cifar/0.json", False),
        ("s3:PutObject", f"{BUCKET}/mme/cifar.zip", True),  # rejected with a report, not a bare 403
        ("s3:GetObject", UPLOAD, False),
        ("s3:DeleteObject", UPLOAD, False),
        ("s3:AbortMultipartUpload", UPLOAD, True),
    ],
)
def test_the_uploaders_policy_allows_only_uploads(action: str, resource: str, may: bool) -> None:
    assert DEFAULT.outputs["UploadersPolicyArn"]["Value"] == "UploadersPolicy"
    document = DEFAULT.resources["UploadersPolicy"]["Properties"]["PolicyDocument"]
    effects = {each["Effect"] for each in statements(document) if applies(each, action, resource)}
    assert (effects == {"Allow"}) is may


def test_queues_deny_connections_without_tls() -> None:
    (policy,) = DEFAULT.of_type("AWS::SQS::QueuePolicy").values()
    assert set(policy["Queues"]) == DEFAULT.of_type("AWS::SQS::Queue").keys()
    tls = statements(policy["PolicyDocument"])[0]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert tls["Resource"] == [f"{each}.Arn" for each in policy["Queues"]]


# --- a key of one's own -----------------------------------------------------------------------


def named(value: Any) -> bool:
    return KEY in str(value)


def test_the_key_encrypts_every_resource_that_stores_data() -> None:
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


def test_without_kms_key_arn_aws_keys_encrypt() -> None:
    for queue in DEFAULT.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
    assert DEFAULT.resources["Registry"]["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert "kms:" not in str(list(policies(DEFAULT)))


def test_every_role_that_handles_encrypted_data_may_use_the_key() -> None:
    machine = {"TrainStateMachineRole"}
    running = {"InferFunctionRole"}
    assert attached(FULL, "UseOfKeyToReadModels") == running
    assert attached(FULL, "UseOfKey") == (function_roles(FULL) - running) | machine | {
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
    for name in ("UseOfKey", "UseOfKeyToReadModels", "UseOfKeyForVolumes", "UploadersPolicy"):
        for each in statements(FULL.resources[name]["Properties"]["PolicyDocument"]):
            actions = many(each["Action"])
            if actions[0].startswith("kms:"):
                assert each["Resource"] == KEY
                assert "Condition" in each or actions == ["kms:DescribeKey"]
