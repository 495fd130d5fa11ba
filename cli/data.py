"""`facet data`: images → the image-folder layout → the bucket."""

import os
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
from training.data.layout import ImageFolder
from training.data.source import DataSource, Summary, data_source, open_images, summarise
from training.data.upload import CONFIG, Bucket, Change, synchronise


def data(
    source: Annotated[
        str,
        typer.Argument(
            metavar="cifar10|sign-language|DIR",
            help="A folder or .zip of images: DIR/<class>/<image>, or with channels "
            "DIR/train/<class>/<image>, DIR/validation/… and DIR/test/…. CIFAR-10 and the sign "
            "language digits are looked for where FACET_DATA points; Keras downloads CIFAR-10.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Its name; else the source's.")] = None,
    place: Annotated[
        Path | None,
        typer.Option("--from", help="The folder or zip to take cifar10 or sign-language from."),
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="A bucket of the account, instead of a stack's.")
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Upload a data set to train on, as datasets/<name>/<channel>/<class>/<file>.

    Run it again to upload what is missing or has changed; what the source no longer has is removed.
    """
    if bucket and stack:
        raise typer.BadParameter("name a bucket or a stack, not both", param_hint="--bucket")
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


def upload_data_set(output: Output, images: DataSource, target: Bucket) -> tuple[Summary, Change]:
    """Uploads what the bucket lacks of the data set, and removes what it has too much of.

    Raises SourceError, NotRemoved, and botocore's errors.
    """
    with ExitStack() as contexts:
        with spinner(output, f"{images.name}: looking for its images …"):
            source = contexts.enter_context(open_images(images))
        content = summarise(source)
        if not output.as_json:
            output.remark(f"{images.name}: {content.describe()}")
        try:
            return content, _synchronise(output, source, images, target)
        except KeyboardInterrupt:
            output.remark("stopped; run it again to upload the rest")
            raise


def _synchronise(output: Output, source: ImageFolder, images: DataSource, target: Bucket) -> Change:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with bar(output, *columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("images", total=len(source.images))
        return synchronise(source.images, target, images.prefix, lambda: progress.advance(task))


def change_summary(images: DataSource, target: Bucket, change: Change) -> str:
    """What an upload has changed."""
    return (
        f"s3://{target.name}/{images.prefix}: {change.uploaded:,} uploaded "
        f"({size(change.bytes)}), {change.unchanged:,} unchanged, {change.removed:,} removed"
    )


def data_folder() -> Path | None:
    """Where FACET_DATA points."""
    found = os.environ.get("FACET_DATA")
    return Path(found) if found else None


def bucket_of(stack: Stack) -> Bucket:
    """The stack's bucket, with as many connections as there are uploads at once."""
    return Bucket(stack.bucket, stack.client("s3", CONFIG))


def _bucket_named(bucket: str) -> Bucket:
    warn_of_local_endpoint()
    return Bucket(bucket, account().client("s3", config=CONFIG))
