"""The command `facet predict`: classify images with the API."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from cli.client.api import MAX_WAIT, ApiUnreachable, RetryBudget, connect
from cli.client.stack import find
from cli.predict import overlay, sources
from cli.predict.results import PredictionOptions, Result, predict_batch, results
from cli.predict.writers import CsvWriter, JsonLinesWriter, JsonWriter, TableWriter, Writer
from cli.terminal import completion
from cli.terminal.formatting import printable
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName
from cli.terminal.output import Output
from cli.terminal.progress import bar

Format = Literal["table", "csv", "jsonl"]


def predict(
    model: ModelName,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Image files, folders (recursively), 'quoted patterns', or - for standard input.",
        ),
    ],
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, max=1000, help="Number of labels for each image.")
    ] = 5,
    version: Annotated[
        str | None,
        typer.Option(
            help="A READY version. Default: the live one.", autocompletion=completion.versions
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Write the image, and over it what in it speaks for the first label, to this new "
            "file. For one image and a model that was taught.",
        ),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="The output format. Default: a table.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds to wait in total while the endpoint is busy or loads the model."
        ),
    ] = MAX_WAIT,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Classify images. Up to 32 go in one request; an image that fails does not stop the rest."""
    if as_json and form:
        raise typer.BadParameter("cannot be used with --json", param_hint="--format")
    output = Output(as_json)
    writer = _writer(output, model, form)
    images = sources.find(source)
    if explain:
        _check(explain, len(images))
    api = connect(find(stack, home), RetryBudget(wait, on_first_wait=output.remark))
    ask = partial(predict_batch, api, PredictionOptions(model, top_k, version, bool(explain)))
    failed = seen = 0
    with _bar(output, writer) as shown:
        task = shown.add_task("images", total=len(images))
        try:
            for each in results(images, sys.stdin.buffer, ask):
                seen += 1
                shown.advance(task)
                writer.add(each)
                if each.error:
                    failed += 1
                    output.remark(f"error: {printable(f'{each.image}: {each.error}')}")
                elif explain:
                    output.remark(_explained(each, explain))
        finally:
            shown.stop()
            if seen:
                writer.end()
    if failed:
        output.remark(f"{failed:,} of {len(images):,} images failed")
        raise typer.Exit(1)


def _check(file: Path, images: int) -> None:
    """Raise BadParameter if the heat map of an image cannot be written to the file."""
    if images != 1:
        problem = f"is for one image, and here are {images:,}; ask for each by itself"
    elif file.suffix.lower() != ".png":
        problem = f"{file}: the name must end in .png"
    elif file.exists():
        problem = f"{file} exists already; name a new file"
    elif not file.parent.is_dir():
        problem = f"{file}: there is no folder {file.parent}"
    else:
        return
    raise typer.BadParameter(problem, param_hint="--explain")


def _explained(result: Result, file: Path) -> str:
    """Write the heat map over the image, and say so. Raises OSError, and ApiUnreachable."""
    if result.explanation is None:
        raise ApiUnreachable("the API explains no answers yet; deploy or start the stack again")
    overlay.write(file, result.data, result.explanation.heatmap)
    label = printable(result.explanation.label)
    return f"{file}: what speaks for {label!r} is red and, where most does, yellow"


def _writer(output: Output, model: str, form: Format | None) -> Writer:
    if output.as_json:
        return JsonWriter(output, model)
    match form:
        case "csv":
            return CsvWriter()
        case "jsonl":
            return JsonLinesWriter()
        case _:
            return TableWriter(output)


def _bar(output: Output, writer: Writer) -> Progress:
    """Make a progress bar, hidden if results are printed to the same terminal."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    hidden = writer.streams and output.results.is_terminal
    return bar(output, *columns, hidden=hidden)
