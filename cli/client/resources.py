"""What a stack is made of, by the names in template.yaml."""

from typing import TYPE_CHECKING

from cli.client.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

FUNCTION = "AWS::Lambda::Function"
LOG_GROUP = "AWS::Logs::LogGroup"


def resources(stack: Stack, kind: str) -> dict[str, str]:
    """All resources of a type: their names in the template → in the account."""
    client: CloudFormationClient = stack.client("cloudformation")
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.cloudformation)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == kind and "PhysicalResourceId" in each
    }
