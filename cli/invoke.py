"""`facet invoke`: invoke one function with an event from a file."""

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
from facet.registry.suggestions import did_you_mean

INVOKE_CONFIG = Config(read_timeout=905, retries={"total_max_attempts": 1})
"""Waits for Lambda's limit of 15 minutes, and never invokes twice."""


class NoFunction(FacetError):
    """The stack has no function of this name; the message lists them."""


class NoEvent(FacetError):
    """The event is not JSON."""


class FunctionFailed(FacetError):
    """The function raised an error; the message has its type and text."""


def invoke(
    function: Annotated[
        str,
        typer.Argument(
            metavar="FUNCTION",
            help="The function's name in template.yaml, for example PredictFunction.",
            autocompletion=completion.functions,
        ),
    ],
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="A JSON file such as those in events/; - for standard input.",
            autocompletion=completion.events,
        ),
    ] = "",
    stack: StackName = None,
    home: Home = THIS_HOME,
) -> None:
    """Invoke a function once, like sam local invoke but without Docker, or a deployed one.

    Prints the answer as JSON on standard output, and the last 4 kB of the log on standard error.
    """
    payload = _event(event)
    target = find(stack, home)
    answer = target.client("lambda", INVOKE_CONFIG).invoke(
        FunctionName=_physical_name(target, function), Payload=payload, LogType="Tail"
    )
    output = Output()
    if log := answer.get("LogResult"):
        output.remark(base64.b64decode(log).decode(errors="replace").rstrip())
    body = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise FunctionFailed(f"{function}: {_reason(body)}")
    output.results.print(_readable(body), markup=False)


def _event(source: str) -> bytes:
    """Read the event, `{}` by default. Raises NoEvent."""
    if not source:
        return b"{}"
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        json.loads(content)
    except ValueError as error:
        raise NoEvent(f"{source} is not JSON: {error}") from error
    return content


def _physical_name(stack: Stack, function: str) -> str:
    """Look up the function's name in its account. Raises NoFunction."""
    functions = resources(stack, FUNCTION)
    if function not in functions:
        raise NoFunction(
            f"there is no function {function}; choose {', '.join(sorted(functions))}."
            f"{did_you_mean(function, functions)}"
        )
    return functions[function]


def _reason(body: bytes) -> str:
    try:
        error = json.loads(body)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")


def _readable(body: bytes) -> str:
    return json.dumps(json.loads(body or b"null"), indent=2, ensure_ascii=False)
