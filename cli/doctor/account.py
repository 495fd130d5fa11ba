"""What a deployed stack needs, and how it stands."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.api import Patience, reach
from cli.client.stack import Stack, deployed
from cli.doctor.finding import Finding, missing, ok, warning
from cli.extras import located, make
from facet.aws_environment import local_endpoints
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
"""Those of the template's that this command looks for."""

STACK_REMEDY = f"{make('deploy')}, or choose another --stack or AWS_REGION"
OUTPUTS_REMEDY = "check that it is a Facet stack, then deploy it again"

FEW = 100
"""Concurrent executions of all functions of an account; a new one may have 10, and 1,000 is usual.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[^.]+)\.[^/]+/(?P<repository>[^:@]+)"
)
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
FORBIDDEN = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


@dataclass(frozen=True)
class Deployed:
    """A stack, who asks, and CloudFormation's description of it."""

    stack: Stack
    account: str
    described: Mapping[str, Any]

    def parameter(self, name: str) -> str | None:
        """The value of a parameter of the template's."""
        return _value(self.described.get("Parameters", []), "Parameter", name)

    def output(self, name: str) -> str | None:
        """The value of an output of the template's."""
        return _value(self.described["Outputs"], "Output", name)


def examine(name: str, session: boto3.Session) -> Iterator[Finding]:
    """Check a deployed stack; stop at the first thing missing that later checks depend on."""
    redirected = ""
    if endpoints := local_endpoints():
        redirected = f"unset {' '.join(endpoints)}"
        words = ", ".join(f"{name}={value}" for name, value in endpoints.items())
        yield warning("AWS endpoint", f"{words} is this machine, not AWS", redirected)
    if not session.region_name:
        yield missing("region", "none is set", "set AWS_REGION, or a region in your AWS profile")
        return
    yield ok("region", session.region_name)
    try:
        who = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        remedy = "set AWS_PROFILE, or log in again (`aws sso login`)"
        yield missing("credentials", _line(error), remedy)
        return
    yield ok("credentials", who["Arn"])
    try:
        (described,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        yield missing("stack", _line(error), redirected or STACK_REMEDY)
        return
    yield standing(described)
    if lacking := _lacking_outputs(described):
        words = f"{', '.join(lacking)} missing"
        yield missing("outputs", words, redirected or OUTPUTS_REMEDY)
        return
    it = Deployed(deployed(name, session), who["Account"], described)
    for check, finding in CHECKS.items():
        yield _probed(check, partial(finding, it))


def _probed(check: str, finding: Callable[[], Finding]) -> Finding:
    """What cannot be found out hides nothing else."""
    try:
        return finding()
    except (FacetError, BotoCoreError, ClientError) as error:
        return warning(check, f"unknown: {_line(error)}", "ask for the permission, if it is that")


def standing(described: Mapping[str, Any]) -> Finding:
    """How CloudFormation left the stack."""
    state, reason = described["StackStatus"], described.get("StackStatusReason", "")
    words = f"{state}{f': {reason}' if reason else ''}"
    if state in GOOD:
        return ok("stack", words)
    if state.endswith("_IN_PROGRESS"):
        return warning("stack", words, "wait until it is done")
    if state == "UPDATE_ROLLBACK_COMPLETE":
        return warning("stack", words, "the last deploy was taken back; its events say why")
    return missing("stack", words, f"its events say why; fix that, then {make('deploy')}")


def _lacking_outputs(described: Mapping[str, Any]) -> list[str]:
    present = {output["OutputKey"] for output in described.get("Outputs", [])}
    return [name for name in OUTPUTS if name not in present]


def endpoint(it: Deployed) -> Finding:
    """Whether it is in service."""
    if it.parameter("EndpointOn") == "false":
        words = "away, by its hours or the parameter EndpointOn"
        return warning("endpoint", words, "wait for its hours, or deploy with EndpointOn=true")
    client = it.stack.client("sagemaker")
    try:
        found = client.describe_endpoint(EndpointName=it.stack.endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] in FORBIDDEN:
            raise
        return missing("endpoint", _line(error), f"create it again with {make('deploy')}")
    state, reason = found["EndpointStatus"], found.get("FailureReason", "")
    words = f"{state}{f': {reason}' if reason else ''}"
    if state == "InService":
        return ok("endpoint", words)
    if state in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
        return warning("endpoint", words, "wait; it takes minutes")
    return missing("endpoint", words, located("docs/operations.md, `Endpoint failing`"))


def api(it: Deployed) -> Finding:
    """Whether it answers."""
    try:
        said = reach(it.stack, Patience(0)).health()
    except FacetError as error:
        return missing("api", str(error), "`facet logs PredictFunction` with the same --stack")
    return ok("api", said)


def api_key(it: Deployed) -> Finding:
    """Whether the first key is enabled."""
    found = it.stack.client("apigateway").get_api_key(apiKey=it.stack.api_key_id)
    if found.get("enabled"):
        return ok("api key", "enabled")
    remedy = (
        f"aws apigateway update-api-key --api-key {it.stack.api_key_id} "
        "--patch-operations op=replace,path=/enabled,value=true"
    )
    return missing("api key", "disabled", remedy)


def undelivered(it: Deployed) -> Finding:
    """Uploads that were given up."""
    name = "ApproximateNumberOfMessages"
    answer = it.stack.client("sqs").get_queue_attributes(
        QueueUrl=it.stack.dead_letter_queue_url, AttributeNames=[name]
    )
    if count := int(answer["Attributes"][name]):
        page = located("docs/operations.md, `A stuck upload`")
        remedy = f"fix the cause ({page}), {_again(it, 'redrive')}"
        return warning("undelivered", f"{count:,} given up", remedy)
    return ok("undelivered", "none given up")


def alarms(it: Deployed) -> Finding:
    """Those that tell the stack's topic, and ring."""
    answer = it.stack.client("cloudwatch").describe_alarms(ActionPrefix=it.output("AlarmTopicArn"))
    found = {each["AlarmName"]: each["StateValue"] for each in answer["MetricAlarms"]}
    if ringing := sorted(name for name, state in found.items() if state == "ALARM"):
        return warning(
            "alarms", ", ".join(ringing), located("docs/operations.md says what to do about each")
        )
    return ok("alarms", f"none of {len(found)} rings")


def image(it: Deployed) -> Finding:
    """Whether the container's image is there, where it is the account's own."""
    sagemaker = it.stack.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=it.stack.endpoint)["EndpointConfigName"]
    (variant, *_) = sagemaker.describe_endpoint_config(EndpointConfigName=config)[
        "ProductionVariants"
    ]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    uri = str(model["PrimaryContainer"]["Image"])
    found = IMAGE.match(uri)
    if not found or found["account"] != it.account:
        return ok("image", uri)
    _, at, digest = uri.partition("@")
    tag = uri.removeprefix(found[0]).removeprefix(":") or "latest"
    wanted = {"imageDigest": digest} if at else {"imageTag": tag}
    ecr: Any = it.stack.session
    client = ecr.client("ecr", region_name=found["region"])
    try:
        client.describe_images(repositoryName=found["repository"], imageIds=[wanted])
    except ClientError as error:
        if error.response["Error"]["Code"] in FORBIDDEN:
            raise
        remedy = "push serving/Dockerfile's image again, or deploy with another ServingImageUri"
        return missing("image", f"{uri} is gone from the registry", remedy)
    return ok("image", uri)


def concurrency(it: Deployed) -> Finding:
    """Lambda's limit of the account, which all its functions share."""
    return of_limit(it.stack.client("lambda").get_account_settings()["AccountLimit"])


def of_limit(limit: Mapping[str, Any]) -> Finding:
    """What Lambda's AccountLimit means."""
    count = int(limit["UnreservedConcurrentExecutions"])
    words = f"{count:,} executions at once"
    if count < FEW:
        return warning("concurrency", words, "ask for more in Service Quotas (AWS Lambda)")
    return ok("concurrency", words)


CHECKS: Mapping[str, Callable[[Deployed], Finding]] = {
    "endpoint": endpoint,
    "image": image,
    "api": api,
    "api key": api_key,
    "undelivered": undelivered,
    "alarms": alarms,
    "concurrency": concurrency,
}


def _again(it: Deployed, command: str) -> str:
    return f"then `facet {command} --stack {it.stack.cloudformation}`"


def _value(pairs: Iterable[Mapping[str, str]], kind: str, name: str) -> str | None:
    known = {each[f"{kind}Key"]: each[f"{kind}Value"] for each in pairs}
    return known.get(name)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
