"""The command `facet teach`: check the options, then teach."""

from typing import Annotated, Any

import typer

from cli.client.stack import find
from cli.data import data_folder
from cli.teach.run import Lesson, run
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName, Timeout
from cli.terminal.output import Output
from cli.watch import TIMEOUT
from facet.keys import MODEL_NAME, MODEL_NAME_RULE
from training.data.source import DataSource, data_source


def teach(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The model's name.", autocompletion=completion.models),
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help="A folder or .zip of images, DIR/<label>/<image>. Default: the images that the "
            "data set has.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The data set's name. Default: the model's.",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[@VERSION]",
            help="The backbone. Default: the stack's only one.",
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Publish nothing below this accuracy. Default: 0.7.",
            show_default=False,
        ),
    ] = None,
    fine_tune: Annotated[
        bool,
        typer.Option(
            "--fine-tune", help="Train a network in a training job instead, in minutes or hours."
        ),
    ] = False,
    timeout: Timeout = TIMEOUT,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Teach a model from a few images of each label, in seconds. The exit code is 0 only for READY.

    The folder replaces the data set's images: a second run uploads what is new or has changed, and
    removes what the folder no longer has. Below the minimum nothing is published, and the report
    says which labels need more images.

    With more than 5,000 images, a training job trains a network on them instead.
    """
    if not MODEL_NAME.fullmatch(model):
        raise typer.BadParameter(f"'{model}': {MODEL_NAME_RULE}", param_hint="NAME")
    if fine_tune and backbone:
        raise typer.BadParameter("cannot be used with --fine-tune", param_hint="--backbone")
    name = dataset or model
    images = data_source(source, name, data_folder=data_folder()) if source else _named(name)
    options: dict[str, Any] = {"backbone": backbone, "min_accuracy": min_accuracy}
    given = {field: value for field, value in options.items() if value is not None}
    lesson = Lesson(model, images, bool(source), given, min_accuracy, fine_tune)
    if not run(lesson, find(stack, home), Output(as_json), timeout):
        raise typer.Exit(1)


def _named(dataset: str) -> DataSource:
    """The data set of that name, which is in the bucket."""
    if not MODEL_NAME.fullmatch(dataset):
        raise typer.BadParameter(
            f"'{dataset}' is not a valid name for a data set", param_hint="--dataset"
        )
    return DataSource(dataset, dataset)
