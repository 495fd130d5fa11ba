"""`facet env`: a stack's addresses and credentials as environment variables.

The variables of the local stack must not stay in a shell from which somebody deploys. So the
command either runs one program with them, or prints shell lines, for `eval` in a subshell.
"""

import os
import shlex
import shutil
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.api import api_key
from cli.client.stack import Stack, find
from cli.terminal.options import THIS_HOME, Home, StackName
from cli.terminal.output import Output
from facet.errors import FacetError

REPLACED = (
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SESSION_TOKEN",
)
"""Variables that take precedence over the local stack's endpoint, region and credentials, or send
an account's session token to it. `_replaced` adds the endpoints of single services.
"""


class NoProgram(FacetError):
    """The program to run is not on the PATH."""


def env(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- PROGRAM ARGUMENT…]",
            help="A program to run with the variables in its environment.",
            show_default=False,
        ),
    ] = None,
    no_aws: Annotated[
        bool,
        typer.Option(
            "--no-aws", help="Print only URL, KEY, BUCKET and STATE_MACHINE, not AWS's variables."
        ),
    ] = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
) -> None:
    """Print a stack's addresses as shell lines, or run a program with them.

    "facet env -- aws s3 ls" runs one program in that environment and passes its exit code through.

    For a deployed stack no endpoint and no credentials are set.
    """
    found = find(stack, home)
    variables = _addresses(found, Output()) | ({} if no_aws else _aws(found))
    removed = _replaced(variables) if found.home and not no_aws else ()
    if command:
        _run(command, variables, removed)
    if removed:
        typer.echo(f"unset {' '.join(removed)}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _replaced(variables: Mapping[str, str]) -> tuple[str, ...]:
    services = {name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")}
    return (*REPLACED, *sorted(services - variables.keys()))


def _addresses(stack: Stack, output: Output) -> dict[str, str]:
    """What the documentation's examples call the API, its key, the bucket and the state machine."""
    try:
        key = api_key(stack)
    except (BotoCoreError, ClientError) as error:
        output.remark(f"warning: KEY is missing, the API's key cannot be read: {error}")
        key = ""
    known = {
        "URL": stack.api_url,
        "KEY": key,
        "BUCKET": stack.bucket,
        "STATE_MACHINE": stack.state_machine,
    }
    return {name: value for name, value in known.items() if value}


def _aws(stack: Stack) -> dict[str, str]:
    """The variables of AWS's clients: a deployed stack's region, and all of the local stack's."""
    session: Any = stack.session
    region = {"AWS_DEFAULT_REGION": session.region_name}
    if stack.endpoint_url is None:
        return region
    key = session.get_credentials()
    runtime = {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": stack.sagemaker_runtime_url}
    return {
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        **(runtime if stack.sagemaker_runtime_url else {}),
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        **region,
    }


def _run(command: list[str], variables: Mapping[str, str], removed: tuple[str, ...]) -> None:
    """Replaces this process, so that signals and the exit code are the program's own."""
    if shutil.which(command[0]) is None:
        raise NoProgram(f"program '{command[0]}' is not on the PATH; install it, or give its path")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    os.execvpe(command[0], command, {**kept, **variables})
