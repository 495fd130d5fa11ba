"""List a stack's resources by their names in template.yaml."""

from typing import TYPE_CHECKING

from cli.client.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

FUNCTION = "AWS::Lambda::Function"
TOPIC = "AWS::SNS::Topic"
LOG_GROUP = "AWS::Logs::LogGroup"


def resources(stack: Stack, kind: str) -> dict[str, str]:
    """Map the logical names of all resources of a type to their physical names."""
    client: CloudFormationClient = stack.client("cloudformation")
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.cloudformation)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == kind and "PhysicalResourceId" in each
    }
