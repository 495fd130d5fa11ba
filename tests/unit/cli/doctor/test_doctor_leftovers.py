"""What an earlier stack left is found before a deploy, and a plan reads the template as it is."""

from collections.abc import Mapping
from typing import Any

import pytest

from cli.doctor.access import Access
from cli.doctor.account import leftovers
from cli.doctor.account.plan import UnknownEnvironment, read_environment
from tests.support.aws.stubbed import ACCOUNT, REGION, Session, plan, run
from tests.support.template.choosing import EVERYTHING, Chosen

DENIED = "AccessDeniedException"
BUCKET = f"new-{ACCOUNT}-{REGION}"


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ("404", "ok", f"{BUCKET} is free"),
        ({"BucketRegion": REGION}, "missing", f"{BUCKET} exists already, in {REGION}"),
        ({"BucketRegion": "us-west-2"}, "missing", "in us-west-2"),
        ("301", "missing", "exists in another region"),
        ("403", "unknown", "belongs to another account, or you lack s3:ListBucket on it"),
        ("500", "unknown", "500"),
    ],
)
def test_the_buckets_name_is_free(answer: Any, state: str, words: str) -> None:
    result = run(leftovers.bucket, "s3", ("head_bucket", answer))
    assert result.state == state
    assert words in result.words


def test_a_stack_name_that_makes_no_bucket_name_is_found() -> None:
    access = Access(Session(), ACCOUNT, "")
    for name in ("Upper", "a_b", "a" * 40):
        result = leftovers.bucket(plan(name), access)
        assert (result.state, bool(result.remedy)) == ("missing", True)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"TableNames": ["old-Registry-1", "newer-Registry-1"]}, "ok"),
        ({"TableNames": ["new-Registry-1A"]}, "warning"),
        (DENIED, "unknown"),
    ],
)
def test_the_table_of_an_earlier_stack_is_found(answer: Any, state: str) -> None:
    assert run(leftovers.registry, "dynamodb", ("list_tables", answer)).state == state


@pytest.mark.parametrize(
    ("groups", "state"),
    [([], "ok"), (["/aws/lambda/new-predict"], "missing"), (["/aws/lambda/new-predict-2"], "ok")],
)
def test_log_groups_of_an_earlier_stack_are_found(groups: list[str], state: str) -> None:
    names = [each["LogGroupName"] for each in plan().resources("AWS::Logs::LogGroup").values()]
    answers = [
        (
            "describe_log_groups",
            {"logGroups": [{"logGroupName": each} for each in groups if each.startswith(name)]},
        )
        for name in sorted(names)
    ]
    result = run(leftovers.log_groups, "logs", *answers)
    assert result.state == state
    assert not groups or state == "ok" or groups[0] in result.words


def test_log_groups_are_unknown_without_permission() -> None:
    answer = ("describe_log_groups", DENIED)
    assert run(leftovers.log_groups, "logs", answer).state == "unknown"


@pytest.mark.parametrize(
    ("error", "state"), [("ValidationException", "ok"), (DENIED, "unknown"), ("", "missing")]
)
def test_the_endpoints_name_is_free(error: str, state: str) -> None:
    found = {
        "EndpointName": "new",
        "EndpointArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/new",
        "EndpointConfigName": "c",
        "EndpointStatus": "InService",
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }
    answer = ("describe_endpoint", error or found)
    assert run(leftovers.endpoint, "sagemaker", answer).state == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, "ok"),
        ("REVIEW_IN_PROGRESS", "ok"),
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warning"),
        ("ROLLBACK_COMPLETE", "missing"),
        ("CREATE_FAILED", "missing"),
    ],
)
def test_a_stack_that_can_only_be_deleted_is_found(status: str | None, state: str) -> None:
    result = leftovers.stack("new", status and {"StackStatus": status})  # type: ignore[arg-type]
    assert result.state == state
    assert state != "missing" or "delete-stack --stack-name new" in result.remedy


def test_environments_are_samconfigs() -> None:
    prod = read_environment("prod")
    assert (prod.stack, prod.parameters["InstanceCount"]) == ("facet-prod", "2")
    assert read_environment("default").parameters == {}
    with pytest.raises(UnknownEnvironment, match="there are default, dev, prod"):
        read_environment("none")


CHECKED = {"BucketName", "LogGroupName", "EndpointName"}
EXPLAINED = {
    "AlarmName": "an alarm is deleted with its stack, and nothing else creates one of that name",
    "LayerName": "a layer of that name gets a new version",
    "PolicyName": "a policy belongs to the endpoint's scaling and is deleted with it",
}
"""Names that contain the stack's and so can be taken: those looked for, and the others."""


def test_every_name_that_can_be_taken_is_looked_for() -> None:
    chosen = Chosen(stack="stack-9", **EVERYTHING)
    names = {
        name
        for each in chosen.resources.values()
        for name, value in each.get("Properties", {}).items()
        if name.endswith("Name") and "stack-9" in str(value)
    }
    assert names >= CHECKED
    assert names <= CHECKED | EXPLAINED.keys()


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
@pytest.mark.parametrize("given", [{}, EVERYTHING])
def test_a_plan_resolves_the_template_as_a_deploy_does(
    environment: str, given: dict[str, str]
) -> None:
    parameters = {**read_environment(environment).parameters, **given}
    planned, chosen = plan(**parameters), Chosen(stack="new", region=REGION, **parameters)
    for kind in ("AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SageMaker::Model"):
        assert names(planned.resources(kind)) == names(chosen.of_type(kind))


def names(resources: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What the checks read of these resources."""
    return {
        name: (
            str(each.get("LogGroupName")),
            str(each.get("BucketName")),
            str(each.get("PrimaryContainer", {}).get("Image")),
        )
        for name, each in resources.items()
    }
