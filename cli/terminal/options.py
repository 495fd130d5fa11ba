"""Options that several commands share."""

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
        help="Use this deployed stack, in the account and region of your AWS credentials. "
        "Default: the stack that runs on this machine.",
    ),
]
Home = Annotated[
    Path,
    typer.Option("--home", help="The folder with the local stack's state.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Port = Annotated[
    int,
    typer.Option(
        "--port", envvar="FACET_PORT", min=0, max=65535, help="The API's port; 0 for any free one."
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter of template.yaml, for example AllowOrigin=http://localhost:3000. "
        "May be given more than once.",
    ),
]
Timeout = Annotated[
    float, typer.Option(min=0, help="Stop waiting after this many seconds, with exit code 1.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask questions.")]

THIS_HOME = HOME
THIS_PORT = 8000


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """Split `NAME=VALUE`, the value of `option`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"write NAME=VALUE, not '{text}'", param_hint=option)
    return name, value
