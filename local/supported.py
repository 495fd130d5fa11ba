"""What of a template the local stack carries out, and what it may leave without effect.

It refuses a template with more: better a clear no than a local mode that quietly behaves unlike the
cloud.
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
"""The resources that the local stack makes, by type, with the properties that take effect."""

PARTS: dict[str, set[str]] = {
    "AWS::Events::Rule.Targets": {"Arn", "Id", "Input"},
    "AWS::S3::Bucket.NotificationConfiguration": {"LambdaConfigurations"},
}
"""Properties that may have other parts, with those that take effect."""

WITHOUT_EFFECT: dict[str, str] = {
    "AWS::IAM::Role": "nothing is authorised on a laptop; the roles exist as names",
    "AWS::IAM::Role.Policies": "nothing is authorised on a laptop",
    "AWS::IAM::Role.ManagedPolicyArns": "nothing is authorised on a laptop",
    "AWS::IAM::ManagedPolicy": "nothing is authorised on a laptop",
    "AWS::S3::BucketPolicy": "nothing is authorised on a laptop",
    "AWS::SQS::QueuePolicy": "nothing is authorised on a laptop",
    "AWS::Logs::LogGroup": "the logs are files under .facet/logs",
    "AWS::Lambda::Function.LoggingConfig": "the logs are files under .facet/logs",
    "AWS::StepFunctions::StateMachine.LoggingConfiguration": "GetExecutionHistory has it all",
    "AWS::ApiGateway::Account": "the local API writes no access log",
    "AWS::Lambda::Function.TracingConfig": "nobody traces a laptop",
    "AWS::StepFunctions::StateMachine.TracingConfiguration": "nobody traces a laptop",
    "AWS::Lambda::Function.VpcConfig": "everything is on 127.0.0.1",
    "AWS::SageMaker::Model.VpcConfig": "everything is on 127.0.0.1",
    "AWS::SageMaker::Model.EnableNetworkIsolation": "the container is a process of the laptop",
    "AWS::ApplicationAutoScaling::ScalableTarget": "there is one laptop to scale to",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "there is one laptop to scale to",
    "AWS::Scheduler::Schedule": "a laptop's endpoint costs nothing out of hours",
    "AWS::Budgets::Budget": "a laptop bills nobody",
    "AWS::CloudWatch::Alarm": "nobody measures a laptop; the functions' logs have their metrics",
    "AWS::CloudWatch::Dashboard": "nobody measures a laptop",
    "AWS::SNS::Subscription": "nobody is mailed from a laptop",
    "AWS::Lambda::LayerVersion": "the layer's sources are imported from where they lie",
    "AWS::Lambda::Permission": "nothing is authorised on a laptop",
    "AWS::ApiGateway::Deployment": "the local API has no stages: it answers at the root",
    "AWS::ApiGateway::Stage": "the local API has no stages: it answers at the root",
    "AWS::ApiGateway::RestApi.EndpointConfiguration": "the API is on 127.0.0.1",
    "AWS::ApiGateway::RestApi.Parameters": "the API is on 127.0.0.1",
    "AWS::S3::Bucket.CorsConfiguration": "moto answers the pages of every origin",
    "AWS::S3::Bucket.LifecycleConfiguration": "nothing grows old on a laptop; `make clean` deletes",
    "AWS::DynamoDB::Table.PointInTimeRecoverySpecification": "there are no backups",
    "AWS::DynamoDB::Table.DeletionProtectionEnabled": "`make clean` deletes what is here",
    "AWS::DynamoDB::Table.SSESpecification": "files are encrypted by the laptop's disk, or not",
    "AWS::Lambda::Function.Architectures": "functions run on the laptop's own processor",
    "AWS::Lambda::Function.EphemeralStorage": "a worker's TMPDIR is as large as the laptop's disk",
    "AWS::SQS::Queue.KmsMasterKeyId": "files are encrypted by the laptop's disk, or not",
    "AWS::SQS::Queue.SqsManagedSseEnabled": "files are encrypted by the laptop's disk, or not",
    "AWS::SNS::Topic.KmsMasterKeyId": "what is told goes to nobody but this machine",
    "AWS::Events::Rule.Targets.DeadLetterConfig": "the scheduler reaches every function here",
    "AWS::SageMaker::EndpointConfig.KmsKeyId": "files are encrypted by the laptop's disk, or not",
    "AWS::SageMaker::EndpointConfig.DataCaptureConfig": "the functions' logs have each request",
    "AWS::SageMaker::Endpoint.DeploymentConfig": "a new template is a new start of the stack",
    "AWS::SageMaker::Endpoint.RetainAllVariantProperties": "nothing scales the local endpoint",
}
"""Types, or properties of types, that a laptop has no use for, and why."""

MADE_HERE = {"AWS::Lambda::EventInvokeConfig", "AWS::Events::Rule"}
"""Types that local/ carries out by itself. moto would send a schedule's rule every event that is
put on the bus, and cannot send one to a function."""

MADE_BY_MOTO = {"AWS::IAM::Role"} | {
    kind for kind in SUPPORTED.keys() - MADE_HERE if not kind.startswith("AWS::ApiGateway::")
}
"""What goes into the CloudFormation stack; the gateway makes the API from the template itself."""


class UnsupportedTemplate(FacetError):
    """The template asks for something that the local stack would not carry out."""


def unsupported(resources: Mapping[str, Any]) -> set[str]:
    """The types, properties and their parts that would not be carried out."""
    found = {each for resource in resources.values() for each in _named(resource)}
    return found - WITHOUT_EFFECT.keys()


def _named(resource: Mapping[str, Any]) -> Iterator[str]:
    """What a resource asks for beyond CARRIED_OUT; an empty property asks for nothing."""
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
