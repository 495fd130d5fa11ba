"""Read the local stack's log files, which remain after it has stopped."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.client.stack import LOCAL_NAME
from cli.extras import make
from cli.logs.errors import NoLog
from cli.logs.line import Line, LineParser

ENDPOINT, TRAINING = "endpoint", "training"
MODEL_PART = 24
"""Characters of a model's name in its training jobs' names."""

NOT_FUNCTIONS = ("stack", LOCAL_NAME)
"""The stack's own log, and the endpoint's, which has the endpoint's name."""


def select(folder: Path, source: str | None, job: str | None) -> "LogFiles":
    """Choose logs in a stack's folder. Raises NoLog."""
    if source == TRAINING:
        path = _job(folder / "training", job)
        return LogFiles({path.stem: path})
    known = {each: folder / f"{each}.log" for each in functions(folder)}
    known[ENDPOINT] = folder / f"{LOCAL_NAME}.log"
    if not folder.is_dir():
        raise NoLog(f"there are no logs in {folder}: {make('run')} starts a stack on this machine")
    if source is None:
        return LogFiles(known)
    if source not in known:
        raise NoLog.of(source, known)
    return LogFiles({source: known[source]})


def functions(folder: Path) -> list[str]:
    """List the functions that have a log."""
    return sorted(each.stem for each in folder.glob("*.log") if each.stem not in NOT_FUNCTIONS)


def jobs(folder: Path) -> list[str]:
    """List the training jobs that have a log, newest first."""
    found = (folder / "training").glob("*.log")
    return [each.stem for each in sorted(found, key=_written, reverse=True)]


def _job(folder: Path, job: str | None) -> Path:
    newest = jobs(folder.parent)
    found = newest_of(job, newest)
    if found is None:
        raise NoLog.of_job(job, newest)
    return folder / f"{found}.log"


def newest_of(job: str | None, newest_first: Iterable[str]) -> str | None:
    """The job of that name, else the newest one of the model of that name, or None.

    A job is called `<model>-<execution>-…`, cut off after 24 characters of the model. Executions of
    `facet train` begin with the model: those of `cats` are found before any of `cats-2`.
    """
    if job is None:
        return None
    names = list(newest_first)
    model = job[:MODEL_PART]
    for start in (f"{model}-{model}-", f"{model}-"):
        found = [each for each in names if each == job or each.startswith(start)]
        if job in found:
            return job
        if found:
            return found[0]
    return None


class LogFiles:
    """Log files by the names of their lines; each read continues after the last."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.names = list(files)
        self._files = files
        self._read = dict.fromkeys(files, 0)
        self._parsers: dict[str, LineParser] = {}

    def read(self, since: float) -> Iterator[Line]:
        """Read lines after the last call, none older than `since`, sorted by time."""
        merged = heapq.merge(*map(self._new, self._files), key=lambda line: line.time)
        return (line for line in merged if line.time >= since)

    def _new(self, name: str) -> Iterator[Line]:
        path = self._files[name]
        if not path.is_file():
            return
        parser = self._parsers.setdefault(name, LineParser(name, _written(path)))
        with path.open("rb") as file:
            file.seek(self._read[name])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read[name] += len(line)
                yield parser.line(line.decode(errors="replace").rstrip("\r\n"))


def _written(path: Path) -> float:
    return path.stat().st_mtime
