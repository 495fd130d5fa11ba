"""The command `facet logs`: choose the logs, filter and print their lines."""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Protocol

import typer

from cli.client.stack import find
from cli.logs import files, log_groups
from cli.logs.formatting import document, readable
from cli.logs.line import Level, Line
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, Home, StackName
from cli.terminal.output import Output

DEFAULT_SINCE = 600.0
"""Seconds to look back by default; training jobs are printed whole."""

INTERVAL = 2.0
"""Seconds between two reads with --follow."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Log(Protocol):
    """A source of lines."""

    @property
    def names(self) -> Sequence[str]:
        """Names of functions, endpoint or job."""

    def read(self, since: float) -> Iterator[Line]:
        """Read lines after the last call, none older than `since`, sorted by time."""


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise typer.BadParameter(f"write 30s, 10m, 2h or 1d, not '{text}'")
    return float(found[1]) * UNITS[found[2]]


def logs(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FUNCTION|endpoint|training",
            help="A function's name in template.yaml, the endpoint or a training job. Default: all "
            "functions and the endpoint.",
            show_default=False,
            autocompletion=completion.logs,
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB|MODEL",
            help="With training: the job's name, or a model's for its newest job.",
            show_default=False,
            autocompletion=completion.jobs,
        ),
    ] = None,
    since: Annotated[
        float | None,
        typer.Option(
            metavar="30s|10m|2h|1d",
            parser=_seconds,
            help="How far to look back. Default: 10m; a training job's log is printed whole.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")
    ] = False,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Print only lines with this id of a request (in errors and the header "
            "x-amzn-RequestId) or an invocation.",
        ),
    ] = None,
    level: Annotated[
        Level, typer.Option(case_sensitive=False, help="Print only lines of at least this level.")
    ] = Level.DEBUG,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON document for each line.")
    ] = False,
) -> None:
    """Print the logs of functions, endpoint and training jobs, sorted by time (UTC).

    The local stack's logs remain after it has stopped.
    """
    if job and source != files.TRAINING:
        raise typer.BadParameter("only training has jobs", param_hint="JOB|MODEL")
    output = Output()
    log = _select(source, job, request, stack, home)
    begin = (
        0.0 if job and since is None else time.time() - (DEFAULT_SINCE if since is None else since)
    )
    width = 0 if source else max(map(len, log.names))
    printed = 0
    while True:
        for line in log.read(begin):
            if line.level.reaches(level) and (request is None or request in line.text):
                printed += 1
                _print(output, line, width, as_json=as_json)
        if not follow:
            break
        time.sleep(INTERVAL)
    if not printed:
        output.remark("no such lines; look further back with --since 1d")


def _select(
    source: str | None, job: str | None, request: str | None, stack: str | None, home: Path
) -> Log:
    """Choose the logs; those on this machine exist even if the stack does not run."""
    if stack:
        return log_groups.select(find(stack), source, job, request)
    return files.select(home / "logs", source, job)


def _print(output: Output, line: Line, width: int, *, as_json: bool) -> None:
    if as_json:
        output.results.print(document(line), markup=False)
        return
    for each in readable(line, width):
        output.results.print(each)
