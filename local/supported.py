"""Which resources and properties of a template the local stack supports.

It rejects a template with any other, so that it never quietly behaves unlike the cloud.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from facet.errors import FacetError

SUPPORTED: dict[str, set[str]] = {
    "AWS::S3::Bucket": {
        "BucketName",
        "VersioningConfiguration",
        "NotificationConfiguration",
        "BucketEncryption",
        "PublicAccessBlockConfiguration",
    },
    "AWS::DynamoDB::Table": {
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
    },
    "AWS::SQS::Queue": {"MessageRetentionPeriod"},
    "AWS::Lambda::Function": {
        "Code",
        "DeadLetterConfig",
        "Environment",
        "Handler",
        "Layers",
        "MemorySize",
        "ReservedConcurrentExecutions",
        "Timeout",
        "Description",
        "Role",
        "Runtime",
        "Tags",
    },
    "AWS::Lambda::EventInvokeConfig": {
        "FunctionName",
        "MaximumEventAgeInSeconds",
        "MaximumRetryAttempts",
        "Qualifier",
    },
    "AWS::Events::Rule": {"Description", "Name", "ScheduleExpression", "State", "Targets"},
    "AWS::SageMaker::Model": {"ExecutionRoleArn", "PrimaryContainer"},
    "AWS::SageMaker::EndpointConfig": {"ProductionVariants"},
    "AWS::SageMaker::Endpoint": {"EndpointConfigName", "EndpointName"},
    "AWS::SNS::Topic": set(),
    "AWS::StepFunctions::StateMachine": {
        "DefinitionS3Location",
        "DefinitionSubstitutions",
        "RoleArn",
        "Tags",
    },
    "AWS::ApiGateway::RestApi": {"Body", "BinaryMediaTypes"},
    "AWS::ApiGateway::ApiKey": {"Enabled", "StageKeys"},
    "AWS::ApiGateway::UsagePlan": {"ApiStages", "Throttle", "Quota"},
    "AWS::ApiGateway::UsagePlanKey": {"KeyId", "KeyType", "UsagePlanId"},
}
"""Resource types that the local stack makes, and their properties that take effect."""

PARTS: dict[str, set[str]] = {
    "AWS::Events::Rule.Targets": {"Arn", "Id", "Input"},
    "AWS::S3::Bucket.NotificationConfiguration": {"LambdaConfigurations"},
}
"""Properties of which only some parts take effect, and those parts."""

WITHOUT_EFFECT: dict[str, str] = {
    "AWS::IAM::Role": "nothing is authorised on a laptop; the roles exist as names",
    "AWS::IAM::Role.Policies": "nothing is authorised on a laptop",
    "AWS::IAM::Role.ManagedPolicyArns": "nothing is authorised on a laptop",
    "AWS::IAM::ManagedPolicy": "nothing is authorised on a laptop",
    "AWS::S3::BucketPolicy": "nothing is authorised on a laptop",
    "AWS::SQS::QueuePolicy": "nothing is authorised on a laptop",
    "AWS::SNS::TopicPolicy": "nothing is authorised on a laptop",
    "AWS::Logs::LogGroup": "the logs are files under .facet/logs",
    "AWS::Lambda::Function.LoggingConfig": "the logs are files under .facet/logs",
    "AWS::StepFunctions::StateMachine.LoggingConfiguration": "GetExecutionHistory has all events",
    "AWS::ApiGateway::Account": "the local API writes no access log",
    "AWS::Lambda::Function.TracingConfig": "there is no X-Ray on a laptop",
    "AWS::StepFunctions::StateMachine.TracingConfiguration": "there is no X-Ray on a laptop",
    "AWS::Lambda::Function.VpcConfig": "everything is on 127.0.0.1",
    "AWS::SageMaker::Model.VpcConfig": "everything is on 127.0.0.1",
    "AWS::SageMaker::Model.EnableNetworkIsolation": "the container is a process of the laptop",
    "AWS::ApplicationAutoScaling::ScalableTarget": "there is one laptop to scale to",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "there is one laptop to scale to",
    "AWS::Scheduler::Schedule": "a laptop's endpoint costs nothing",
    "AWS::Budgets::Budget": "a laptop is not billed",
    "AWS::CloudWatch::Alarm": "there is no CloudWatch; the functions' logs have the metrics",
    "AWS::CloudWatch::Dashboard": "there is no CloudWatch on a laptop",
    "AWS::SNS::Subscription": "a laptop sends no mail",
    "AWS::Lambda::LayerVersion": "the layer's sources are imported from their folder",
    "AWS::Lambda::Permission": "nothing is authorised on a laptop",
    "AWS::ApiGateway::Deployment": "the local API has no stages: it answers at the root",
    "AWS::ApiGateway::Stage": "the local API has no stages: it answers at the root",
    "AWS::ApiGateway::RestApi.EndpointConfiguration": "the API is on 127.0.0.1",
    "AWS::ApiGateway::RestApi.Parameters": "the API is on 127.0.0.1",
    "AWS::S3::Bucket.CorsConfiguration": "pages of every origin may send presigned forms",
    "AWS::S3::Bucket.LifecycleConfiguration": "objects do not expire; `make clean` deletes them",
    "AWS::DynamoDB::Table.PointInTimeRecoverySpecification": "there are no backups",
    "AWS::DynamoDB::Table.DeletionProtectionEnabled": "`make clean` deletes the table",
    "AWS::DynamoDB::Table.SSESpecification": "files are encrypted by the laptop's disk, or not",
    "AWS::Lambda::Function.Architectures": "functions run on the laptop's own processor",
    "AWS::Lambda::Function.EphemeralStorage": "a worker's TMPDIR is as large as the laptop's disk",
    "AWS::SQS::Queue.KmsMasterKeyId": "files are encrypted by the laptop's disk, or not",
    "AWS::SQS::Queue.SqsManagedSseEnabled": "files are encrypted by the laptop's disk, or not",
    "AWS::SNS::Topic.KmsMasterKeyId": "messages do not leave this machine",
    "AWS::Events::Rule.Targets.DeadLetterConfig": "the local scheduler reaches every function",
    "AWS::SageMaker::EndpointConfig.KmsKeyId": "files are encrypted by the laptop's disk, or not",
    "AWS::SageMaker::EndpointConfig.DataCaptureConfig": "the functions' logs have each request",
    "AWS::SageMaker::Endpoint.DeploymentConfig": "a new template is a new start of the stack",
    "AWS::SageMaker::Endpoint.RetainAllVariantProperties": "nothing scales the local endpoint",
}
"""Types, and properties of types, that have no effect on a laptop, and why."""

MADE_HERE = {"AWS::Lambda::EventInvokeConfig", "AWS::Events::Rule"}
"""Types that local/ makes itself. moto would send every event on the bus to a schedule's rule, and
cannot send events to functions."""

MADE_BY_MOTO = {"AWS::IAM::Role"} | {
    kind for kind in SUPPORTED.keys() - MADE_HERE if not kind.startswith("AWS::ApiGateway::")
}
"""Types in moto's CloudFormation stack; local/gateway makes the API from the template."""


class UnsupportedTemplate(FacetError):
    """The template, or a parameter of it, needs something that the local stack does not support."""


def unsupported(resources: Mapping[str, Any]) -> set[str]:
    """The types, properties and parts of properties that are not supported."""
    found = {
        each
        for resource in resources.values()
        if not reports_updates(resource)
        for each in _named(resource)
    }
    return found - WITHOUT_EFFECT.keys()


def reports_updates(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is a rule for events of CloudFormation, which sends none on a laptop."""
    pattern = resource.get("Properties", {}).get("EventPattern", {})
    is_rule: bool = resource["Type"] == "AWS::Events::Rule"
    return is_rule and pattern.get("source") == ["aws.cloudformation"]


def _named(resource: Mapping[str, Any]) -> Iterator[str]:
    """What a resource has beyond SUPPORTED; an empty property counts as absent."""
    kind = resource["Type"]
    if kind not in SUPPORTED:
        yield kind
        return
    for name, value in resource.get("Properties", {}).items():
        place = f"{kind}.{name}"
        if name not in SUPPORTED[kind] and value not in ({}, []):
            yield place
        for each in value if isinstance(value, list) else [value]:
            if place in PARTS:
                yield from (f"{place}.{part}" for part in each if part not in PARTS[place])
