"""Check what an earlier stack of this name left, and what else has the names of this one.

Only for a stack that does not exist: an existing one has all of these.
"""

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from cli.client.permissions import forbidden
from cli.doctor.access import Access
from cli.doctor.account.plan import Plan
from cli.doctor.result import CheckResult, missing, ok, unknown, warning
from cli.extras import located

UNUSABLE = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""States of a stack that can only be deleted. Source: AWS CloudFormation user guide,
"Understanding CloudFormation stack creation events", and its table of stack status codes.
"""

REVIEW = "REVIEW_IN_PROGRESS"
"""The stack has a change set and no resources: the next deploy creates it."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""A bucket's name without dots.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

OTHER_NAME = "choose another name with STACK=NAME"
DELETION = located("docs/deployment.md, `Deletion`")


def describe(name: str, access: Access) -> Mapping[str, Any] | None:
    """Describe a stack; None if there is none. Raises ClientError."""
    try:
        answer = access.client("cloudformation").describe_stacks(StackName=name)
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    described: Mapping[str, Any] = answer["Stacks"][0]
    return described


def has_resources(described: Mapping[str, Any] | None) -> bool:
    """Whether the stack's resources exist, so that their names are not free."""
    return described is not None and described["StackStatus"] not in (REVIEW, *UNUSABLE)


def stack(name: str, described: Mapping[str, Any] | None) -> CheckResult:
    """Check whether a deploy can create or update the stack."""
    if described is None:
        return ok("stack", f"{name} does not exist; a deploy creates it")
    state = described["StackStatus"]
    if state in UNUSABLE:
        remedy = f"`aws cloudformation delete-stack --stack-name {name}`, then deploy"
        return missing("stack", f"{name} is in {state} and can only be deleted", remedy)
    if state == REVIEW:
        return ok("stack", f"{name} has only a change set; a deploy creates it")
    if state.endswith("_IN_PROGRESS"):
        return warning("stack", f"{name} is in {state}", "wait until it is done")
    return ok("stack", f"{name} exists; a deploy updates it (`facet doctor --stack {name}`)")


def bucket(plan: Plan, access: Access) -> CheckResult:
    """Check that the bucket's name is free: names are global, and the bucket outlives its stack."""
    (properties,) = plan.resources("AWS::S3::Bucket").values()
    name = str(properties["BucketName"])
    if not NAME.fullmatch(name):
        remedy = "name the stack with at most 30 lower-case letters, digits and hyphens"
        return missing("bucket", f"{name} is no name of a bucket", remedy)
    try:
        found = access.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=access.account)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket"):
            return ok("bucket", f"{name} is free")
        if code == "301":
            return missing("bucket", f"{name} exists in another region", OTHER_NAME)
        if forbidden(error):
            words = f"{name} belongs to another account, or you lack s3:ListBucket on it"
            return unknown("bucket", words, f"ask for the permission, or {OTHER_NAME}")
        raise
    words = f"{name} exists already, in {found.get('BucketRegion', plan.region)}"
    return missing("bucket", words, f"empty and delete it ({DELETION}), or {OTHER_NAME}")


def registry(plan: Plan, access: Access) -> CheckResult:
    """Check for the table of an earlier stack, which outlives it. The new one has another name."""
    (logical,) = plan.resources("AWS::DynamoDB::Table")
    prefix = f"{plan.stack}-{logical}-"
    pages = access.client("dynamodb").get_paginator("list_tables").paginate()
    names = [name for page in pages for name in page["TableNames"] if name.startswith(prefix)]
    if names:
        remedy = f"the new stack begins with an empty one; delete it ({DELETION}) or keep it"
        return warning("registry", f"{', '.join(names)} of an earlier stack exists", remedy)
    return ok("registry", "none of an earlier stack")


def log_groups(plan: Plan, access: Access) -> CheckResult:
    """Check that no log group of this deploy exists, such as one that a late log line created."""
    client = access.client("logs")
    names = sorted(each["LogGroupName"] for each in plan.resources("AWS::Logs::LogGroup").values())
    existing = [
        name
        for name in names
        for each in client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if each["logGroupName"] == name
    ]
    if existing:
        words = f"{', '.join(existing)} exist{'s' if len(existing) == 1 else ''} already"
        remedy = "`aws logs delete-log-group --log-group-name NAME` for each"
        return missing("log groups", words, remedy)
    return ok("log groups", f"the names of all {len(names)} are free")


def endpoint(plan: Plan, access: Access) -> CheckResult:
    """Check that no endpoint has the stack's name, which is the endpoint's."""
    try:
        access.client("sagemaker").describe_endpoint(EndpointName=plan.stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return ok("endpoint", f"{plan.stack} is free")
    remedy = f"`aws sagemaker delete-endpoint --endpoint-name {plan.stack}`, or {OTHER_NAME}"
    return missing("endpoint", f"{plan.stack} exists already", remedy)
