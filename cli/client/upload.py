"""Upload a file to the stack's bucket with a progress bar."""

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
    """Upload a file. Raises OSError, and boto3's errors."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with bar(output, *columns) as progress:
        task = progress.add_task(key, total=path.stat().st_size)
        stack.client("s3").upload_file(
            str(path), stack.bucket, key, Callback=lambda sent: progress.advance(task, sent)
        )
