"""`facet up`: the stack on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import THIS_HOME
from facet.errors import FacetError

PORT = 8000


class NotInstalled(FacetError):
    """What the local stack is made of is not there; the message says how to get it."""


def up(
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the predictions of the samples.")
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A parameter of template.yaml, for example AllowOrigin=http://localhost:3000.",
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(envvar="FACET_PORT", min=0, max=65535, help="The API's; 0 for any free one."),
    ] = PORT,
    home: Annotated[Path, typer.Option(help="Where the stack keeps its state.")] = THIS_HOME,
) -> None:
    """Start the stack on this machine, as `make run` does: it serves until Ctrl-C."""
    given = dict(_parameter(each) for each in parameter or [])
    try:
        from local.__main__ import serve
    except ImportError as error:
        raise NotInstalled(f"{error}: pip install 'facet[local]', or `make run`") from error
    if code := serve(home, port, once=once, parameters=given):
        raise typer.Exit(code)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"write NAME=VALUE, not '{text}'", param_hint="--parameter")
    return name, value
