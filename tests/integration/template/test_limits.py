"""Limits of AWS that cfn-lint does not know, on what SAM and CloudFormation make of the template.

ARNs of resources are counted as 128 characters, which is longer than most.
"""

import json
import re
from collections import defaultdict
from typing import Any

import pytest

from tests.support.template.choosing import (
    DOCUMENT,
    ENVIRONMENTS,
    EVERYTHING,
    Chosen,
    of_environment,
)

FULL = Chosen(stack="x" * 30, region="ap-southeast-2", **EVERYTHING)
"""Every resource, in a stack with a name as long as any."""

ARN = re.compile(r'"[A-Z]\w+\.Arn')
"""A resource's ARN in a policy of `Chosen`, with the quotation mark before it."""


def length(document: dict[str, Any]) -> int:
    """Characters of a policy. IAM does not count white space."""
    compact = json.dumps(document, separators=(",", ":"))
    return len(ARN.sub('"' + "a" * 128, compact))


def test_cloudformations_quotas() -> None:
    """User guide, CloudFormation quotas: resources, outputs, parameters, size of a template."""
    assert len(FULL.resources) <= 500
    assert len(DOCUMENT["Outputs"]) <= 200
    assert len(DOCUMENT["Parameters"]) <= 200
    assert len(json.dumps(DOCUMENT)) <= 1_000_000


def test_lengths_of_policies() -> None:
    """IAM user guide, IAM and STS quotas; S3 user guide, bucket policies (20 KB)."""
    for name, policy in FULL.of_type("AWS::IAM::ManagedPolicy").items():
        assert length(policy["PolicyDocument"]) <= 6_144, name
    for name, role in FULL.of_type("AWS::IAM::Role").items():
        inline = [each["PolicyDocument"] for each in role.get("Policies", [])]
        assert sum(map(length, inline)) <= 10_240, name
        assert length(role["AssumeRolePolicyDocument"]) <= 2_048, name
    (bucket,) = FULL.of_type("AWS::S3::BucketPolicy").values()
    assert length(bucket["PolicyDocument"]) <= 20_000


def test_a_role_has_no_more_policies_than_an_account_allows_by_default() -> None:
    """IAM user guide, IAM and STS quotas: 10 managed policies."""
    attached: defaultdict[str, int] = defaultdict(int)
    for policy in FULL.of_type("AWS::IAM::ManagedPolicy").values():
        for role in policy.get("Roles", []):
            attached[role] += 1
    for name, role in FULL.of_type("AWS::IAM::Role").items():
        assert attached[name] + len(role.get("ManagedPolicyArns", [])) <= 10, name


def test_environment_variables_fit_a_function() -> None:
    """Lambda developer guide, quotas: 4 KB. WatchedModels is the longest parameter."""
    watched = ",".join(["m" * 63] * 20)
    for name, each in Chosen(WatchedModels=watched).of_type("AWS::Lambda::Function").items():
        variables = each["Environment"]["Variables"]
        assert sum(len(key) + len(value) for key, value in variables.items()) <= 4_096, name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_environment_reserves_concurrency(environment: str) -> None:
    """Lambda keeps 100 unreserved, and a new account has 10 in all: developer guide, reserved
    concurrency."""
    functions = of_environment(environment).of_type("AWS::Lambda::Function")
    assert functions
    assert not any("ReservedConcurrentExecutions" in each for each in functions.values())


def test_an_account_can_reserve_concurrency_once_it_has_enough() -> None:
    chosen = Chosen(OnboardConcurrency="5").of_type("AWS::Lambda::Function")
    assert chosen["OnboardFunction"]["ReservedConcurrentExecutions"] == "5"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_environment_refers_to_a_resource_that_it_does_not_make(environment: str) -> None:
    assert of_environment(environment).missing() == set()
