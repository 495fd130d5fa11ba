"""`facet doctor --account`: each check is fine, finds something missing, or cannot tell.

Clients are stubbed with botocore's Stubber, which checks requests and responses against AWS's own
service models.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from cli.doctor.access import Access
from cli.doctor.account import images, quotas, roles, services
from cli.doctor.account.images import serving_image
from cli.doctor.account.plan import Check
from cli.doctor.result import CheckResult, guarded
from tests.support.aws.stubbed import ACCOUNT, REGION, Answer, Session, client, plan, run
from tests.support.template.watching import STACK

DENIED = "AccessDeniedException"


def quota(values: Mapping[str, int]) -> dict[str, Any]:
    return {"Quotas": [{"QuotaName": name, "Value": value} for name, value in values.items()]}


ENOUGH = {
    "ml.m5.xlarge for endpoint usage": 4,
    "Number of instances across active endpoints": 20,
    "ml.c6i.2xlarge for training job usage": 1,
    "ml.c7i.2xlarge for training job usage": 2,
    "Number of instances across all training jobs": 20,
    "ml.c6i.2xlarge for spot training job usage": 0,
    "ml.c7i.2xlarge for spot training job usage": 0,
    "Number of instances across all spot training jobs": 20,
}


@pytest.mark.parametrize(
    ("changed", "given", "state", "words"),
    [
        ({}, {}, "ok", "`ml.m5.xlarge for endpoint usage` is 4, "),
        ({}, {"MaxInstances": "3"}, "warning", "an update of 3 needs 6, for two fleets"),
        ({}, {"InstanceCount": "5", "MaxInstances": "5"}, "missing", "the deploy needs 5"),
        ({"ml.m5.xlarge for endpoint usage": 0}, {}, "missing", "is 0, "),
        ({"Number of instances across active endpoints": 1}, {}, "warning", "endpoints` is 1; "),
        ({}, {"InstanceType": "ml.m5.none"}, "missing", "no quota `ml.m5.none for endpoint usage`"),
        ({"ml.m5.xlarge for endpoint usage": 0}, {"EndpointOn": "false"}, "ok", "EndpointOn=false"),
    ],
)
def test_the_endpoint_needs_two_fleets_of_its_instance_type(
    changed: dict[str, int], given: dict[str, str], state: str, words: str
) -> None:
    found = quota(ENOUGH | changed)
    answers = [("list_service_quotas", found), ("list_aws_default_service_quotas", found)]
    result = run(quotas.endpoint_quota, "service-quotas", *answers, **given)
    assert result.state == state
    assert words in result.words


@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, "ok", "ml.c6i.2xlarge 1, ml.c7i.2xlarge 2; spot instances: none"),
        (
            {"ml.c7i.2xlarge for training job usage": 0},
            *("warning", "`ml.c7i.2xlarge for training job usage` is 0"),
        ),
        ({"Number of instances across all training jobs": 0}, "warning", "jobs` is 0"),
    ],
)
def test_training_needs_an_instance_of_each_recipes_type(
    changed: dict[str, int], state: str, words: str
) -> None:
    answer = ("list_service_quotas", quota(ENOUGH | changed))
    result = run(quotas.training_quota, "service-quotas", answer)
    assert (
        (result.state, result.words) == (state, words) if state == "ok" else words in result.words
    )


def test_a_quota_without_a_value_of_the_account_has_the_default() -> None:
    own = {name: 7 for name in ENOUGH if "endpoint" not in name}
    answers = [
        ("list_service_quotas", quota(own) | {"NextToken": "2"}),
        ("list_service_quotas", quota({"ml.m5.xlarge for endpoint usage": 9})),
        ("list_aws_default_service_quotas", quota(ENOUGH)),
    ]
    result = run(quotas.endpoint_quota, "service-quotas", *answers)
    assert "`ml.m5.xlarge for endpoint usage` is 9, " in result.words
    assert "endpoints` is 20" in result.words


@pytest.mark.parametrize("check", [quotas.endpoint_quota, quotas.training_quota])
def test_quotas_are_unknown_without_permission(check: Check) -> None:
    assert run(check, "service-quotas", ("list_service_quotas", DENIED)).state == "unknown"


def limit(unreserved: int) -> Answer:
    return (
        "get_account_settings",
        {"AccountLimit": {"UnreservedConcurrentExecutions": unreserved}},
    )


@pytest.mark.parametrize(
    ("unreserved", "reserved", "state", "words"),
    [
        (1000, 10, "ok", "1,000 concurrent executions"),
        (110, 10, "ok", "110 concurrent executions"),
        (109, 10, "missing", "109 unreserved; the functions reserve 10, and Lambda keeps 100"),
        (10, 10, "missing", "10 unreserved; the functions reserve 10"),
        (10, 0, "warning", "10 concurrent executions"),
    ],
)
def test_reserved_concurrency_leaves_a_hundred(
    unreserved: int, reserved: int, state: str, words: str
) -> None:
    given = {"OnboardConcurrency": "0", "PredictConcurrency": str(reserved)}
    result = run(services.concurrency, "lambda", limit(unreserved), **given)
    assert result.state == state
    assert result.words.startswith(words)
    assert bool(result.remedy) is (state != "ok")


def test_concurrency_is_unknown_without_permission() -> None:
    answer = ("get_account_settings", "AccessDeniedException")
    assert run(services.concurrency, "lambda", answer).state == "unknown"


def image(media_type: str) -> dict[str, Any]:
    return {"images": [{"imageManifestMediaType": media_type}], "failures": []}


NONE = {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}
DOCKER, OCI = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
OWN = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/serving@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("check", "parameter", "repository"),
    [
        (images.serving_image, "ServingImageUri", "tensorflow-inference:"),
        (images.training_image, "TrainingImageUri", "tensorflow-training:"),
    ],
)
def test_images_exist_and_have_dockers_media_type(
    check: Check, parameter: str, repository: str
) -> None:
    of_aws = {parameter: ""}
    found = run(check, "ecr", ("batch_get_image", image(DOCKER)), **of_aws)
    aws = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/{repository}"
    assert (found.state, found.words.startswith(aws)) == ("ok", True)
    assert run(check, "ecr", ("batch_get_image", NONE), **of_aws).state == "missing"
    assert (
        run(check, "ecr", ("batch_get_image", "RepositoryNotFoundException"), **of_aws).state
        == "missing"
    )
    assert run(check, "ecr", ("batch_get_image", DENIED), **of_aws).state == "unknown"
    assert run(check, "ecr", ("batch_get_image", image(OCI)), **of_aws).state == "ok"  # AWS's own
    oci = run(check, "ecr", ("batch_get_image", image(OCI)), **{parameter: OWN})
    assert oci.state == "missing"
    assert f"refuses the media type {OCI}" in oci.words
    elsewhere = run(check, "ecr", region="eusc-de-east-1", **of_aws)
    assert elsewhere.state == "missing"
    assert parameter in elsewhere.remedy
    assert run(check, "ecr", **{parameter: "docker.io/x/y:1"}).state == "unknown"


def own_image(outputs: Mapping[str, str], *images: Answer) -> CheckResult:
    """The result for Facet's own image, in an account with these outputs of its stack."""
    described = {
        "StackName": "facet-images",
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": 0,
        "Outputs": [{"OutputKey": key, "OutputValue": each} for key, each in outputs.items()],
    }
    stubs = {
        "cloudformation": client("cloudformation", ("describe_stacks", {"Stacks": [described]})),
        "ecr": client("ecr", *images),
    }
    access = Access(Session(**stubs), ACCOUNT, "")
    return guarded("check", partial(serving_image, plan(), access))


