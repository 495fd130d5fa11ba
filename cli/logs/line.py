"""Parse log lines: time, level, text and JSON fields."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """The levels of Python's logging, least severe first."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    def reaches(self, minimum: "Level") -> bool:
        """Whether this level is at least as severe."""
        order = list(Level)
        return order.index(self) >= order.index(minimum)


HEAD = 120
"""Characters at a line's start that are searched for time and level."""

TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
WORD = re.compile(rf"\b({'|'.join(Level)})\b")
PREFIX = re.compile(rf"{TIME.pattern}\s+{WORD.pattern}\s+")
"""Time and level at the start of lines of Python's logging."""

LAMBDA = re.compile(r"(?:START|END|REPORT|INIT_START) ")
LAMBDA_FAILED = re.compile(r"Task timed out after|RequestId: \S+ Error: ")


@dataclass(frozen=True)
class Line:
    """A log line. `time` is in seconds since 1970, a lower bound unless `timed`. `fields` are those
    of a JSON line.
    """

    source: str
    time: float
    level: Level
    text: str
    fields: Mapping[str, Any] | None
    timed: bool

    @property
    def moment(self) -> datetime:
        """The line's time in UTC."""
        return datetime.fromtimestamp(self.time, UTC)


class LineParser:
    """Parses the lines of one log in order.

    A line without time or level, such as a traceback's, gets those of the line before it. At first
    they are `time` and INFO.
    """

    def __init__(self, source: str, time: float = 0.0) -> None:
        self._source = source
        self._time = time
        self._timed = False
        self._level = Level.INFO

    def line(self, text: str, time: float | None = None) -> Line:
        """Parse the next line; `time` if the log has recorded it."""
        fields = _fields(text)
        found = time or (_time_in(fields) if fields else _time_of(text))
        self._timed = self._timed or found is not None
        self._time = found or self._time
        self._level = _level_in(fields) if fields else _level_of(text) or self._level
        return Line(self._source, self._time, self._level, text, fields, self._timed)


def _fields(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return None
    return found


def _time_in(fields: Mapping[str, Any]) -> float | None:
    match fields:
        case {"_aws": {"Timestamp": int(milliseconds)}}:
            return milliseconds / 1000
        case {"timestamp": str(text)}:
            return _time_of(text)
        case _:
            return None


def _time_of(text: str) -> float | None:
    """Find a time; without a zone it is local. Invalid dates are ignored."""
    found = TIME.search(text[:HEAD])
    try:
        return datetime.fromisoformat(found[0]).timestamp() if found else None
    except (ValueError, OverflowError):
        return None


def _level_in(fields: Mapping[str, Any]) -> Level:
    level = fields.get("level")
    return Level(level) if level in list(Level) else Level.INFO


def _level_of(text: str) -> Level | None:
    if LAMBDA_FAILED.search(text[:HEAD]):
        return Level.ERROR
    if LAMBDA.match(text):
        return Level.INFO
    found = WORD.search(text[:HEAD])
    return Level(found[1]) if found else None
