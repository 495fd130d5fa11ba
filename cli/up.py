"""`facet up`: the stack on this machine."""

from typing import Annotated

import typer

from cli import extras
from cli.terminal.options import THIS_HOME, THIS_PORT, Home, Port, named


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
    port: Port = THIS_PORT,
    home: Home = THIS_HOME,
) -> None:
    """Start the stack on this machine, as `make run` does, until Ctrl-C. Needs a checkout."""
    given = dict(named(each, "--parameter") for each in parameter or [])
    extras.ensure("local")
    from local.__main__ import serve

    if code := serve(home, port, once=once, parameters=given):
        raise typer.Exit(code)
