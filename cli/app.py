"""The program `facet`: its commands, and how it prints errors.

Expected errors are one line on standard error and exit code 1; `--debug` shows the traceback. Any
other exception is a bug and always shows one.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from typer.core import TyperGroup

from cli import data, delete, env, invoke, models, push, redrive, status, up, versions, watch
from cli.cost import command as cost
from cli.doctor import command as doctor
from cli.extras import CHECKOUT, ROOT, located, version
from cli.logs import command as logs
from cli.pack import command as pack
from cli.predict import command as predict
from cli.terminal.command import Command, without_routes
from cli.terminal.formatting import printable
from cli.train import command as train
from facet.errors import FacetError

DEBUG = "--debug"
FAILED = 1
EXPECTED_ERRORS = (FacetError, BotoCoreError, ClientError, Boto3Error, OSError)
"""Expected errors, whose message is enough."""


class OneLine(TyperGroup):
    """Print expected errors as one line and exit with 1; raise them with `--debug`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED_ERRORS as error:
            if ctx.params.get("debug"):
                raise
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"error: {printable(located(without_routes(_one_line(error))))}", markup=False
            )
            raise typer.Exit(FAILED) from error


app = typer.Typer(
    name="facet",
    cls=OneLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 failure (see the message), 2 wrong arguments, "
    f"130 interrupted.{'' if CHECKOUT else f' The pages docs/… are in {ROOT}.'}",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        Console(highlight=False).print(f"facet {version()}")
        raise typer.Exit


@app.callback()
def facet(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show an error's traceback.")] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Run and operate image classifiers behind one multi-model endpoint, here and on AWS."""
    del debug, show_version  # read by OneLine and _print_version


app.command(cls=Command)(up.up)
app.command(cls=Command)(predict.predict)
app.command(cls=Command)(models.models)
app.command(cls=Command)(models.show)
app.command(cls=Command)(data.data)
app.command(cls=Command)(train.train)
app.command(cls=Command)(pack.pack)
app.command(cls=Command)(push.push)
app.command(cls=Command)(watch.watch)
app.command(cls=Command)(versions.promote)
app.command(cls=Command)(versions.rollback)
app.command(cls=Command)(versions.policy)
app.command(cls=Command)(versions.retire)
app.command(cls=Command)(delete.delete)
app.command(cls=Command)(redrive.redrive)
app.command(cls=Command)(status.status)
app.command(cls=Command)(invoke.invoke)
app.command(cls=Command, context_settings={"allow_interspersed_args": False})(env.env)
app.command(cls=Command)(logs.logs)
app.command(cls=Command)(doctor.doctor)
app.command(cls=Command)(cost.cost)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program. `--debug` is accepted anywhere before `--`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    own, rest = words[:end], words[end:]
    debug = [DEBUG] if DEBUG in own else []
    app([*debug, *(word for word in own if word != DEBUG), *rest])


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
