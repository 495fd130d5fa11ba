"""What the local stack says that it carries out is there, by the APIs of each resource."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local import supported
from local.moto.aws import client
from local.stack import NAME
from tests.support.processes.waiting import LONG
from tests.support.stacks import Running
from tests.support.template.choosing import Chosen

RESOURCES = Chosen().resources
LOOKS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "AWS::S3::Bucket": ("s3", lambda s3, name: s3.head_bucket(Bucket=name)),
    "AWS::DynamoDB::Table": ("dynamodb", lambda db, name: db.describe_table(TableName=name)),
    "AWS::SQS::Queue": ("sqs", lambda sqs, url: sqs.get_queue_attributes(QueueUrl=url)),
    "AWS::SNS::Topic": ("sns", lambda sns, arn: sns.get_topic_attributes(TopicArn=arn)),
    "AWS::Lambda::Function": (
        "lambda",
        lambda functions, name: functions.get_function(FunctionName=name),
    ),
    "AWS::SageMaker::Model": (
        "sagemaker",
        lambda sagemaker, arn: sagemaker.describe_model(ModelName=arn.rpartition("/")[2]),
    ),
    "AWS::SageMaker::EndpointConfig": (
        "sagemaker",
        lambda sagemaker, arn: sagemaker.describe_endpoint_config(
            EndpointConfigName=arn.rpartition("/")[2]
        ),
    ),
    "AWS::SageMaker::Endpoint": (
        "sagemaker",
        lambda sagemaker, arn: sagemaker.describe_endpoint(EndpointName=arn.rpartition("/")[2]),
    ),
    "AWS::StepFunctions::StateMachine": (
        "stepfunctions",
        lambda machines, arn: machines.describe_state_machine(stateMachineArn=arn),
    ),
}
"""The service that has a resource of each type, and how to ask it for one by its physical id."""

ELSEWHERE = {
    "AWS::Lambda::EventInvokeConfig": "tests/integration/local/test_functions.py",
    "AWS::Events::Rule": "tests/unit/local/test_schedule.py",
    "AWS::ApiGateway::RestApi": "below, by asking it",
    "AWS::ApiGateway::ApiKey": "below, by asking it",
    "AWS::ApiGateway::UsagePlan": "tests/unit/local/test_gateway_usage_plan.py",
    "AWS::ApiGateway::UsagePlanKey": "tests/unit/local/test_gateway_usage_plan.py",
}
"""Types that moto does not show, and what proves them."""


def test_every_supported_type_has_a_check() -> None:
    types = {each["Type"] for each in RESOURCES.values()} - supported.WITHOUT_EFFECT.keys()
    assert types <= LOOKS.keys() | ELSEWHERE.keys()
    assert types >= LOOKS.keys()


@pytest.mark.parametrize(
    "name", [name for name, each in RESOURCES.items() if each["Type"] in LOOKS]
)
def test_the_resource_exists(stack: Running, name: str) -> None:
    pages = client("cloudformation", stack.address).get_paginator("list_stack_resources")
    (made,) = (
        each
        for page in pages.paginate(StackName=NAME)
        for each in page["StackResourceSummaries"]
        if each["LogicalResourceId"] == name
    )
    service, look = LOOKS[made["ResourceType"]]
    assert look(client(service, stack.address), made["PhysicalResourceId"])


def test_the_api_accepts_only_its_key(stack: Running) -> None:
    address = stack.address
    for key, status in ((address.api_key, 200), ("another", 403)):
        answer = httpx.get(f"{address.url}/models", headers={"x-api-key": key}, timeout=LONG)
        assert answer.status_code == status
