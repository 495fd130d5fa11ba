"""The program `facet`: its commands, and how it prints errors.

Expected errors are one line on standard error and exit code 1, or 2 for a wrong command line;
`--debug` shows the traceback. Any other exception is a bug and always shows one.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from rich.console import Console
from typer.core import TyperGroup

from cli import data, delete, env, invoke, models, page, push, redrive, status, up, versions, watch
from cli.cost import command as cost
from cli.doctor import command as doctor
from cli.extras import CHECKOUT, ROOT, located, version
from cli.logs import command as logs
from cli.pack import command as pack
from cli.predict import command as predict
from cli.teach import command as teach
from cli.terminal.command import Command, one_line_paragraphs, without_bool, without_routes
from cli.terminal.formatting import one_line, printable
from cli.terminal.prompts import MissingOption
from cli.train import command as train
from cli.verify import command as verify
from facet.errors import BadRequest, FacetError

DEBUG = "--debug"
FAILED, MISUSED = 1, 2
EXPECTED_ERRORS = (
    *(FacetError, BotoCoreError, ClientError, Boto3Error, OSError),
    ResponseParserError,
)
"""Expected errors, whose message is enough. The last one is of what a proxy answers for AWS."""

USAGE_ERRORS = (BadRequest, MissingOption)
"""Those that another command line would avoid."""


class OneLine(TyperGroup):
    """Print expected errors as one line and exit with 1 or 2; raise them with `--debug`."""

    def get_params(self, ctx: Any) -> Any:
        return without_bool(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED_ERRORS as error:
            if ctx.params.get("debug"):
                raise
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"error: {printable(located(without_routes(_message(error))))}", markup=False
            )
            raise typer.Exit(MISUSED if isinstance(error, USAGE_ERRORS) else FAILED) from error


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


GROUPS: dict[str, tuple[tuple[Callable[..., None], str], ...]] = {
    "Classify": (
        (predict.predict, "facet predict cats photos/ -k 3"),
        (models.models, "facet models --stack prod"),
        (models.show, "facet show cats"),
    ),
    "Train and publish": (
        (data.data, "facet data photos/ --name pets"),
        (teach.teach, "facet teach pets photos/"),
        (train.train, "facet train image-folder photos/ --upload --set epochs=3"),
        (pack.pack, "facet pack saved_model/ --labels labels.txt"),
        (push.push, "facet push model.tar.gz --model cats"),
        (watch.watch, "facet watch cats"),
    ),
    "Choose versions": (
        (versions.promote, "facet promote cats 0378e550166a"),
        (versions.rollback, "facet rollback cats"),
        (versions.policy, "facet policy cats canary --percent 10"),
        (versions.retire, "facet retire cats 0378e550166a"),
        (delete.delete, "facet delete --match 'walk-*' --dry-run"),
    ),
    "Run and watch a stack": (
        (up.up, "facet up --port 8001"),
        (status.status, "facet status --stack prod"),
        (page.open_page, "facet open cats"),
        (logs.logs, "facet logs PredictFunction --since 2h --level warning"),
        (doctor.doctor, "facet doctor --stack prod"),
        (verify.verify, "facet verify --stack prod --report report.json"),
        (redrive.redrive, "facet redrive --dry-run"),
        (env.env, "facet env -- aws s3 ls"),
        (invoke.invoke, "facet invoke PredictFunction events/predict-raw.json"),
        (cost.cost, "facet cost --models 50 --scaled"),
    ),
}
"""The commands, each with an example."""

for panel, commands in GROUPS.items():
    for command, example in commands:
        app.command(
            example.split()[1],
            cls=Command,
            help=one_line_paragraphs(command.__doc__ or ""),
            rich_help_panel=panel,
            epilog=f"Example: {example}",
            # What follows the program in `facet env -- PROGRAM` belongs to it.
            context_settings={"allow_interspersed_args": command is not env.env},
        )(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program. `--debug` is accepted anywhere before `--`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    own, rest = words[:end], words[end:]
    debug = [DEBUG] if DEBUG in own else []
    app([*debug, *(word for word in own if word != DEBUG), *rest])


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return one_line(error)
