"""A file on its way into the stack's bucket."""

from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cli.client.stack import Stack
from cli.terminal.output import Output
from cli.terminal.progress import bar


def upload(stack: Stack, output: Output, path: Path, key: str) -> None:
    """Uploads it, with a bar. Raises OSError, and boto3's errors."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with bar(output, *columns) as shown:
        task = shown.add_task(key, total=path.stat().st_size)
        stack.client("s3").upload_file(
            str(path), stack.bucket, key, Callback=lambda sent: shown.advance(task, sent)
        )
