"""Serves a folder over HTTP, for clients that take it for S3."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serves the folder over HTTP, in place of S3. Yields its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--directory", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            match = re.search(r"port (\d+)", server.stdout.readline())
            if match is None:
                raise OSError("the file server did not start")
            yield f"http://127.0.0.1:{match[1]}"
        finally:
            server.terminate()
