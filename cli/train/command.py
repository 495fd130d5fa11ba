"""The command `facet train`: check the options, build the job, run it."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from cli import extras
from cli.client.stack import find
from cli.data import data_folder
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName, name_and_value
from cli.terminal.output import Output
from cli.train import weights
from cli.train.execution import resumed
from cli.train.run import Training, run
from facet.keys import MODEL_NAME
from facet.recipes import RECIPES, Hyperparameters, Metric
from facet.registry.suggestions import did_you_mean
from train.input import BadInput
from train.quality_gate import LEVEL
from train.resolve import parsed, resolve
from training.data.readers import CIFAR10, SIGN_LANGUAGE
from training.data.source import DataSource, data_source

OWN_DATA = (CIFAR10, SIGN_LANGUAGE)
"""Recipes that have a data set of their own, with the same name."""


def train(
    recipe_name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help=f"{', '.join(RECIPES)}.",
            show_default=False,
            autocompletion=completion.recipes,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET",
            help="A data set in the bucket, or with --upload a source as for facet data. Default: "
            "the recipe's own.",
            show_default=False,
            autocompletion=completion.data_sets,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model's name. Default: the data set's.", autocompletion=completion.models
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a hyperparameter."),
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            metavar="METRIC",
            help=f"The metric that decides: {', '.join(get_args(Metric))}. Default: the recipe's.",
        ),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The lowest acceptable value. Default: the recipe's."),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.5,
            help=f"The significance level of the gate's tests. Default: {LEVEL}.",
            show_default=False,
        ),
    ] = None,
    allow_worse: Annotated[
        bool, typer.Option("--allow-worse", help="Publish even if the live version is better.")
    ] = False,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE|PREFIX",
            help="Pretrained weights: an .h5 file, or a prefix in the bucket (weights/…/).",
        ),
    ] = None,
    instance_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="An instance type. Default: the recipe's."),
    ] = None,
    instance_count: Annotated[int, typer.Option(min=1, max=20, help="Number of instances.")] = 1,
    spot: Annotated[
        bool, typer.Option("--spot", help="Use spot capacity: cheaper, may be interrupted.")
    ] = False,
    max_runtime: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", min=1, help="Stop the job after this time. Default: the recipe's."
        ),
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="Upload the data set first, as `facet data` does.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="With --upload: the data set's name. Default: the source's.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Classify an image of each label with the new version.")
    ] = False,
    up: Annotated[
        bool,
        typer.Option("--up", help="Start a stack for it if none runs on this machine."),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="EXECUTION",
            help="Continue an earlier execution's job from its last checkpoint; without RECIPE.",
        ),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Train a model and publish it if it is good enough. The exit code is 0 only for READY.

    Ctrl-C and SIGTERM stop the execution and its training job.
    """
    if up and (stack or no_wait):
        raise typer.BadParameter("cannot be used with --stack or --no-wait", param_hint="--up")
    if ask and no_wait:
        raise typer.BadParameter("cannot be used with --no-wait", param_hint="--ask")
    changes: dict[str, Any] = {
        "metric": metric,
        "minimum": minimum,
        "level": level,
        "allow_worse": allow_worse or None,
        "instance_type": instance_type,
        "spot": spot or None,
        "max_runtime": max_runtime,
    }
    output = Output(as_json)
    if resume:
        kept = (recipe_name, dataset, settings, pretrained, name)
        _check_resumable(*kept, upload=upload, several=instance_count > 1)
    elif not recipe_name:
        raise typer.BadParameter("name one, or an execution with --resume", param_hint="RECIPE")
    else:
        images = _images(recipe_name, dataset, name, upload=upload)
        changes |= {
            "model": model or images.name,
            "recipe": recipe_name,
            "dataset": images.name,
            "hyperparameters": _hyperparameters(settings or ()),
            "weights": weights.location(pretrained),
            "instance_count": instance_count,
        }
    job = _given(changes)
    file = weights.local_file(pretrained)
    epochs = 0
    if not resume:
        resolved = settings_of(job)
        epochs = resolved.epochs
        if file:
            weights.check(file, resolved, job["hyperparameters"])
    # Cancelling a CI run must stop its training job, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _temporary_stack(output, home, start=up):
        found = find(stack, home)
        if resume:
            job = {**resumed(found, resume, model), **job}
            epochs = settings_of(job).epochs
            images = DataSource(job["dataset"], job["dataset"])
        training = Training(job, epochs, images, upload, file, ask, not no_wait)
        ready = run(training, found, output)
    if not ready:
        raise typer.Exit(1)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in options.items() if value is not None}


def _check_resumable(*kept: object, upload: bool, several: bool) -> None:
    """Reject options that would make it another training, whose checkpoint is of no use."""
    if any(kept) or upload or several:
        raise typer.BadParameter(
            "the training keeps its recipe, data set, hyperparameters, weights and number of "
            "instances; change only --instance-type, --spot, --max-runtime and the quality gate",
            param_hint="--resume",
        )


def _images(recipe_name: str, dataset: str | None, name: str | None, *, upload: bool) -> DataSource:
    if recipe_name not in RECIPES:
        raise typer.BadParameter(
            f"there is no recipe '{recipe_name}'; choose {', '.join(RECIPES)}."
            f"{did_you_mean(recipe_name, RECIPES)}",
            param_hint="RECIPE",
        )
    source = dataset or recipe_name
    if not dataset and recipe_name not in OWN_DATA:
        raise typer.BadParameter(
            f"{recipe_name} has no data set of its own; name one, or with --upload a folder of "
            "images",
            param_hint="DATASET",
        )
    if upload:
        return data_source(source, name, data_folder=data_folder())
    if name or not MODEL_NAME.fullmatch(source):
        problem = "--name needs" if name else f"'{source}' is not a data set's name; a folder needs"
        raise typer.BadParameter(f"{problem} --upload", param_hint="DATASET")
    return DataSource(source, source)


def _hyperparameters(settings: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in (name_and_value(each, "--set") for each in settings):
        if name in values:
            raise typer.BadParameter(f"{name} is given twice", param_hint="--set")
        values[name] = value
    return values


def settings_of(job: dict[str, Any]) -> Hyperparameters:
    """Validate the job as the state machine does, and return its hyperparameters.

    Raises typer.BadParameter.
    """
    try:
        (resolved,) = resolve(parsed({"jobs": [job]}))
        return resolved.settings
    except BadInput as error:
        problem = str(error).replace("jobs[0].hyperparameters.", "").replace("jobs[0].", "")
        raise typer.BadParameter(problem) from error


@contextmanager
def _temporary_stack(output: Output, home: Path, *, start: bool) -> Iterator[None]:
    """Start a stack on this machine for the duration, if `start` and none runs."""
    if not start:
        yield
        return
    extras.ensure("local")
    from local.run import running

    with running(home, output.remark):
        yield
