"""`facet data`: upload a folder or zip of images as a data set to train on."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from cli.client.stack import Stack, account, find, warn_of_local_endpoint
from cli.terminal.formatting import size
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output
from cli.terminal.progress import bar, spinner
from training.data.check import trainable
from training.data.layout import ImageFolder
from training.data.source import (
    DataSource,
    Summary,
    data_source,
    examine,
    open_images,
    summarise,
)
from training.data.upload import CONFIG, Bucket, Change, synchronise

NAMED = 20
"""Skipped files that are named one by one."""


def data(
    source: Annotated[
        str,
        typer.Argument(
            metavar="cifar10|sign-language|DIR",
            help="A folder or .zip of images: DIR/<class>/<image>, or with channels "
            "DIR/train/<class>/<image>, DIR/validation/… and DIR/test/…. cifar10 and "
            "sign-language are read from FACET_DATA; Keras downloads CIFAR-10 otherwise.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Its name. Default: the source's.")] = None,
    place: Annotated[
        Path | None,
        typer.Option("--from", help="The folder or zip with cifar10 or sign-language."),
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="A bucket of the account instead of a stack's.")
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Upload a data set to train on, as datasets/<name>/<channel>/<class>/<file>.

    Images that training cannot read are named and left out, before anything is uploaded. HEIC and
    AVIF become JPEGs.

    A second run uploads only what is missing or has changed, and removes what the source no longer
    has.
    """
    if bucket and stack:
        raise typer.BadParameter("cannot be used with --stack", param_hint="--bucket")
    output = Output(as_json)
    images = data_source(source, name, place, data_folder())
    target = _bucket_named(bucket) if bucket else bucket_of(find(stack, home))
    content, change = upload_data_set(output, images, target)
    output.result(
        {
            "dataset": images.name,
            "bucket": target.name,
            "prefix": images.prefix,
            **asdict(change),
            **asdict(content),
        },
        [change_summary(images, target, change)],
    )


def upload_data_set(
    output: Output,
    images: DataSource,
    target: Bucket,
    approve: Callable[[ImageFolder], object] = trainable,
) -> tuple[Summary, Change]:
    """Synchronise the bucket with the data set: upload what is missing, remove what is extra.

    Calls `approve` with the images before any is uploaded, which by default raises SourceError for
    what training would refuse. Raises SourceError, NotRemoved, and botocore's errors.
    """
    with ExitStack() as contexts:
        with spinner(output, f"{images.name}: looking for images …"):
            source = contexts.enter_context(open_images(images))
        source = _examined(output, source, images)
        content = summarise(source)
        if not output.as_json:
            _remark(output, images.name, content)
        approve(source)
        try:
            return content, _synchronise(output, source, images, target)
        except KeyboardInterrupt:
            output.remark("stopped; run it again to upload the rest")
            raise


def _examined(output: Output, source: ImageFolder, images: DataSource) -> ImageFolder:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with bar(output, *columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("checking", total=len(source.images))
        return examine(images, source, lambda: progress.advance(task))


def _remark(output: Output, name: str, content: Summary) -> None:
    output.remark(f"{name}: {content.describe()}")
    for each in content.skipped_files[:NAMED]:
        output.remark(f"skipped {each.path}: {each.reason}")
    if content.skipped > NAMED:
        output.remark(f"and {content.skipped - NAMED:,} more; --json names all")
    for warning in content.warnings:
        output.remark(f"warning: {warning}")


def _synchronise(output: Output, source: ImageFolder, images: DataSource, target: Bucket) -> Change:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with bar(output, *columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("images", total=len(source.images))
        return synchronise(source.images, target, images.prefix, lambda: progress.advance(task))


def change_summary(images: DataSource, target: Bucket, change: Change) -> str:
    """Summarise an upload in one line."""
    return (
        f"s3://{target.name}/{images.prefix}: {change.uploaded:,} uploaded "
        f"({size(change.bytes)}), {change.unchanged:,} unchanged, {change.removed:,} removed"
    )


def data_folder() -> Path | None:
    """Return the folder in FACET_DATA."""
    folder = os.environ.get("FACET_DATA")
    return Path(folder) if folder else None


def bucket_of(stack: Stack) -> Bucket:
    """Open the stack's bucket with a connection for each concurrent upload."""
    return Bucket(stack.bucket, stack.client("s3", CONFIG), unpacks=stack.home is not None)


def _bucket_named(bucket: str) -> Bucket:
    warn_of_local_endpoint()
    return Bucket(bucket, account().client("s3", config=CONFIG))
