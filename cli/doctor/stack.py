"""Check a deployed stack: region, credentials, CloudFormation, endpoint, API, queue, alarms.

Each check yields one result. A check that fails for lack of permissions is unknown, and the others
still run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.api import RetryBudget, connect
from cli.client.permissions import forbidden
from cli.client.resources import named_image
from cli.client.stack import OLD_QUEUE_OUTPUT, Stack, deployed
from cli.doctor.access import Access, check_access
from cli.doctor.ecr import EcrImage
from cli.doctor.result import CheckResult, guarded, missing, ok, warning
from cli.extras import located, make
from cli.terminal.formatting import one_line
from facet.errors import FacetError

OUTPUTS = (
    "BucketName",
    "RegistryName",
    "UndeliveredUploadsUrl",
    "OnboardFunctionName",
    "EndpointName",
    "ApiUrl",
    "ApiKeyId",
    "TrainStateMachineArn",
    "AlarmTopicArn",
)
"""The template's outputs that must be present."""

STACK_REMEDY = f"{make('deploy')}, or choose another --stack or AWS_REGION"
OUTPUTS_REMEDY = "check that it is a Facet stack, then deploy it again"

LOW_CONCURRENCY = 100
"""Concurrent executions of all functions in an account. New accounts may have 10; 1,000 is usual.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class DeployedStack:
    """A stack, whose account is asked, and CloudFormation's description of the stack."""

    stack: Stack
    access: Access
    described: Mapping[str, Any]

    def parameter(self, name: str) -> str | None:
        """Return a template parameter's value."""
        return _value(self.described.get("Parameters", []), "Parameter", name)

    def output(self, name: str) -> str | None:
        """Return a template output's value."""
        return _value(self.described["Outputs"], "Output", name)


