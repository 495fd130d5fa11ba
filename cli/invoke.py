"""`facet invoke`: one function, once, with an event from a file."""

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.options import THIS_HOME, Home, StackName
from cli.output import Output
from cli.stack import Stack, find
from facet.errors import FacetError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

PATIENT = Config(read_timeout=905, retries={"total_max_attempts": 1})
"""No function takes longer than Lambda's 15 minutes, and none is invoked twice."""

FUNCTION = "AWS::Lambda::Function"


class NoFunction(FacetError):
    """The stack has no function of that name; the message lists those it has."""


class NoEvent(FacetError):
    """The event is not there, or is no JSON."""


class FunctionFailed(FacetError):
    """The function ended with an error, which the message tells."""


def invoke(
    function: Annotated[
        str,
        typer.Argument(
            metavar="FUNCTION", help="Its name in template.yaml, for example PredictFunction."
        ),
    ],
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="A JSON file, as those in events/; - reads standard input."
        ),
    ] = "",
    stack: StackName = None,
    home: Home = THIS_HOME,
) -> None:
    """Invoke a function once: `sam local invoke` without Docker, or a deployed one.

    The answer goes to standard output, as JSON; the log, where Lambda sends it, to standard error.
    On this machine the log is in .facet/logs.
    """
    payload = _event(event)
    found = find(stack, home)
    answer = _client(found).invoke(
        FunctionName=_physical(found, function), Payload=payload, LogType="Tail"
    )
    output = Output()
    if log := answer.get("LogResult"):
        output.remark(base64.b64decode(log).decode(errors="replace").rstrip())
    body = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise FunctionFailed(f"{function}: {_reason(body)}")
    output.results.print(_readable(body), markup=False)


def _event(source: str) -> bytes:
    """The event's bytes, `{}` without one. Raises NoEvent."""
    if not source:
        return b"{}"
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        json.loads(content)
    except ValueError as error:
        raise NoEvent(f"{source} is no JSON: {error}") from error
    return content


def _client(stack: Stack) -> Any:
    session: Any = stack.session
    return session.client("lambda", endpoint_url=stack.endpoint_url, config=PATIENT)


def _physical(stack: Stack, function: str) -> str:
    """The function's name in its account. Raises NoFunction."""
    client: CloudFormationClient = stack.client("cloudformation")
    try:
        found = client.describe_stack_resource(
            StackName=stack.cloudformation, LogicalResourceId=function
        )["StackResourceDetail"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise NoFunction(_functions(client, stack, function)) from error
    if found["ResourceType"] != FUNCTION:
        raise NoFunction(_functions(client, stack, function))
    return found["PhysicalResourceId"]


def _functions(client: "CloudFormationClient", stack: Stack, wrong: str) -> str:
    resources = client.describe_stack_resources(StackName=stack.cloudformation)["StackResources"]
    names = sorted(
        each["LogicalResourceId"] for each in resources if each["ResourceType"] == FUNCTION
    )
    return f"there is no function {wrong}; there are {', '.join(names)}"


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
        return f"{told['errorType']}: {told['errorMessage']}"
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")


def _readable(body: bytes) -> str:
    return json.dumps(json.loads(body or b"null"), indent=2, ensure_ascii=False)