REPOSITORY = {"RepositoryUri": "r", "SourcesBucket": "b"}
BUILT = {
    "images": [{"imageId": {"imageDigest": "sha256:1"}, "imageManifestMediaType": DOCKER}],
    "failures": [],
}


def test_facets_own_image_is_found_or_will_be_built() -> None:
    assert own_image(REPOSITORY, ("batch_get_image", BUILT)).words == "r@sha256:1"
    assert "builds it" in own_image(REPOSITORY, ("batch_get_image", NONE)).words
    assert "builds it" in own_image({}).words
    assert own_image({"Other": "x"}).state == "missing"
    assert own_image(REPOSITORY, ("batch_get_image", DENIED)).state == "unknown"
    wrong = {"images": [BUILT["images"][0] | {"imageManifestMediaType": OCI}], "failures": []}
    refused = own_image(REPOSITORY, ("batch_get_image", wrong))
    assert (refused.state, "SageMaker refuses" in refused.words) == ("missing", True)


def listed(region: str, absent: Collection[str]) -> list[Answer]:
    """The answers for a region whose list lacks some services."""
    answers: list[Answer] = []
    for part in (services.SERVICES[:10], services.SERVICES[10:]):
        keys = [services.KEY.format(region, each) for each in part if each in absent]
        answers.append(("get_parameters", {"InvalidParameters": keys} if keys else {}))
    return answers


