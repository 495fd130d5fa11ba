"""`facet invoke`: one function, once, with an event from a file."""

import base64
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from botocore.config import Config

from cli.client.resources import FUNCTION, resources
from cli.client.stack import Stack, find
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, Home, StackName
from cli.terminal.output import Output
from facet.errors import FacetError

INVOKE_CONFIG = Config(read_timeout=905, retries={"total_max_attempts": 1})
"""No function takes longer than Lambda's 15 minutes, and none is invoked twice."""


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
            metavar="FUNCTION",
            help="Its name in template.yaml, for example PredictFunction.",
            autocompletion=completion.functions,
        ),
    ],
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="A JSON file, as those in events/; - reads standard input.",
            autocompletion=completion.events,
        ),
    ] = "",
    stack: StackName = None,
    home: Home = THIS_HOME,
) -> None:
    """Invoke a function once: `sam local invoke` without Docker, or a deployed one.

    The answer goes to standard output, as JSON; the last 4 kB of the log to standard error.
    """
    payload = _event(event)
    found = find(stack, home)
    answer = found.client("lambda", INVOKE_CONFIG).invoke(
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


def _physical(stack: Stack, function: str) -> str:
    """The function's name in its account. Raises NoFunction."""
    functions = resources(stack, FUNCTION)
    if function not in functions:
        raise NoFunction(
            f"there is no function {function}; there are {', '.join(sorted(functions))}"
        )
    return functions[function]


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
        return f"{told['errorType']}: {told['errorMessage']}"
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")


def _readable(body: bytes) -> str:
    return json.dumps(json.loads(body or b"null"), indent=2, ensure_ascii=False)
