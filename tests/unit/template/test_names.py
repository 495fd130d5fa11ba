"""Names: two stacks in one account and region share none, and none that remains blocks a deploy.

CloudFormation generates the names that a template does not give.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.support.template.choosing import ENVIRONMENTS, EVERYTHING, Chosen, statements

LONGEST = "x" * 30
"""docs/deployment.md allows stack names of 30 characters."""

REGION = "ap-southeast-2"
"""A region whose name is as long as any."""

LIMITS = {"/properties/Budget/BudgetName": 100}
"""Lengths that CloudFormation's schemas lack; from botocore's model of the service."""

FULL = Chosen(stack=LONGEST, region=REGION, **EVERYTHING)


class Name(NamedTuple):
    """A name that the template gives a resource, and how long it may be."""

    resource: str
    value: str
    longest: int


def schema_of(resource: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's schema of a resource, which cfn-lint brings along."""
    found: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(
        REGION, resource["Type"]
    ).schema
    return found


def names(chosen: Chosen) -> Iterator[Name]:
    """All names that the template gives.

    The schemas say which properties identify a resource, and which cannot be changed. A resource
    that belongs to another of the stack, such as an API's stage, needs no name of its own.
    """
    for resource, each in chosen.template["Resources"].items():
        schema = schema_of(each)
        identifiers = set(schema["primaryIdentifier"])
        if any(isinstance(value_at(each, path), dict) for path in identifiers):
            continue
        own = {"/properties/Name", f"/properties/{each['Type'].rpartition('::')[2]}Name"}
        paths = (identifiers | own | set(schema.get("createOnlyProperties", []))) - set(
            schema.get("readOnlyProperties", [])
        )
        for path in sorted(path for path in paths if path.endswith("Name")):
            value = value_at(each, path)
            if isinstance(value, str):
                longest = LIMITS.get(path) or schema["properties"][path.split("/")[-1]]["maxLength"]
                yield Name(resource, value, longest)


def value_at(resource: dict[str, Any], path: str) -> Any:
    found: Any = resource.get("Properties", {})
    for part in path.removeprefix("/properties/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def test_every_name_contains_the_stacks() -> None:
    given = list(names(FULL))
    assert {"Bucket", "Endpoint", "Budget", "PredictLogs"} <= {each.resource for each in given}
    assert [each for each in given if LONGEST not in each.value] == []


def test_roles_and_policies_have_generated_names() -> None:
    """So CAPABILITY_IAM suffices, which samconfig.toml has."""
    iam = {name for name, each in FULL.resources.items() if each["Type"].startswith("AWS::IAM::")}
    assert iam
    assert iam & {each.resource for each in names(FULL)} == set()
    assert {each["capabilities"] for each in ENVIRONMENTS.values()} == {"CAPABILITY_IAM"}


def test_names_are_short_enough_for_the_longest_stack_name() -> None:
    assert [each for each in names(FULL) if len(each.value) > each.longest] == []


def test_stacks_with_one_name_differ_by_region_where_names_are_global() -> None:
    """Names of buckets and budgets are not a region's own."""
    other = {each.resource: each.value for each in names(Chosen(stack=LONGEST, **EVERYTHING))}
    for each in names(FULL):
        assert (each.value != other[each.resource]) == (each.resource in ("Bucket", "Budget"))


# --- what remains -----------------------------------------------------------------------------


def test_what_a_failed_first_deploy_leaves_has_no_name_of_its_own() -> None:
    """The next attempt would find it, and end with "already exists"."""
    named = {each.resource for each in names(FULL)}
    left = {name for name, each in FULL.resources.items() if each.get("DeletionPolicy") == "Retain"}
    assert left == {"Registry", "ApiAccount", "ApiAccountRole"}
    assert left & named == set()


def test_a_failed_first_deploy_can_delete_what_only_a_later_one_keeps() -> None:
    kept = [
        each
        for each in FULL.resources.values()
        if each.get("DeletionPolicy") == "RetainExceptOnCreate"
    ]
    assert [each["Type"] for each in kept] == ["AWS::S3::Bucket"]
    assert not any("DeletionProtectionEnabled" in each["Properties"] for each in kept)


def test_cloudformation_does_not_end_a_tables_deletion_protection() -> None:
    """So the registry cannot have RetainExceptOnCreate: its handler only deletes."""
    registry = FULL.resources["Registry"]
    assert registry["Properties"]["DeletionProtectionEnabled"] is True
    assert set(schema_of(registry)["handlers"]["delete"]["permissions"]) == {
        "dynamodb:DeleteTable",
        "dynamodb:DescribeTable",
    }


def test_functions_cannot_bring_back_a_deleted_log_group() -> None:
    policy = FULL.resources["FunctionsKeepToThemselves"]["Properties"]["PolicyDocument"]
    (denied,) = (each for each in statements(policy) if each["Sid"] == "CreateNoLogGroup")
    assert (denied["Effect"], denied["Action"]) == ("Deny", "logs:CreateLogGroup")
    assert denied["Resource"] == "*"
