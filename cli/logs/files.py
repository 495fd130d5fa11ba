"""Read the local stack's log files, which remain after it has stopped."""

import heapq
from collections.abc import Iterator
from pathlib import Path

from cli.client.stack import LOCAL_NAME
from cli.extras import make
from cli.logs.errors import NoLog
from cli.logs.line import Line, LineParser

ENDPOINT, TRAINING = "endpoint", "training"
NOT_FUNCTIONS = ("stack", LOCAL_NAME)
"""The stack's own log, and the endpoint's, which has the endpoint's name."""


def select(folder: Path, source: str | None, job: str | None) -> "LogFiles":
    """Choose logs in a stack's folder. Raises NoLog."""
    if source == TRAINING:
        return LogFiles({job or TRAINING: _job(folder / "training", job)})
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
    path = folder / f"{job}.log"
    if not path.is_file():
        raise NoLog.of_job(job, jobs(folder.parent))
    return path


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
