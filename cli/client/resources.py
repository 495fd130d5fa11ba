"""Find a stack's resources by their names in template.yaml, and the endpoint's image."""

from typing import TYPE_CHECKING

from cli.client.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_sagemaker import SageMakerClient

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


def named_image(sagemaker: "SageMakerClient", endpoint: str) -> str:
    """The container's image that the endpoint's model names. Raises ClientError."""
    name = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    (variant, *_) = config["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    return model["PrimaryContainer"]["Image"]