def check_stack(name: str, session: boto3.Session) -> Iterator[CheckResult]:
    """Run all checks; stop after a failure that later checks depend on."""
    access = yield from check_access(session)
    if not access:
        return
    try:
        (described,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        yield missing("stack", one_line(error), access.redirected or STACK_REMEDY)
        return
    yield stack_status(described)
    if lacking := _lacking_outputs(described):
        words = f"{', '.join(lacking)} missing"
        yield missing("outputs", words, access.redirected or OUTPUTS_REMEDY)
        return
    target = DeployedStack(deployed(name, session), access, described)
    for check_name, run in CHECKS.items():
        yield guarded(check_name, partial(run, target))


def stack_status(described: Mapping[str, Any]) -> CheckResult:
    """Check the state in which CloudFormation left the stack."""
    state, reason = described["StackStatus"], described.get("StackStatusReason", "")
    words = f"{state}{f': {reason}' if reason else ''}"
    if state in COMPLETE:
        return ok("stack", words)
    if state.endswith("_IN_PROGRESS"):
        return warning("stack", words, "wait until it is done")
    if state == "UPDATE_ROLLBACK_COMPLETE":
        return warning(
            "stack", words, "the last deploy was rolled back; the stack's events say why"
        )
    remedy = f"the stack's events say why; fix the cause, then {make('deploy')}"
    return missing("stack", words, remedy)


def _lacking_outputs(described: Mapping[str, Any]) -> list[str]:
    present = {output["OutputKey"] for output in described.get("Outputs", [])}
    if OLD_QUEUE_OUTPUT in present:
        present.add("UndeliveredUploadsUrl")
    return [name for name in OUTPUTS if name not in present]


def endpoint(target: DeployedStack) -> CheckResult:
    """Check that the endpoint is in service."""
    if target.parameter("EndpointOn") == "false":
        if not target.parameter("RestoreAt"):
            return ok("endpoint", "none: EndpointOn=false; LiteRT models run in the function")
        words = "removed by its schedule; LiteRT models run in the function, others do not answer"
        return warning("endpoint", words, "wait for RestoreAt, or deploy with EndpointOn=true")
    client = target.stack.client("sagemaker")
    try:
        description = client.describe_endpoint(EndpointName=target.stack.endpoint)
    except ClientError as error:
        if forbidden(error):
            raise
        return missing("endpoint", one_line(error), f"create it again with {make('deploy')}")
    state, reason = description["EndpointStatus"], description.get("FailureReason", "")
    words = f"{state}{f': {reason}' if reason else ''}"
    if state == "InService":
        return ok("endpoint", words)
    if state in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
        return warning("endpoint", words, "wait; it takes minutes")
    return missing("endpoint", words, located("docs/operations.md, `Endpoint failing`"))


def api(target: DeployedStack) -> CheckResult:
    """Check that the API answers."""
    try:
        status = connect(target.stack, RetryBudget(0)).health()
    except FacetError as error:
        return missing("api", str(error), "`facet logs PredictFunction` with the same --stack")
    return ok("api", status)


def api_key(target: DeployedStack) -> CheckResult:
    """Check that the first key is enabled."""
    key = target.stack.client("apigateway").get_api_key(apiKey=target.stack.api_key_id)
    if key.get("enabled"):
        return ok("api key", "enabled")
    remedy = (
        f"aws apigateway update-api-key --api-key {target.stack.api_key_id} "
        "--patch-operations op=replace,path=/enabled,value=true"
    )
    return missing("api key", "disabled", remedy)


def undelivered(target: DeployedStack) -> CheckResult:
    """Check that no upload is in the dead-letter queue."""
    name = "ApproximateNumberOfMessages"
    answer = target.stack.client("sqs").get_queue_attributes(
        QueueUrl=target.stack.dead_letter_queue_url, AttributeNames=[name]
    )
    if count := int(answer["Attributes"][name]):
        remedy = (
            f"fix the cause ({located('docs/operations.md, `A stuck upload`')}), "
            f"then `facet redrive --stack {target.stack.cloudformation}`"
        )
        return warning("undelivered", f"{count:,} in the dead-letter queue", remedy)
    return ok("undelivered", "the dead-letter queue is empty")


def alarms(target: DeployedStack) -> CheckResult:
    """Check the alarms that notify the stack's topic."""
    if target.parameter("MonitoringOn") == "false":
        return ok("alarms", "none: MonitoringOn=false")
    answer = target.stack.client("cloudwatch").describe_alarms(
        ActionPrefix=target.output("AlarmTopicArn")
    )
    states = {each["AlarmName"]: each["StateValue"] for each in answer["MetricAlarms"]}
    if active := sorted(name for name, state in states.items() if state == "ALARM"):
        remedy = located("docs/operations.md says what to do about each")
        return warning("alarms", ", ".join(active), remedy)
    return ok("alarms", f"none of {len(states)} is in ALARM")


def subscribers(target: DeployedStack) -> CheckResult:
    """Check that somebody is notified of alarms and failed updates."""
    if target.parameter("MonitoringOn") == "false":
        return ok("subscribers", "not needed: MonitoringOn=false")
    pages = target.stack.client("sns").get_paginator("list_subscriptions_by_topic")
    found = pages.paginate(TopicArn=target.output("AlarmTopicArn"))
    return subscribed([each["SubscriptionArn"] for page in found for each in page["Subscriptions"]])


def subscribed(arns: list[str]) -> CheckResult:
    """Judge the alarm topic's subscriptions. SNS lists a word instead of some ARNs."""
    if confirmed := [each for each in arns if each.startswith("arn:")]:
        return ok("subscribers", f"{len(confirmed):,} of the alarm topic")
    if arns:
        remedy = "follow the link in the mail that SNS sent"
        return warning("subscribers", "nobody confirmed the alarm topic's mail", remedy)
    remedy = "deploy with AlarmEmail, or subscribe to the output AlarmTopicArn"
    return warning("subscribers", "nobody is notified of alarms", remedy)


def image(target: DeployedStack) -> CheckResult:
    """Check that the container's image still exists, if it is in the account's own registry."""
    if not target.stack.endpoint_on:
        return ok("image", "not needed: EndpointOn=false")
    uri = named_image(target.stack.client("sagemaker"), target.stack.endpoint)
    own = EcrImage.of(uri)
    if not own or own.account != target.access.account:
        return ok("image", uri)
    if not own.media_type(target.access):
        remedy = f"{make('deploy')} builds it again; or deploy with another ServingImageUri"
        return missing("image", f"{uri} is no longer in the registry", remedy)
    return ok("image", uri)


def concurrency(target: DeployedStack) -> CheckResult:
    """Check the account's limit of concurrent Lambda executions."""
    return concurrency_limit(target.stack.client("lambda").get_account_settings()["AccountLimit"])


def concurrency_limit(limit: Mapping[str, Any]) -> CheckResult:
    """Judge Lambda's AccountLimit."""
    count = int(limit["UnreservedConcurrentExecutions"])
    words = f"{count:,} concurrent executions"
    if count < LOW_CONCURRENCY:
        # a prediction in the function holds the predict function's execution, too
        words += f": at most {count:,} predictions at once on the endpoint, {count // 2:,} in the"
        words += " function, fewer while uploads are onboarded"
        return warning("concurrency", words, "request more in Service Quotas (AWS Lambda)")
    return ok("concurrency", words)


CHECKS: Mapping[str, Callable[[DeployedStack], CheckResult]] = {
    "endpoint": endpoint,
    "image": image,
    "api": api,
    "api key": api_key,
    "undelivered": undelivered,
    "alarms": alarms,
    "subscribers": subscribers,
    "concurrency": concurrency,
}


def _value(pairs: Iterable[Mapping[str, str]], kind: str, name: str) -> str | None:
    known = {each[f"{kind}Key"]: each[f"{kind}Value"] for each in pairs}
    return known.get(name)