@pytest.mark.parametrize(
    ("absent", "state", "words"),
    [
        ([], "ok", f"{REGION} has all {len(services.SERVICES)}"),
        (["sagemaker"], "missing", f"{REGION} lacks sagemaker"),
        (services.SERVICES, "unknown", f"AWS's list of services does not have {REGION}"),
    ],
)
def test_the_region_has_all_services(absent: Collection[str], state: str, words: str) -> None:
    answers = [*listed(REGION, absent), *listed(services.LIST_REGION, [])]
    result = run(services.services, "ssm", *answers)
    assert (result.state, result.words) == (state, words)


def test_a_service_that_the_list_has_in_no_region_is_not_lacking() -> None:
    """AWS may list it by another name."""
    answers = [*listed(REGION, ["scheduler"]), *listed(services.LIST_REGION, ["scheduler"])]
    result = run(services.services, "ssm", *answers)
    assert (result.state, result.words) == (
        "unknown",
        "AWS's list of services does not have scheduler",
    )
    both = [*listed(REGION, ["xray", "sns"]), *listed(services.LIST_REGION, ["sns"])]
    result = run(services.services, "ssm", *both)
    assert (result.state, result.words) == ("missing", f"{REGION} lacks xray")


def test_services_are_unknown_without_permission() -> None:
    assert run(services.services, "ssm", ("get_parameters", DENIED)).state == "unknown"


ROLE = {
    "Role": {
        "Path": "/ci/",
        "RoleName": "deployer",
        "RoleId": "A" * 16,
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/ci/deployer",
        "CreateDate": 0,
    }
}


def simulated(decision: str) -> Answer:
    results = [{"EvalActionName": "iam:CreateServiceLinkedRole", "EvalDecision": decision}]
    return ("simulate_principal_policy", {"EvaluationResults": results})


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([("get_role", ROLE)], "ok"),
        ([("get_role", DENIED)], "unknown"),
        ([("get_role", "NoSuchEntity"), simulated("allowed")], "ok"),
        ([("get_role", "NoSuchEntity"), simulated("implicitDeny")], "missing"),
        (
            [("get_role", "NoSuchEntity"), ("simulate_principal_policy", "AccessDenied")],
            "unknown",
        ),
    ],
)
def test_the_scaling_role_exists_or_can_be_created(answers: list[Answer], state: str) -> None:
    result = run(roles.scaling_role, "iam", *answers)
    assert result.state == state
    assert bool(result.remedy) is (state != "ok")


def test_a_role_s_permissions_are_simulated_not_its_sessions() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me"
    answers: list[Answer] = [("get_role", "NoSuchEntity"), ("get_role", ROLE), simulated("allowed")]
    assert run(roles.scaling_role, "iam", *answers, arn=session).state == "ok"
    root = f"arn:aws:iam::{ACCOUNT}:root"
    assert run(roles.scaling_role, "iam", answers[0], arn=root).state == "ok"


def test_without_scaling_no_role_is_needed() -> None:
    result = run(roles.scaling_role, "iam", InstanceCount="1", MaxInstances="1")
    assert (result.state, "not needed" in result.words) == ("ok", True)


def test_only_the_scalable_target_needs_a_service_linked_role() -> None:
    needing = set()
    for kind in {each["Type"] for each in STACK.resources.values()}:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        permissions = schema.get("handlers", {}).get("create", {}).get("permissions", [])
        if "iam:CreateServiceLinkedRole" in permissions:
            needing.add(kind)
    # A table needs one for replicas and for the scaling of provisioned capacity, which ours lacks.
    assert needing - {"AWS::DynamoDB::Table"} == {"AWS::ApplicationAutoScaling::ScalableTarget"}


@pytest.mark.parametrize(
    ("wanted", "answer", "state"),
    [
        ("none", None, "ok"),
        ("write", {"cloudwatchRoleArn": "arn:aws:iam::1:role/r"}, "ok"),
        ("write", {}, "missing"),
        ("write", DENIED, "unknown"),
        ("set-role-and-write", {}, "ok"),
        ("set-role-and-write", {"cloudwatchRoleArn": "arn:aws:iam::1:role/r"}, "warning"),
    ],
)
def test_the_access_log_has_its_role(wanted: str, answer: Any, state: str) -> None:
    answers = [] if answer is None else [("get_account", answer)]
    result = run(roles.access_log_role, "apigateway", *answers, ApiLogs=wanted)
    assert result.state == state
