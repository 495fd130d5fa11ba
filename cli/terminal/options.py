"""Options that many commands have, with one meaning."""

from pathlib import Path
from typing import Annotated

import typer

from cli.client.stack import HOME
from cli.terminal import completion

ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="The model's name.", autocompletion=completion.models),
]
StackName = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="A deployed stack, in the account and region of the environment's credentials. "
        "Without it: the stack that runs on this machine.",
    ),
]
Home = Annotated[
    Path,
    typer.Option(
        "--home", help="Where the stack on this machine keeps its state.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Port = Annotated[
    int,
    typer.Option(
        "--port", envvar="FACET_PORT", min=0, max=65535, help="The API's; 0 for any free one."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]

THIS_HOME = HOME
THIS_PORT = 8000


def named(text: str, option: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, as the option was given it."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"write NAME=VALUE, not '{text}'", param_hint=option)
    return name, value
