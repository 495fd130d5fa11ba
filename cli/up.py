"""`facet up`: the stack on this machine."""

from typing import Annotated

import typer

from cli import extras
from cli.options import THIS_HOME, Home, named

PORT = 8000


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
    home: Home = THIS_HOME,
) -> None:
    """Start the stack on this machine, as `make run` does: it serves until Ctrl-C."""
    given = dict(named(each, "--parameter") for each in parameter or [])
    extras.ensure("local")
    from local.__main__ import serve

    if code := serve(home, port, once=once, parameters=given):
        raise typer.Exit(code)
