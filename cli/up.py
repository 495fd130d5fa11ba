"""`facet up`: the stack on this machine. `make run` calls it, too."""

from typing import Annotated

import typer

from cli import extras
from cli.terminal.options import THIS_HOME, THIS_PORT, Home, Parameters, Port, name_and_value


def up(
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the predictions of the samples.")
    ] = False,
    parameter: Parameters = None,
    port: Port = THIS_PORT,
    home: Home = THIS_HOME,
) -> None:
    """Start the stack on this machine and serve until Ctrl-C, as `make run` does. Needs a checkout.

    With FACET_DATA, a folder of data sets, it also classifies images from there.
    """
    parameters = dict(name_and_value(each, "--parameter") for each in parameter or [])
    extras.ensure("local")
    typer.echo("starting the stack ...")
    from local.run import serve  # takes seconds, so the line above comes first

    serve(home, port, once=once, parameters=parameters)
