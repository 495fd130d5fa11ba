"""Options that many commands have, with one meaning."""

from pathlib import Path
from typing import Annotated

import typer

from cli.stack import HOME

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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]

THIS_HOME = HOME
